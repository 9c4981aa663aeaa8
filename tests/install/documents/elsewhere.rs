//! The commands that these tests do not run, with the reason for each, and with a check of its arguments.

use super::command::{variables, without_variables};
use crate::support::root;
use clap::{Args, Command};
use cognigy_operator::command::deploy::DeployArguments;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Commands that are not run.
pub(crate) struct Elsewhere {
    /// The beginning of these commands.
    pub(crate) begins: &'static str,
    /// The reason why they are not run.
    why: &'static str,
    /// The check that replaces a run.
    judge: fn(&str),
}

impl Elsewhere {
    /// The row for a command, if there is one.
    pub(crate) fn of(command: &str) -> Option<&'static Self> {
        let command = without_variables(command);
        ELSEWHERE.iter().find(|row| command.starts_with(row.begins))
    }

    /// All rows.
    pub(crate) fn all() -> BTreeSet<&'static str> {
        ELSEWHERE.iter().map(|row| row.begins).collect()
    }

    /// Checks the arguments of a command.
    pub(crate) fn judge(&self, page: &str, command: &str) {
        println!("{page}: {command}\n    is not run: {}", self.why);
        (self.judge)(command);
    }
}

const PODS: &str = "it waits for pods or asks them, and nothing runs pods here";

/// Why nothing of a release can be verified in these tests.
const NO_RELEASE: &str = "it needs a release in a registry";

const DEPLOYED: &str =
    "tests/deploy runs it: the addresses are in the manifest, and here the simulator has another one";

const RELEASE: &str = ".github/workflows/release.yaml";

static ELSEWHERE: [Elsewhere; 27] = [
    Elsewhere { begins: "cargo test", why: "it is this run of the tests, or a part of it", judge: names_tests },
    Elsewhere { begins: "cargo run -p cognigy-demo", why: "it is a step of .ci/run", judge: names_the_demo },
    Elsewhere { begins: "cargo build", why: "it is a long build; .ci/run tests what it builds", judge: names_features },
    Elsewhere { begins: "cargo install", why: "it is a long build of what is tested", judge: names_a_binary },
    Elsewhere {
        begins: "cargo bench",
        why: "it measures for long; .ci/run checks that it builds",
        judge: names_a_benchmark,
    },
    Elsewhere {
        begins: "dev/mutants/run",
        why: ".ci/run runs the check; the rest builds for an hour",
        judge: names_mutants,
    },
    Elsewhere { begins: "dev/sbom", why: "it takes a tool that .ci/run uses if it is there", judge: is_in_ci },
    Elsewhere { begins: "dev/release/pack", why: "it packs the binaries of a release", judge: packs_a_platform },
    Elsewhere {
        begins: "tar -xzf kubectl-cognigy",
        why: "it needs an archive of a release; tests/install/plugin.rs unpacks one",
        judge: names_an_archive_of_the_plugin,
    },
    Elsewhere {
        begins: "kubectl krew",
        why: "it needs a release; tests/install/plugin.rs lets krew install archives",
        judge: names_the_plugin_to_krew,
    },
    Elsewhere { begins: "cargo run -- deploy", why: DEPLOYED, judge: deploys_a_file },
    Elsewhere { begins: "cognigy-operator deploy", why: DEPLOYED, judge: deploys_a_file },
    Elsewhere { begins: "git tag", why: "it begins a release", judge: names_a_tag },
    Elsewhere { begins: "cosign verify", why: NO_RELEASE, judge: names_the_signer },
    Elsewhere { begins: "gh attestation verify", why: NO_RELEASE, judge: names_the_repository },
    Elsewhere { begins: "helm pull oci://", why: NO_RELEASE, judge: names_the_chart },
    Elsewhere { begins: "sha256sum --check", why: NO_RELEASE, judge: names_the_checksums },
    Elsewhere { begins: "git diff", why: "it shows what somebody has changed", judge: names_a_folder },
    Elsewhere { begins: "docker", why: "it needs a container engine and a registry", judge: names_build_arguments },
    Elsewhere { begins: "kind", why: "it needs a container engine", judge: names_the_tutorials_cluster },
    Elsewhere { begins: "argocd", why: "it needs an Argo CD", judge: names_an_application },
    Elsewhere { begins: "flux", why: "it needs a Flux", judge: names_a_kustomization },
    Elsewhere {
        begins: "kubectl cognigy",
        why: "a test of the plugin reads each of these command lines (crates/kubectl-cognigy/src/pages.rs)",
        judge: names_a_command_of_the_plugin,
    },
    Elsewhere { begins: "helm test", why: PODS, judge: names_the_release },
    Elsewhere { begins: "kubectl -n cognigy-system rollout status", why: PODS, judge: names_the_deployment },
    Elsewhere { begins: "kubectl -n cognigy-system logs", why: PODS, judge: names_the_deployment },
    Elsewhere { begins: "kubectl -n cognigy-system port-forward", why: PODS, judge: names_the_deployment },
];

/// The test binaries, modules, functions, profiles and variables exist.
fn names_tests(command: &str) {
    let sources = sources();
    let read = |text: &str| sources.iter().any(|source| source.contains(text));
    for variable in variables(command) {
        assert!(read(&format!("\"{variable}\"")), "nothing reads {variable}: {command}");
    }
    let mut words = words(command).skip(2).take_while(|word| *word != "--" && *word != "#");
    while let Some(word) = words.next() {
        match word {
            "--workspace" | "--lib" => {}
            "--test" => {
                let name = words.next().unwrap();
                let files = ["tests/{}/main.rs", "dev/controlplane/tests/{}.rs", "examples/demo/tests/{}.rs"];
                assert!(files.iter().any(|file| is_there(&file.replace("{}", name))), "{command}");
            }
            "-p" => {
                let name = format!("name = \"{}\"", words.next().unwrap());
                assert!(manifest().contains(&name) || crate_manifests().contains(&name), "{command}");
            }
            "--profile" => assert!(manifest().contains(&format!("[profile.{}]", words.next().unwrap())), "{command}"),
            "--features" => names_feature(words.next().unwrap(), command),
            filter => {
                assert!(!filter.starts_with('-'), "this test does not know the argument {filter}: {command}");
                for part in filter.split("::") {
                    assert!(
                        read(&format!("mod {part}")) || read(&format!("fn {part}")),
                        "there is no test or module {part}: {command}"
                    );
                }
            }
        }
    }
}

/// The manifest is one of the examples, or the reader's own, and `deploy` has the flags.
fn deploys_a_file(command: &str) {
    let mut arguments = words(command).skip_while(|word| *word != "deploy").skip(1).take_while(|word| *word != "<");
    let arguments = std::iter::once("deploy").chain(arguments.by_ref());
    let definition = DeployArguments::augment_args(Command::new("deploy"));
    let matches = definition.try_get_matches_from(arguments).unwrap_or_else(|error| panic!("{command}: {error}"));
    for file in matches.get_many::<PathBuf>("filenames").unwrap() {
        let is_own = ["-", "release.yaml", "FILE"].iter().any(|own| file == Path::new(own));
        assert!(is_own || is_there(file.to_str().unwrap()), "{command}");
    }
}

/// The folder holds a crate with a binary.
fn names_a_binary(command: &str) {
    let folder = after(command, "--path");
    assert!(is_there(&format!("{folder}/Cargo.toml")) && is_there(&format!("{folder}/src/main.rs")), "{command}");
}

/// The plugin has the command, and the files are there.
fn names_a_command_of_the_plugin(command: &str) {
    let commands = read("crates/kubectl-cognigy/src/commands/mod.rs");
    let name = words(command).nth(2).unwrap();
    let variant = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let is_known =
        [format!("    {variant}("), format!("    {variant},")].iter().any(|line| commands.contains(line.as_str()));
    assert!(is_known, "the plugin has no {name}: {command}");
    for file in words(command).filter(|word| word.starts_with("deploy/")) {
        assert!(is_there(file), "{file} is not there: {command}");
    }
}

fn names_the_demo(command: &str) {
    assert!(read(".ci/run").contains("cargo run --locked -p cognigy-demo"), "{command} is no step of .ci/run");
    let arguments = read("examples/demo/src/main.rs");
    for flag in words(command).skip_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--")) {
        assert!(flag.is_empty() || arguments.contains(&format!("    {flag}: ")), "the demo has no --{flag}: {command}");
    }
}

fn is_in_ci(command: &str) {
    assert!(read(".ci/run").contains("step sbom dev/sbom --check"), "{command}: no step of .ci/run uses it");
}

fn packs_a_platform(command: &str) {
    let folders: Vec<&str> = words(command).skip(1).collect();
    assert!(read(RELEASE).contains(&format!("run: dev/release/pack {}\n", folders.join(" "))), "{command}");
}

/// The archive is one of this version, for a platform that is packed, and its folder has the same name.
fn names_an_archive_of_the_plugin(command: &str) {
    let archive = words(command).nth(2).unwrap();
    let folder = archive.strip_suffix(".tar.gz").unwrap();
    let platform = folder.strip_prefix(concat!("kubectl-cognigy-", env!("CARGO_PKG_VERSION"), "-"));
    let platform = platform.unwrap_or_else(|| panic!("{command}: {archive} is not of this version"));
    assert!(read("dev/release/archive.sh").contains(&format!("\n        {platform}) ")), "{command}");
    assert!(words(command).any(|word| word == format!("{folder}/kubectl*")), "{command}");
}

/// krew gets the manifest of a release, or the plugin's name in it.
fn names_the_plugin_to_krew(command: &str) {
    let script = read("dev/release/krew");
    let found = match words(command).nth(2) {
        Some("install") => {
            let file = words(command).find_map(|word| word.strip_prefix("--manifest=")).unwrap();
            format!("/{file}\" <<MANIFEST")
        }
        Some("uninstall") => format!("\n  name: {}\n", words(command).nth(3).unwrap()),
        _ => panic!("this test does not know the command: {command}"),
    };
    assert!(script.contains(&found), "{command}");
}

/// The workflow runs for this tag, and the tag is for this version.
fn names_a_tag(command: &str) {
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    assert!(read(RELEASE).contains("tags: [\"v*\"]"), "{command}");
    assert!(command.contains(&format!("--sign {tag} ")) && command.ends_with(&format!("origin {tag}")), "{command}");
}

/// The identity is the workflow that signs, at this version's tag, and so is what is signed.
fn names_the_signer(command: &str) {
    let version = env!("CARGO_PKG_VERSION");
    let identity = after(command, "--certificate-identity");
    assert!(identity.ends_with(&format!("/{RELEASE}@refs/tags/v{version}")), "{command}");
    assert!(identity.starts_with(&repository()), "{command}");
    let signed = words(command).nth(2).unwrap();
    match signed.rsplit_once(':') {
        Some((name, tag)) => {
            let places = ["IMAGE", "CHARTS"].map(|place| value(RELEASE, place));
            let is_pushed = name == places[0] || name == format!("{}/cognigy-operator", places[1]);
            assert!(is_pushed && tag == version, "{command}: nothing pushes {signed}");
        }
        None => {
            names_the_checksums(command);
            assert!(read("dev/release/push").contains(after(command, "--bundle")), "{command}");
        }
    }
}

fn names_the_repository(command: &str) {
    assert!(repository().ends_with(&format!("/{}", after(command, "--repo"))), "{command}");
    let image = format!("oci://{}:{}", value(RELEASE, "IMAGE"), env!("CARGO_PKG_VERSION"));
    assert!(words(command).any(|word| word == image), "{command}");
}

fn names_the_chart(command: &str) {
    let chart = format!("oci://{}/{}", value(RELEASE, "CHARTS"), value("charts/cognigy-operator/Chart.yaml", "name"));
    assert!(words(command).any(|word| word == chart), "{command}");
    assert_eq!(after(command, "--version"), env!("CARGO_PKG_VERSION"), "{command}");
}

fn names_the_checksums(command: &str) {
    let file = words(command).find(|word| word.ends_with(".txt")).unwrap();
    assert!(read("dev/release/pack").contains(&format!("/{file}")), "{command}");
}

/// The URL of the repository.
fn repository() -> String {
    value("charts/cognigy-operator/Chart.yaml", "home")
}

/// The first value of a key in a YAML file.
fn value(path: &str, name: &str) -> String {
    let text = read(path);
    let opening = format!("{name}: ");
    let value = text.lines().find_map(|line| line.trim_start().strip_prefix(&opening));
    value.unwrap_or_else(|| panic!("{path} has no {name}")).to_owned()
}

fn names_features(command: &str) {
    for feature in words(command).skip_while(|word| *word != "--features").skip(1).take(1) {
        names_feature(feature, command);
    }
}

fn names_feature(feature: &str, command: &str) {
    assert!(manifest().contains(&format!("\n{feature} = [")), "{command}");
    assert!(read(".ci/run").contains(&format!("--features {feature}")), "{command}: no step has this feature");
}

fn names_a_benchmark(command: &str) {
    let name = after(command, "--bench");
    assert!(manifest().contains(&format!("[[bench]]\nname = \"{name}\"")), "{command}");
    let own = words(command).skip_while(|word| *word != "--").skip(1).take_while(|word| *word != "#");
    for word in own {
        let (file, text) = match word.strip_prefix("--") {
            Some(flag) => ("main.rs", format!("{flag}: bool")),
            None => ("plan.rs", format!("name: \"{word}\"")),
        };
        assert!(read(&format!("benches/{name}/{file}")).contains(&text), "{command}: nothing reads {word}");
    }
}

fn names_mutants(command: &str) {
    let patches: Vec<String> = std::fs::read_dir(root().join("dev/mutants"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for word in words(command).skip(1).take_while(|word| *word != "#") {
        match word {
            "--check" => assert!(read(".ci/run").contains("dev/mutants/run --check"), "{command}"),
            word => assert!(patches.iter().any(|patch| patch.contains(word)), "no mutant is called {word}"),
        }
    }
}

fn names_a_folder(command: &str) {
    assert!(is_there(after(command, "--")), "{command}");
}

fn names_build_arguments(command: &str) {
    let dockerfile = read("Dockerfile");
    let mut arguments = words(command).skip_while(|word| *word != "--build-arg").peekable();
    assert!(arguments.peek().is_some(), "{command} has no build arguments");
    while let Some(word) = arguments.next() {
        if word == "--build-arg" {
            let name = arguments.next().unwrap().split('=').next().unwrap();
            assert!(dockerfile.contains(&format!("ARG {name}")), "the Dockerfile has no argument {name}");
        }
    }
}

/// The cluster and the image have the names that the tutorial uses everywhere.
fn names_the_tutorials_cluster(command: &str) {
    assert_eq!(after(command, "--name"), "cognigy", "{command}");
    if command.contains("docker-image") {
        assert_eq!(
            after(command, "docker-image"),
            concat!("cognigy-operator:", env!("CARGO_PKG_VERSION")),
            "{command}"
        );
    }
}

fn names_an_application(command: &str) {
    let name = words(command).nth(3).unwrap();
    assert!(read("deploy/gitops/argo-cd/application.yaml").contains(&format!("name: {name}\n")), "{command}");
}

fn names_a_kustomization(command: &str) {
    let name = words(command).nth(3).unwrap();
    assert!(read("deploy/gitops/flux/kustomization.yaml").contains(&format!("name: {name}\n")), "{command}");
}

fn names_the_release(command: &str) {
    assert!(command.contains("cognigy-operator") && command.contains("--namespace cognigy-system"), "{command}");
}

fn names_the_deployment(command: &str) {
    let named = command.contains("deployment/cognigy-operator") || command.contains("deploy/cognigy-operator");
    assert!(named, "{command} does not name the Deployment");
}

fn words(command: &str) -> impl Iterator<Item = &str> {
    without_variables(command).split_whitespace()
}

fn after<'c>(command: &'c str, flag: &str) -> &'c str {
    words(command).skip_while(|word| *word != flag).nth(1).unwrap_or_else(|| panic!("{command} has no {flag}"))
}

fn is_there(path: &str) -> bool {
    root().join(path).exists()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest() -> String {
    read("Cargo.toml")
}

/// The manifests of the workspace's other crates, one after the other.
fn crate_manifests() -> String {
    let folders = ["crates", "dev", "examples"].map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let manifests = folders.into_iter().flatten().map(|folder| folder.unwrap().path().join("Cargo.toml"));
    manifests.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// The contents of all source files.
fn sources() -> Vec<String> {
    let mut texts = Vec::new();
    for folder in ["src", "crates", "tests"] {
        gather(&root().join(folder), &mut texts);
    }
    assert!(texts.len() > 100, "too few sources were found");
    texts
}

fn gather(folder: &Path, texts: &mut Vec<String>) {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in entries {
        if path.is_dir() {
            gather(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}
