//! `docs/operations.md`: every flag and every environment variable.

use super::{first_cells, quoted, read};
use crate::command::settings::RunArguments;
use clap::Args;
use std::collections::BTreeSet;

const PAGE: &str = "docs/operations.md";

/// Variables that the operator reads without a flag.
const NO_FLAG: [&str; 4] = ["COGNIGY_CLIENT_ID", "COGNIGY_CLIENT_SECRET", "RUST_LOG", "POD_NAME"];

/// Variables that the exporter of traces reads.
const TRACES: [&str; 5] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
];

#[test]
fn every_flag_has_a_row_with_its_variable_and_its_default() {
    let page = read(PAGE);
    let command = RunArguments::augment_args(clap::Command::new("run"));
    let mut known = BTreeSet::new();
    for argument in command.get_arguments() {
        let flag = format!("--{}", argument.get_long().unwrap());
        let opening = format!("| `{flag}` |");
        let row = page.lines().find(|line| line.starts_with(&opening)).unwrap_or_else(|| panic!("{PAGE} lacks {flag}"));
        let variable = argument.get_env().unwrap().to_str().unwrap();
        assert!(row.contains(&format!("`{variable}`")), "{variable} is missing: {row}");
        for default in argument.get_default_values() {
            assert!(row.contains(&format!("`{}`", default.to_str().unwrap())), "{default:?} is missing: {row}");
        }
        known.insert(flag);
    }
    let rows = first_cells(&page).into_iter().filter(|cell| cell.starts_with("--"));
    for row in rows {
        assert!(known.contains(&row), "{row} is not a flag of `cognigy-operator run`");
    }
}

#[test]
fn every_variable_on_the_page_is_read() {
    let command = RunArguments::augment_args(clap::Command::new("run"));
    let by_flags = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    let read_somewhere: BTreeSet<&str> = by_flags.chain(NO_FLAG).chain(TRACES).collect();
    let page = read(PAGE);
    let is_variable = |word: &String| {
        let is_shouted = |letter: char| letter.is_ascii_uppercase() || letter == '_';
        word.contains('_') && word.chars().all(is_shouted)
    };
    let named: Vec<String> = quoted(&page).into_iter().filter(is_variable).collect();
    for name in &named {
        assert!(read_somewhere.contains(name.as_str()), "nothing reads {name}");
    }
    for name in NO_FLAG.into_iter().chain(TRACES) {
        assert!(named.iter().any(|found| found == name), "{PAGE} lacks {name}");
    }
}
