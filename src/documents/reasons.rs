//! `docs/conditions.md` and `docs/troubleshooting.md`: every condition and every reason.

use super::{first_cells, quoted, read};
use api::condition::ConditionType;
use api::reason::Reason;

const CONDITIONS: &str = "docs/conditions.md";
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

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
    let mut conditions: Vec<String> = kstatus.iter().chain(&ConditionType::STORY).map(ToString::to_string).collect();
    conditions.sort();
    assert_eq!(explained, conditions, "{CONDITIONS}");
}

#[test]
fn every_reason_has_its_way_out_once_and_none_that_does_not_exist() {
    let part = section(TROUBLESHOOTING, "By reason");
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    let mut told: Vec<String> = rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap())).collect();
    told.sort();
    let mut reasons: Vec<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    reasons.sort();
    assert_eq!(told, reasons, "{TROUBLESHOOTING}");
}

/// The part of a page under that heading.
fn section(page: &str, heading: &str) -> String {
    let text = read(page);
    let part = text.split("\n## ").find(|part| part.starts_with(heading));
    part.unwrap_or_else(|| panic!("{page} has no part {heading}")).to_owned()
}
