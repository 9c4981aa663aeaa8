//! The tests that `cargo test` does not run by default: CI runs each of them, and the guide names each of them.

use super::read;
use std::collections::BTreeSet;
use std::path::Path;

const CI: &str = ".ci/run";
const GUIDE: &str = "CONTRIBUTING.md";

/// The manifests with a package, by their paths in the project.
fn manifests() -> Vec<String> {
    let workspace = read("Cargo.toml");
    let members = workspace.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members = members.split('"').skip(1).step_by(2).map(|member| format!("{member}/Cargo.toml"));
    ["Cargo.toml".to_owned()].into_iter().chain(members).collect()
}

/// The test binaries that cargo runs only when they are named.
fn left_out() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for manifest in manifests() {
        for section in read(&manifest).split("[[test]]\n").skip(1) {
            let section = section.split("\n[").next().unwrap();
            let name = section.split("name = \"").nth(1).unwrap().split('"').next().unwrap();
            assert!(section.contains("test = false"), "{manifest}: {name} needs no section of its own");
            assert!(section.contains("bench = true"), "{manifest}: clippy --all-targets does not see {name}");
            found.insert(name.to_owned());
        }
    }
    found
}

/// The names after `--test` in a text.
fn named(text: &str) -> BTreeSet<String> {
    let names = text.split("--test ").skip(1).map(|rest| {
        let is_name = |letter: &char| letter.is_ascii_lowercase() || *letter == '_';
        rest.chars().take_while(is_name).collect::<String>()
    });
    names.collect()
}

#[test]
fn every_test_binary_that_cargo_test_leaves_out_is_in_ci_and_in_the_guide() {
    let left_out = left_out();
    assert!(left_out.len() > 3, "{left_out:?}");
    for page in [CI, GUIDE] {
        let named = named(&read(page));
        assert!(left_out.is_subset(&named), "{page} names {named:?}, but not all of {left_out:?}");
    }
    let page = read("README.md");
    assert!(page.contains("`.ci/run`"), "README.md must say that .ci/run runs the rest");
}

#[test]
fn ci_runs_every_test_that_is_ignored_because_it_needs_a_tool() {
    let ignored = "#[ignore = \"needs ";
    let mut files = 0;
    super::each_source(Path::new("tests"), &mut |path, text| {
        if text.contains(ignored) {
            assert!(
                path.starts_with("tests/simulation/gitops"),
                "{CI} does not run the ignored tests in {}",
                path.display()
            );
            files += 1;
        }
    });
    assert!(files > 0, "no test is ignored because of a missing tool: remove this test, and its step in {CI}");
    assert!(read(CI).contains("--test simulation gitops:: -- --include-ignored"));
}
