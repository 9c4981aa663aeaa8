//! The folder of one control plane: data, logs, keys and the kubeconfig. It goes with its owner, like the processes.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    error::{Error, Trying},
    process::{Process, script},
};

/// Waits for the end of standard input, then removes the folder `$1`.
///
/// After a SIGKILL etcd is being killed at this very moment, and may still write into a folder that is being emptied:
/// hence the repetition, which ends after five seconds at the latest.
const JANITOR: &str = r#"
read -r _
tries=0
until rm -rf "$1" || [ "$tries" -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

/// A private folder (mode 0700) that is removed when this value is dropped or its process is gone.
///
/// Worth a process of its own: etcd allocates over 100 MB, and a control plane that lives in a `static`, as it does
/// in a test binary, is never dropped.
pub(crate) struct ScratchFolder {
    path: PathBuf,
    /// Removes the folder when it is dropped.
    _janitor: Process,
}

impl ScratchFolder {
    /// Makes an empty folder below the system's folder for temporary files.
    pub(crate) fn create() -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("control-plane-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .trying(|| format!("make a folder in {}", std::env::temp_dir().display()))?;
        let mut command = script(JANITOR);
        command.arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let janitor =
            Process::start(command).trying(|| "start the shell that removes the temporary folder".to_owned())?;
        Ok(Self { path: folder.keep(), _janitor: janitor })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner_whatever_is_in_it() {
        let scratch = ScratchFolder::create().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(scratch.file("data")).unwrap();
        fs::write(scratch.file("data/log"), "text").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
