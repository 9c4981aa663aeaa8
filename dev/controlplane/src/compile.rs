//! Builds a recipe's programs from released sources with `go build`. This takes minutes, once for each machine and
//! version.

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
    error::{Error, Trying},
    process::{Process, last_lines, leashed},
    progress::Progress,
    recipe::Recipe,
};

/// How often progress is updated while the compiler prints nothing.
const TICK: Duration = Duration::from_secs(1);

/// Builds the programs into `folder`, or waits for another process that builds them.
///
/// `folder` appears complete or not at all, because it is renamed into place. The kernel owns the lock, so it becomes
/// free again even if its holder crashes.
pub(crate) fn compile_into(recipe: &Recipe, folder: &Path) -> Result<(), Error> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).trying(|| format!("make the folder {}", parent.display()))?;
    }
    let mut progress = Progress::start(recipe.cache);
    let _lock = lock(recipe, &with_suffix(folder, ".lock"), &mut progress)?;
    if recipe.missing_in(folder).is_none() {
        return Ok(());
    }
    ask_for_go(recipe)?;

    let workspace = Workspace::create(recipe, with_suffix(folder, ".building"))?;
    let packages = workspace.count_packages(&mut progress)?;
    workspace.build(packages, &mut progress)?;
    workspace.publish(folder)?;
    progress.say(&format!("built {} ({}) into {}", recipe.wanted, recipe.release, folder.display()));
    match recipe.missing_in(folder) {
        None => Ok(()),
        Some(missing) => Err(recipe.none(&format!("the build made no {missing}"))),
    }
}

fn with_suffix(folder: &Path, suffix: &str) -> PathBuf {
    let mut path = folder.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Takes the lock. It is held until the file is dropped.
fn lock(recipe: &Recipe, path: &Path, progress: &mut Progress) -> Result<File, Error> {
    let action = || format!("lock {}", path.display());
    let file = File::create(path).trying(action)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.say(&format!("another process is building {}; waiting for it", recipe.wanted));
            file.lock().trying(action)?;
        }
        Err(TryLockError::Error(source)) => {
            return Err(Error::System { action: action(), source });
        }
    }
    Ok(file)
}

fn ask_for_go(recipe: &Recipe) -> Result<(), Error> {
    match Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(recipe.none("there is no `go` in PATH")),
        Err(source) => Err(Error::System { action: "run `go version`".to_owned(), source }),
    }
}

/// A folder with the module file and, later, the binaries. Only the holder of the lock has such a folder.
struct Workspace<'r> {
    recipe: &'r Recipe,
    root: PathBuf,
}

impl<'r> Workspace<'r> {
    /// Starts with an empty folder: the files of a killed build are removed.
    fn create(recipe: &'r Recipe, root: PathBuf) -> Result<Self, Error> {
        let action = || format!("prepare {}", root.display());
        if root.exists() {
            fs::remove_dir_all(&root).trying(action)?;
        }
        fs::create_dir_all(root.join("bin")).trying(action)?;
        fs::write(root.join("go.mod"), recipe.go_mod).trying(action)?;
        fs::write(root.join("go.sum"), recipe.go_sum).trying(action)?;
        Ok(Self { recipe, root })
    }

    /// Downloads the modules and returns the maximum number of packages to compile; Go's own cache may already have
    /// some.
    fn count_packages(&self, progress: &mut Progress) -> Result<usize, Error> {
        let list = self.root.join("packages");
        let action = || format!("write {}", list.display());
        let mut command = self.go(["list", "-mod=readonly", "-deps"]);
        command.args(self.packages()).stdout(File::create(&list).trying(action)?);
        let mut downloaded = 0;
        self.run(command, "go list", progress, |line, progress| {
            if line.starts_with("go: downloading") {
                downloaded += 1;
            }
            progress.show(&format!("downloading {} (once): module {downloaded}", self.recipe.release));
        })?;
        Ok(fs::read_to_string(&list).trying(|| format!("read {}", list.display()))?.lines().count())
    }

    fn build(&self, packages: usize, progress: &mut Progress) -> Result<(), Error> {
        let mut command = self.go(["build", "-v", "-mod=readonly", "-ldflags", self.recipe.linker_flags, "-o"]);
        // Because of the slash, Go treats the path as a folder and chooses the file names itself.
        command.arg(self.root.join("bin/")).args(self.packages()).stdout(Stdio::null());
        let mut compiled = 0;
        self.run(command, "go build", progress, |line, progress| {
            if !line.is_empty() && !line.contains(' ') {
                compiled += 1;
            }
            progress.show(&format!("building {} (once): package {compiled} of {packages}", self.recipe.release));
        })
    }

    /// Moves the binaries into place in one step.
    fn publish(self, folder: &Path) -> Result<(), Error> {
        let action = || format!("move the binaries to {}", folder.display());
        let built = self.root.join("bin");
        for program in self.recipe.programs.iter().filter(|program| program.built_as != program.name) {
            fs::rename(built.join(program.built_as), built.join(program.name)).trying(action)?;
        }
        if folder.exists() {
            fs::remove_dir_all(folder).trying(action)?;
        }
        fs::rename(built, folder).trying(action)?;
        fs::remove_dir_all(&self.root).trying(|| format!("remove {}", self.root.display()))
    }

    fn packages(&self) -> impl Iterator<Item = &'static str> {
        self.recipe.programs.iter().map(|program| program.package)
    }

    /// `go` in this folder. A Go workspace around the folder or in the environment has no effect.
    fn go<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = leashed("go");
        command.args(arguments.map(OsStr::new)).current_dir(&self.root).env("GOWORK", "off").stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end. `on_line` receives each line of its standard error, and an empty line every second.
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
        Err(Error::Build {
            wanted: self.recipe.wanted,
            command: name.to_owned(),
            status,
            log_tail: last_lines(&output),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::recipe::EXAMPLE;

    #[test]
    fn the_error_of_a_failed_build_shows_the_output_of_the_compiler() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(&EXAMPLE, folder.path().join("build")).unwrap();
        let mut command = leashed("sh");
        command.args(["-c", "echo package/a >&2; echo no network >&2; exit 2"]).stderr(Stdio::piped());
        let mut seen = Vec::new();
        let error = workspace
            .run(command, "go build", &mut Progress::start("example"), |line, _| seen.push(line.to_owned()))
            .unwrap_err();
        seen.retain(|line| !line.is_empty());
        assert_eq!(seen, ["package/a", "no network"]);
        assert!(matches!(&error, Error::Build { status, .. } if status.code() == Some(2)), "{error}");
        assert!(error.to_string().ends_with("package/a\nno network"), "{error}");
    }

    #[test]
    fn complete_binaries_replace_the_files_of_a_killed_build() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("v1");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("two"), "half").unwrap();
        fs::create_dir(with_suffix(&place, ".building")).unwrap();
        fs::write(with_suffix(&place, ".building").join("left"), "").unwrap();

        let workspace = Workspace::create(&EXAMPLE, with_suffix(&place, ".building")).unwrap();
        assert!(!workspace.root.join("left").exists());
        fs::write(workspace.root.join("bin/one"), "one").unwrap();
        fs::write(workspace.root.join("bin/server"), "two").unwrap();
        workspace.publish(&place).unwrap();

        assert_eq!(EXAMPLE.missing_in(&place), None);
        assert_eq!(fs::read_to_string(place.join("two")).unwrap(), "two");
        assert!(!with_suffix(&place, ".building").exists());
    }

    #[test]
    fn the_second_builder_waits_until_the_first_releases_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v1.lock");
        let first = lock(&EXAMPLE, &path, &mut Progress::start("example")).unwrap();
        let (sender, order) = mpsc::channel();
        thread::scope(|scope| {
            let (second, path) = (sender, &path);
            scope.spawn(move || {
                let _lock = lock(&EXAMPLE, path, &mut Progress::start("example")).unwrap();
                second.send("second holds the lock").unwrap();
            });
            // This is long enough to detect a lock that does not lock. A slower machine does not make the test fail.
            assert_eq!(order.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
            drop(first);
            assert_eq!(order.recv().unwrap(), "second holds the lock");
        });
    }
}
