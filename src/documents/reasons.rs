//! `docs/conditions.md`: every condition, and every reason with its next step.

use super::{first_cells, read};
use api::condition::ConditionType;
use api::reason::Reason;

const CONDITIONS: &str = "docs/conditions.md";

#[test]
fn every_reason_is_explained_once_and_none_that_does_not_exist() {
    let mut explained = first_cells(&section(CONDITIONS, "Reasons"));
    explained.sort();
    let mut reasons: Vec<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    reasons.sort();
    assert_eq!(explained, reasons, "{CONDITIONS}");
}

#[test]
fn every_condition_is_explained_once_and_none_that_does_not_exist() {
    let mut explained = first_cells(&section(CONDITIONS, "Conditions"));
    explained.sort();
    let kstatus = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
    let stages = ConditionType::STAGES.iter().chain([&ConditionType::GatesOpen]);
    let mut conditions: Vec<String> = kstatus.iter().chain(stages).map(ToString::to_string).collect();
    conditions.sort();
    assert_eq!(explained, conditions, "{CONDITIONS}");
}

#[test]
fn every_reason_says_what_it_means_and_what_to_do() {
    let part = section(CONDITIONS, "Reasons");
    let rows: Vec<&str> = part.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), Reason::ALL.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{CONDITIONS}: {row}");
    }
}

/// The part of a page under that heading.
fn section(page: &str, heading: &str) -> String {
    let text = read(page);
    let part = text.split("\n## ").find(|part| part.starts_with(heading));
    part.unwrap_or_else(|| panic!("{page} has no part {heading}")).to_owned()
}
