//! Builds kube-apiserver and etcd from upstream's sources with `go build`: once a machine and version, in minutes.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use crate::{
    binaries::{Binaries, ETCD, GO_MOD, GO_SUM, KUBERNETES_VERSION, LINKER_FLAGS},
    error::{Error, Trying},
    process::{Process, last_lines, leashed},
    progress::Progress,
};

/// The import paths of the two programs.
const PACKAGES: [&str; 2] = ["k8s.io/kubernetes/cmd/kube-apiserver", "go.etcd.io/etcd/server/v3"];

/// What Go calls the second one: the last element of its path that is not a version.
const ETCD_AS_BUILT: &str = "server";

/// How often progress is looked at where the compiler says nothing.
const TICK: Duration = Duration::from_secs(1);

/// Builds the binaries into `folder`, or waits for another process that does.
///
/// `folder` appears whole or not at all: it is renamed into place. The lock is the kernel's, so that it is free again
/// whatever becomes of its holder.
pub(crate) fn compile_into(folder: &Path) -> Result<Binaries, Error> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).trying(|| format!("make the folder {}", parent.display()))?;
    }
    let mut progress = Progress::start();
    let _lock = lock(&with_suffix(folder, ".lock"), &mut progress)?;
    if let Ok(binaries) = Binaries::in_folder(folder) {
        return Ok(binaries);
    }
    ask_for_go()?;

    let workspace = Workspace::create(with_suffix(folder, ".building"))?;
    let packages = workspace.count_packages(&mut progress)?;
    workspace.build(packages, &mut progress)?;
    workspace.publish(folder)?;
    progress.say(&format!("built kube-apiserver {KUBERNETES_VERSION} and etcd into {}", folder.display()));
    Binaries::in_folder(folder).map_err(|missing| Error::NoBinaries { reason: format!("the build made no {missing}") })
}

fn with_suffix(folder: &Path, suffix: &str) -> PathBuf {
    let mut path = folder.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Takes the lock, which is held until the file is dropped.
fn lock(path: &Path, progress: &mut Progress) -> Result<File, Error> {
    let action = || format!("lock {}", path.display());
    let file = File::create(path).trying(action)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.say("another process is building kube-apiserver and etcd; waiting for it");
            file.lock().trying(action)?;
        }
        Err(TryLockError::Error(source)) => {
            return Err(Error::System { action: action(), source });
        }
    }
    Ok(file)
}

fn ask_for_go() -> Result<(), Error> {
    match Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NoBinaries { reason: "there is no `go` in PATH".to_owned() })
        }
        Err(source) => Err(Error::System { action: "run `go version`".to_owned(), source }),
    }
}

/// A folder with the module file and, later, the binaries. Only the holder of the lock has one.
struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Starts from nothing: what a killed build left behind is removed.
    fn create(root: PathBuf) -> Result<Self, Error> {
        let action = || format!("prepare {}", root.display());
        if root.exists() {
            fs::remove_dir_all(&root).trying(action)?;
        }
        fs::create_dir_all(root.join("bin")).trying(action)?;
        fs::write(root.join("go.mod"), GO_MOD).trying(action)?;
        fs::write(root.join("go.sum"), GO_SUM).trying(action)?;
        Ok(Self { root })
    }

    /// Downloads the modules and tells how many packages there are to compile, at most: Go's own cache may have some.
    fn count_packages(&self, progress: &mut Progress) -> Result<usize, Error> {
        let list = self.root.join("packages");
        let action = || format!("write {}", list.display());
        let mut command = self.go(["list", "-mod=readonly", "-deps"]);
        command.args(PACKAGES).stdout(File::create(&list).trying(action)?);
        let mut downloaded = 0;
        self.run(command, "go list", progress, |line, progress| {
            if line.starts_with("go: downloading") {
                downloaded += 1;
            }
            progress.show(&format!("downloading Kubernetes {KUBERNETES_VERSION} (once): module {downloaded}"));
        })?;
        Ok(fs::read_to_string(&list).trying(|| format!("read {}", list.display()))?.lines().count())
    }

    fn build(&self, packages: usize, progress: &mut Progress) -> Result<(), Error> {
        let mut command = self.go(["build", "-v", "-mod=readonly", "-ldflags", LINKER_FLAGS, "-o"]);
        // The slash makes it a folder for Go, which then names the files itself.
        command.arg(self.root.join("bin/")).args(PACKAGES).stdout(Stdio::null());
        let mut compiled = 0;
        self.run(command, "go build", progress, |line, progress| {
            if !line.is_empty() && !line.contains(' ') {
                compiled += 1;
            }
            progress
                .show(&format!("building Kubernetes {KUBERNETES_VERSION} (once): package {compiled} of {packages}"));
        })
    }

    /// Moves the binaries into place in one step.
    fn publish(self, folder: &Path) -> Result<(), Error> {
        let action = || format!("move the binaries to {}", folder.display());
        let built = self.root.join("bin");
        fs::rename(built.join(ETCD_AS_BUILT), built.join(ETCD)).trying(action)?;
        if folder.exists() {
            fs::remove_dir_all(folder).trying(action)?;
        }
        fs::rename(built, folder).trying(action)?;
        fs::remove_dir_all(&self.root).trying(|| format!("remove {}", self.root.display()))
    }

    /// `go` in this folder, undisturbed by a Go workspace around it or in the environment.
    fn go<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = leashed("go");
        command.args(arguments.map(OsStr::new)).current_dir(&self.root).env("GOWORK", "off").stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end. `on_line` sees each line of its standard error, and an empty one each second.
    fn run(
        &self,
        command: Command,
        name: &str,
        progress: &mut Progress,
        mut on_line: impl FnMut(&str, &mut Progress),
    ) -> Result<(), Error> {
        let start = || format!("run `{name}`");
        let mut process = Process::start(command).trying(start)?;
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = process.take_stderr() {
            thread::Builder::new()
                .name("go-output".to_owned())
                .spawn(move || {
                    BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
                })
                .trying(start)?;
        }
        let mut output = String::new();
        loop {
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    on_line(&line, progress);
                    output.push_str(&line);
                    output.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => on_line("", progress),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = process.wait().trying(start)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Build { command: name.to_owned(), status, log_tail: last_lines(&output) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_build_is_an_error_with_the_compilers_words() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(folder.path().join("build")).unwrap();
        let mut command = leashed("sh");
        command.args(["-c", "echo package/a >&2; echo no network >&2; exit 2"]).stderr(Stdio::piped());
        let mut seen = Vec::new();
        let error = workspace
            .run(command, "go build", &mut Progress::start(), |line, _| seen.push(line.to_owned()))
            .unwrap_err();
        seen.retain(|line| !line.is_empty());
        assert_eq!(seen, ["package/a", "no network"]);
        assert!(matches!(&error, Error::Build { status, .. } if status.code() == Some(2)), "{error}");
        assert!(error.to_string().ends_with("package/a\nno network"), "{error}");
    }

    #[test]
    fn binaries_appear_whole_in_place_of_what_a_killed_build_left() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("v1");
        fs::create_dir(&place).unwrap();
        fs::write(place.join(ETCD), "half").unwrap();
        fs::create_dir(with_suffix(&place, ".building")).unwrap();
        fs::write(with_suffix(&place, ".building").join("left"), "").unwrap();

        let workspace = Workspace::create(with_suffix(&place, ".building")).unwrap();
        assert!(!workspace.root.join("left").exists());
        fs::write(workspace.root.join("bin/kube-apiserver"), "one").unwrap();
        fs::write(workspace.root.join("bin").join(ETCD_AS_BUILT), "two").unwrap();
        workspace.publish(&place).unwrap();

        let binaries = Binaries::in_folder(&place).unwrap();
        assert_eq!(fs::read_to_string(binaries.etcd).unwrap(), "two");
        assert!(!with_suffix(&place, ".building").exists());
    }

    #[test]
    fn the_second_builder_waits_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v1.lock");
        let first = lock(&path, &mut Progress::start()).unwrap();
        let (sender, order) = mpsc::channel();
        thread::scope(|scope| {
            let (second, path) = (sender, &path);
            scope.spawn(move || {
                let _lock = lock(path, &mut Progress::start()).unwrap();
                second.send("second holds the lock").unwrap();
            });
            // Long enough for a lock that does not lock to show, and no test fails where the machine is slower.
            assert_eq!(order.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
            drop(first);
            assert_eq!(order.recv().unwrap(), "second holds the lock");
        });
    }
}
