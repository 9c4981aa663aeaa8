//! The release workflow, and the scripts that check the version and print the release notes.

use crate::support::root;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files that `dev/release/check` reads.
const CHECKED: [&str; 7] = [
    "dev/release/check",
    "Cargo.toml",
    "Cargo.lock",
    "CHANGELOG.md",
    "Dockerfile",
    "charts/cognigy-operator/Chart.yaml",
    "deploy/base/kustomization.yaml",
];

#[test]
fn every_action_of_a_workflow_is_pinned_to_one_commit_and_names_its_version() {
    let mut pins = BTreeMap::new();
    for entry in std::fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for used in text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: ")) {
            if used.starts_with("./") {
                continue;
            }
            let (action, pin) = used.split_once('@').unwrap_or_else(|| panic!("{used} has no version"));
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{used} names no version"));
            assert!(commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit()), "{used}");
            assert_eq!(version.split('.').count(), 3, "{used} names a whole version");
            let known = pins.entry(action.to_owned()).or_insert_with(|| pin.to_owned());
            assert_eq!(known, pin, "{action} has one version in all workflows");
        }
    }
    assert!(pins.len() > 5, "actions were found: {pins:?}");
}

#[test]
fn a_release_pushes_the_image_to_the_repository_that_the_chart_and_kustomize_use() {
    let workflow = read(".github/workflows/release.yaml");
    let image = workflow.lines().find_map(|line| line.strip_prefix("  IMAGE: ")).unwrap();
    assert!(read("charts/cognigy-operator/values.yaml").contains(&format!("  repository: {image}\n")), "{image}");
    assert!(read("deploy/base/kustomization.yaml").contains(&format!("    newName: {image}\n")), "{image}");
}

#[test]
fn the_version_of_a_release_is_the_same_in_all_files() {
    let output = check(root(), &[]);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{VERSION}\n"));
}

#[test]
fn a_file_with_another_version_is_reported_by_its_name() {
    let other = "98.76.54";
    let changes = [
        ("charts/cognigy-operator/Chart.yaml", format!("\nversion: {VERSION}"), "version is 98.76.54"),
        ("charts/cognigy-operator/Chart.yaml", format!("appVersion: {VERSION}"), "appVersion is 98.76.54"),
        ("deploy/base/kustomization.yaml", format!("newTag: {VERSION}"), "newTag is 98.76.54"),
        ("Dockerfile", format!("\nARG VERSION={VERSION}"), "ARG VERSION is 98.76.54"),
        ("Cargo.lock", format!("name = \"cognigy-operator\"\nversion = \"{VERSION}\""), "cognigy-operator is 98.76.54"),
        ("CHANGELOG.md", format!("\n## {VERSION} "), "the first section is \"98.76.54"),
    ];
    for (file, text, complaint) in changes {
        let copy = copy_of_checked_files();
        replace(&copy.path().join(file), &text, &text.replace(VERSION, other));
        let output = check(copy.path(), &[]);
        assert!(!output.status.success(), "{file}: {text}");
        let errors = errors(&output);
        assert!(errors.starts_with(&format!("{file}: {complaint}")), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_tag_needs_this_version_and_a_date_in_the_changelog() {
    let copy = copy_of_checked_files();
    let changelog = copy.path().join("CHANGELOG.md");
    let text = std::fs::read_to_string(&changelog).unwrap();
    let heading = text.lines().find(|line| line.starts_with("## ")).unwrap();
    let tag = format!("v{VERSION}");

    std::fs::write(&changelog, text.replace(heading, &format!("## {VERSION} (not released yet)"))).unwrap();
    let output = check(copy.path(), &[&tag]);
    assert!(!output.status.success() && errors(&output).contains("has no date"), "{}", errors(&output));

    std::fs::write(&changelog, text.replace(heading, &format!("## {VERSION} (2031-02-03)"))).unwrap();
    assert!(check(copy.path(), &[&tag]).status.success());

    let output = check(copy.path(), &["v98.76.54"]);
    assert!(!output.status.success() && errors(&output).contains("the tag is v98.76.54"), "{}", errors(&output));
}

#[test]
fn the_release_notes_are_a_section_of_the_changelog_with_links_to_the_pages_of_that_version() {
    let output = Command::new(root().join("dev/release/notes")).arg(VERSION).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("\n## ") && text.contains("\n### Added\n"), "{text}");
    let links: Vec<&str> = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(!links.is_empty());
    for link in links {
        assert!(link.starts_with("https://"), "{link}");
    }
    assert!(text.contains(&format!("/blob/v{VERSION}/docs/")), "{text}");

    let output = Command::new(root().join("dev/release/notes")).arg("98.76.54").output().unwrap();
    assert!(!output.status.success() && errors(&output).contains("98.76.54"), "{}", errors(&output));
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(folder.join("dev/release/check")).args(arguments).output().unwrap()
}

fn copy_of_checked_files() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in CHECKED {
        let to = copy.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root().join(file), to).unwrap();
    }
    copy
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{}: {from}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
