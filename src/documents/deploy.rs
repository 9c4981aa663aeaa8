//! `docs/deploy.md`: flags, exit codes, the JSON result and the limits.

use super::{first_cells, quoted, read};
use crate::command::deploy::{DeployArguments, Report, RunResult};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = "docs/deploy.md";

/// The part of the page below a heading.
fn section(heading: &str) -> String {
    let page = read(PAGE);
    let part = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("{PAGE} lacks {heading}"));
    part.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn every_flag_stands_in_a_row_with_its_variable_and_its_default() {
    let section = section("Flags");
    let command = DeployArguments::augment_args(clap::Command::new("deploy"));
    let mut known = BTreeSet::new();
    for argument in command.get_arguments() {
        let flag = format!("--{}", argument.get_long().unwrap());
        let opening = format!("| `{flag}` |");
        let row = section.lines().find(|line| line.starts_with(&opening));
        let row = row.unwrap_or_else(|| panic!("{PAGE} lacks {flag}"));
        if let Some(variable) = argument.get_env() {
            assert!(row.contains(&format!("`{}`", variable.to_str().unwrap())), "{variable:?} is missing: {row}");
        }
        let has_value = argument.get_action().takes_values();
        for default in argument.get_default_values().iter().filter(|_| has_value) {
            assert!(row.contains(&format!("`{}`", default.to_str().unwrap())), "{default:?} is missing: {row}");
        }
        known.insert(flag);
    }
    assert_eq!(first_cells(&section).into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_result_that_is_shown_is_one_and_every_field_is_explained() {
    let section = section("The result in JSON");
    let shown = section.split("```").nth(1).unwrap().trim();
    let report: Report = serde_json::from_str(shown).unwrap();
    let value: Value = serde_json::to_value(&report).unwrap();
    assert_eq!(value, serde_json::from_str::<Value>(shown).unwrap());
    assert_eq!((report.result, report.exit_code), (RunResult::Failed, 1));
    let explained: BTreeSet<String> = quoted(&section).into_iter().collect();
    let nested = [&value, &value["attempt"], &value["owed"][0]];
    for field in nested.into_iter().flat_map(|object| object.as_object().unwrap().keys()) {
        assert!(explained.contains(field), "{PAGE} does not explain {field}");
    }
}

#[test]
fn every_result_has_a_row_with_its_exit_code() {
    let section = section("Exit codes");
    for (code, result) in [
        ("`0`", RunResult::Deployed),
        ("`1`", RunResult::Failed),
        ("`3`", RunResult::TimedOut),
        ("`4`", RunResult::NeedsPerson),
        ("`5`", RunResult::NotReached),
        ("`130`, `143`", RunResult::Interrupted),
    ] {
        assert!(section.contains(&format!("| {code} | {result:?} |")), "{PAGE} lacks {result:?}");
    }
}
