//! `CONTRIBUTING.md`: the change in its example can be made.

use super::read;

const PAGE: &str = "CONTRIBUTING.md";
const DECISION: &str = "crates/rollout/src/apply/job.rs";
const TESTS: &str = "crates/rollout/src/tests/job.rs";

#[test]
fn the_line_that_the_guide_changes_is_in_the_source() {
    let page = read(PAGE);
    let changed: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix('-')).filter(|line| line.contains("if ")).collect();
    assert_eq!(changed.len(), 1, "{PAGE} must change exactly one line");
    assert_eq!(read(DECISION).lines().filter(|line| *line == changed[0]).count(), 1, "{DECISION} lacks {changed:?}");
    assert!(page.contains(DECISION) && page.contains(TESTS));
}

#[test]
fn the_test_that_the_guide_adds_uses_only_names_of_the_existing_tests() {
    let (page, tests) = (read(PAGE), read(TESTS));
    let added = page.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let words = |text: &str| -> Vec<String> {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        text.split(|letter| !is_name(letter)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let known = words(&tests);
    let name = words(added).into_iter().find(|word| word.starts_with("a_job")).unwrap();
    assert!(!known.contains(&name), "{TESTS} already has this test");
    for word in words(added).iter().filter(|word| **word != name) {
        assert!(known.contains(word), "{TESTS} has no {word}");
    }
}
