//! The archives of the kubectl plugin and its manifest for krew. krew itself checks the manifest and installs each archive.

use crate::support::root;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::UNIX_EPOCH;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The platforms of a release, and the names that krew has for the operating system and the processor.
const PLATFORMS: [(&str, &str, &str); 3] =
    [("linux-amd64", "linux", "amd64"), ("linux-arm64", "linux", "arm64"), ("macos-arm64", "darwin", "arm64")];

/// `kubectl krew search` shows about this many letters of a short description.
const LETTERS_OF_A_SHORT_DESCRIPTION: usize = 50;

#[test]
fn an_archive_of_the_plugin_holds_the_binary_its_completion_its_man_pages_and_the_licence() {
    let release = Release::packed();
    let git = Command::new("git").current_dir(root()).args(["log", "-1", "--format=%ct"]).output().unwrap();
    let committed: u64 = String::from_utf8(git.stdout).unwrap().trim().parse().unwrap();
    for (platform, _, _) in PLATFORMS {
        let folder = release.unpacked(platform);
        let file = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(file("kubectl-cognigy"), binary_of(platform));
        assert_eq!(
            file("kubectl_complete-cognigy"),
            fs::read_to_string(root().join("crates/kubectl-cognigy/kubectl_complete-cognigy")).unwrap()
        );
        assert_eq!(file("LICENSE"), fs::read_to_string(root().join("LICENSE")).unwrap());
        assert_eq!(file("man/kubectl-cognigy.1"), "all commands\n");
        assert_eq!(file("man/kubectl-cognigy-wait.1"), "one command\n");
        for (name, mode) in [("kubectl-cognigy", 0o755), ("kubectl_complete-cognigy", 0o755), ("LICENSE", 0o644)] {
            assert_eq!(mode_of(&folder.join(name)), mode, "{platform}: {name}");
            // The time of the commit, so that the same commit gives the same archives at any time.
            let packed = fs::metadata(folder.join(name)).unwrap().modified().unwrap();
            assert_eq!(packed.duration_since(UNIX_EPOCH).unwrap().as_secs(), committed, "{platform}: {name}");
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4, "{platform} holds nothing else");
    }
}

#[test]
fn the_same_files_give_the_same_archives_and_the_same_manifest() {
    let [first, second] = [Release::packed(), Release::packed()];
    let mut names: Vec<_> = fs::read_dir(first.dist()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), PLATFORMS.len() + 1, "{names:?}");
    for name in names {
        let [one, other] = [&first, &second].map(|release| fs::read(release.dist().join(&name)).unwrap());
        assert!(one == other, "{} differs", name.display());
    }
}

#[test]
fn a_missing_file_is_named_with_the_command_that_makes_it() {
    for file in ["kubectl-cognigy", "man/kubectl-cognigy.1"] {
        let release = Release::built();
        fs::remove_file(release.built.path().join("built-linux-arm64").join(file)).unwrap();
        let output = release.run("dev/release/plugin");
        assert!(!output.status.success(), "{file}");
        let said = errors(&output);
        assert!(said.contains(&format!("linux-arm64/{file} is missing: ")), "{said}");
        assert!(said.contains("kubectl-cognigy man --directory man"), "{said}");
    }
    let release = Release::built();
    let output = Command::new(root().join("dev/release/krew")).arg(release.dist()).output().unwrap();
    assert!(!output.status.success() && errors(&output).contains("run dev/release/plugin first"), "{output:?}");
}

#[test]
fn the_workflow_keeps_the_plugin_and_its_man_pages_for_each_platform() {
    let workflow = read(".github/workflows/release.yaml");
    for (platform, _, _) in PLATFORMS {
        let names = [format!(" name: {platform}, "), format!(" name: built-{platform}\n")];
        assert!(names.iter().any(|name| workflow.contains(name)), "no job builds {platform}");
    }
    // The first is for both Linux platforms, the second for macOS.
    let kept = ["cp -R plugin/kubectl-cognigy plugin/man built/", "built/kubectl-cognigy man --directory built/man"];
    for command in kept {
        assert_eq!(workflow.matches(&format!("          {command}\n")).count(), 1, "{command}");
    }
    assert_eq!(read("Dockerfile").matches("/kubectl-cognigy man --directory /man\n").count(), 1);
}

#[test]
fn krew_accepts_the_manifest_and_it_names_the_files_of_the_release() {
    let release = Release::packed();
    let checked = go(&["tool", "validate-krew-manifest", "-skip-install", "-manifest"], &release.manifest());
    assert!(checked.status.success(), "{}", errors(&checked));

    let manifest: Value = serde_saphyr::from_str(&fs::read_to_string(release.manifest()).unwrap()).unwrap();
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], format!("v{VERSION}"));
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(short.chars().count() <= LETTERS_OF_A_SHORT_DESCRIPTION, "{short}");
    let platforms = spec["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), PLATFORMS.len());
    // The workflow uploads every file of DIST to the release of the tag.
    let home = spec["homepage"].as_str().unwrap();
    assert!(read("charts/cognigy-operator/Chart.yaml").contains(&format!("\nhome: {home}\n")), "{home}");
    for (platform, (name, _, _)) in platforms.iter().zip(PLATFORMS) {
        let file = format!("{}.tar.gz", archive(name));
        assert!(release.dist().join(&file).is_file(), "{file}");
        assert_eq!(platform["uri"], format!("{home}/releases/download/v{VERSION}/{file}"));
    }
}

#[test]
fn krew_refuses_a_manifest_without_a_version() {
    let release = Release::packed();
    let text = fs::read_to_string(release.manifest()).unwrap();
    fs::write(release.manifest(), text.replace(&format!("  version: v{VERSION}\n"), "")).unwrap();
    let checked = go(&["tool", "validate-krew-manifest", "-skip-install", "-manifest"], &release.manifest());
    assert!(!checked.status.success() && errors(&checked).contains("version"), "{}", errors(&checked));
}

#[test]
fn krew_installs_the_archive_of_each_platform_and_no_other_archive() {
    let release = Release::packed();
    for (platform, system, processor) in PLATFORMS {
        let home = tempfile::tempdir().unwrap();
        let install = |archive: &Path| {
            let mut krew = Command::new("go");
            krew.current_dir(root().join("dev/tools/krew"));
            krew.args(["tool", "krew", "install", "--manifest"]).arg(release.manifest()).arg("--archive").arg(archive);
            krew.env("KREW_ROOT", home.path()).env("KREW_OS", system).env("KREW_ARCH", processor);
            krew.env("KREW_NO_UPGRADE_CHECK", "1").output().expect("Go 1.26 or newer is on the PATH")
        };
        for (other, _, _) in PLATFORMS.into_iter().filter(|(other, _, _)| *other != platform) {
            let output = install(&release.archive(other));
            assert!(!output.status.success(), "the archive for {other} was installed on {platform}");
            assert!(errors(&output).contains("checksum does not match"), "{}", errors(&output));
        }
        let output = install(&release.archive(platform));
        assert!(output.status.success(), "{platform}: {}", errors(&output));
        let linked = home.path().join("bin/kubectl-cognigy");
        assert_eq!(fs::read_to_string(&linked).unwrap(), binary_of(platform));
        assert_eq!(mode_of(&linked) & 0o111, 0o111, "{platform}");
        assert!(home.path().join(format!("store/cognigy/v{VERSION}/LICENSE")).is_file(), "{platform}");
    }
}

/// The files of a release, packed from stand-ins for the binaries.
struct Release {
    built: tempfile::TempDir,
    dist: tempfile::TempDir,
}

impl Release {
    /// What the jobs of the workflow leave: artifacts do not keep the modes of files.
    fn built() -> Self {
        let [built, dist] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (platform, _, _) in PLATFORMS {
            let folder = built.path().join(format!("built-{platform}"));
            fs::create_dir_all(folder.join("man")).unwrap();
            fs::write(folder.join("kubectl-cognigy"), binary_of(platform)).unwrap();
            fs::write(folder.join("man/kubectl-cognigy.1"), "all commands\n").unwrap();
            fs::write(folder.join("man/kubectl-cognigy-wait.1"), "one command\n").unwrap();
        }
        Self { built, dist }
    }

    fn packed() -> Self {
        let release = Self::built();
        let output = release.run("dev/release/plugin");
        assert!(output.status.success(), "{}", errors(&output));
        let output = Command::new(root().join("dev/release/krew")).arg(release.dist()).output().unwrap();
        assert!(output.status.success(), "{}", errors(&output));
        release
    }

    fn run(&self, script: &str) -> Output {
        Command::new(root().join(script)).arg(self.built.path()).arg(self.dist()).output().unwrap()
    }

    fn dist(&self) -> &Path {
        self.dist.path()
    }

    fn manifest(&self) -> PathBuf {
        self.dist().join("cognigy.yaml")
    }

    fn archive(&self, platform: &str) -> PathBuf {
        self.dist().join(format!("{}.tar.gz", archive(platform)))
    }

    /// The folder with the content of an archive.
    fn unpacked(&self, platform: &str) -> PathBuf {
        let folder = self.built.path().join(platform);
        fs::create_dir(&folder).unwrap();
        let tar = Command::new("tar").arg("-xzf").arg(self.archive(platform)).arg("-C").arg(&folder).status().unwrap();
        assert!(tar.success());
        folder.join(archive(platform))
    }
}

/// The name of an archive, without its ending, and of the folder in it.
fn archive(platform: &str) -> String {
    format!("kubectl-cognigy-{VERSION}-{platform}")
}

fn binary_of(platform: &str) -> String {
    format!("a binary for {platform}\n")
}

/// Runs a program of dev/tools/krew on a file.
fn go(arguments: &[&str], file: &Path) -> Output {
    let mut go = Command::new("go");
    go.current_dir(root().join("dev/tools/krew")).args(arguments).arg(file);
    go.output().expect("Go 1.26 or newer is on the PATH")
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
