//! The folder of one control plane: data, logs, keys and the kubeconfig. It is removed with its owner, like the
//! processes.

use std::{
    fs::DirBuilder,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    error::{Error, Trying},
    process::{Process, script},
};

/// Waits for the end of standard input, then removes the folder `$1`.
///
/// After a SIGKILL, etcd is killed at the same time, and may still write into the folder while it is removed. So the
/// removal is repeated, for five seconds at most.
const JANITOR: &str = r#"
read -r _
tries=0
until rm -rf "$1" || [ "$tries" -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

/// A private folder (mode 0700). It is removed when this value is dropped or when its process ends.
///
/// This needs a separate process: etcd allocates over 100 MB, and a control plane in a `static`, as in a test binary,
/// is never dropped.
pub(crate) struct ScratchFolder {
    path: PathBuf,
    /// Removes the folder when it is dropped.
    _janitor: Process,
}

impl ScratchFolder {
    /// Makes an empty folder below the system's folder for temporary files.
    pub(crate) fn create() -> Result<Self, Error> {
        let temporary = std::env::temp_dir();
        let path = create_below(&temporary).trying(|| format!("make a folder in {}", temporary.display()))?;
        let mut command = script(JANITOR);
        command.arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let janitor =
            Process::start(command).trying(|| "start the shell that removes the temporary folder".to_owned())?;
        Ok(Self { path, _janitor: janitor })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes a new folder that only this user can read. If a name exists already, the next one is tried: an earlier process
/// may have had our id.
fn create_below(folder: &Path) -> io::Result<PathBuf> {
    static CREATED: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("control-plane-{}-{number}", process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created.map(|()| path),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn an_existing_folder_is_never_used() {
        let below = tempfile::tempdir().unwrap();
        let first = create_below(below.path()).unwrap();
        let (prefix, number) = first.to_str().unwrap().rsplit_once('-').unwrap();
        let number: u32 = number.parse().unwrap();
        // Other tests also use numbers, but not a hundred of them.
        let taken: Vec<String> = (1..=100).map(|more| format!("{prefix}-{}", number + more)).collect();
        for path in &taken {
            fs::create_dir(path).unwrap();
        }
        let second = create_below(below.path()).unwrap();
        assert!(!taken.iter().any(|path| Path::new(path) == second) && second != first, "{}", second.display());
    }

    #[test]
    fn the_folder_is_private_and_is_removed_with_its_contents_when_its_owner_is_dropped() {
        let scratch = ScratchFolder::create().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(scratch.file("data")).unwrap();
        fs::write(scratch.file("data/log"), "text").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
