//! `docs/by-hand.md` and `docs/pipelines.md`: what the plugin prints for programs, its exit codes, and its pictures.

use super::{read, root};
use std::collections::{BTreeMap, BTreeSet};

const BY_HAND: &str = "docs/by-hand.md";
const PIPELINES: &str = "docs/pipelines.md";

/// Each object that the plugin prints: the page and the heading that document it, and the file and the struct that it is.
const OBJECTS: [(&str, &str, &str, &str); 10] = [
    (BY_HAND, "\n### list\n", "commands/list.rs", "struct Entry"),
    (BY_HAND, "\n### status\n", "commands/status.rs", "struct Summary"),
    (BY_HAND, "\n### windows: the list windows\n", "commands/windows/rows.rs", "struct WindowRow"),
    (BY_HAND, "\n### windows: the list waiting\n", "commands/windows/rows.rs", "struct WaitingRow"),
    (BY_HAND, "\n### history\n", "commands/history.rs", "struct Entry"),
    (BY_HAND, "\n### explain\n", "commands/explain.rs", "struct Explanation"),
    (BY_HAND, "\n### events\n", "commands/events.rs", "struct Entry"),
    (BY_HAND, "\n### promote\n", "commands/promote/mod.rs", "struct Summary"),
    (BY_HAND, "\n### doctor\n", "commands/doctor/check.rs", "struct Check"),
    (PIPELINES, "\n## The result as JSON\n", "waiting/report.rs", "struct Ended"),
];

#[test]
fn every_field_that_the_plugin_prints_is_in_the_table_of_its_command() {
    for (page, heading, file, object) in OBJECTS {
        let mut printed = fields(file, object);
        if heading.contains("status") {
            printed.extend(fields("view/stages.rs", "struct Stage").iter().map(|field| format!("stages[].{field}")));
        }
        let text = read(page);
        let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("{page} lacks {heading:?}"));
        let section = section.split("\n#").next().unwrap();
        assert_eq!(documented(section), printed, "left: {page}, {heading:?}; right: {file}");
    }
}

#[test]
fn every_exit_code_is_in_the_table_with_its_number() {
    let source = read("crates/kubectl-cognigy/src/exit.rs");
    let variants = source.split("pub enum Exit {").nth(1).unwrap().split("\n}").next().unwrap();
    let codes: BTreeSet<&str> = variants
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(_, number)| number.trim_end_matches(','))
        .collect();
    let page = read(PIPELINES);
    let section = page.split("\n## Exit codes\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|cell| cell.parse::<u8>().is_ok())
        .collect();
    assert_eq!(rows, codes, "left: {PIPELINES}; right: the plugin");
}

#[test]
fn every_picture_is_made_by_the_script_and_shown_on_a_page_with_a_text() {
    let script = read("dev/screenshots");
    let made: BTreeSet<String> = script
        .split("PICTURES = [")
        .nth(1)
        .unwrap()
        .split("\n]")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("(\"")?.split('"').next()?.to_owned()))
        .collect();
    let there: BTreeSet<String> = std::fs::read_dir(root().join("docs/images"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".svg").to_owned())
        .collect();
    assert_eq!(there, made, "left: docs/images; right: dev/screenshots");
    let shown: BTreeMap<String, String> = super::all().iter().flat_map(|page| pictures(&read(page))).collect();
    assert_eq!(shown.keys().cloned().collect::<BTreeSet<_>>(), made, "left: shown on a page; right: dev/screenshots");
    for (picture, text) in shown {
        assert!(text.split_whitespace().count() > 5, "{picture} needs a text for people who cannot see it: {text:?}");
    }
}

/// The fields of a struct that it serializes, in camelCase.
fn fields(file: &str, object: &str) -> BTreeSet<String> {
    let source = read(&format!("crates/kubectl-cognigy/src/{file}"));
    let (_, body) = source.split_once(&format!("{object} {{")).unwrap_or_else(|| panic!("{file} has no {object}"));
    let mut found = BTreeSet::new();
    let mut is_skipped = false;
    let mut renamed: Option<String> = None;
    for line in body.split("\n}").next().unwrap().lines().map(str::trim) {
        let name = line.trim_start_matches("pub ").split_once(": ").map(|(name, _)| name);
        match name {
            _ if line == "#[serde(skip)]" => is_skipped = true,
            _ if line.starts_with("#[serde(rename = \"") => renamed = line.split('"').nth(1).map(str::to_owned),
            Some(_) if line.starts_with("//") || std::mem::take(&mut is_skipped) => {}
            Some(name) => _ = found.insert(renamed.take().unwrap_or_else(|| camel_case(name))),
            None => {}
        }
    }
    assert!(found.len() > 2, "{file}: {object} has fields");
    found
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_ascii_uppercase() + &part[1..])
}

/// The names in the first cells of the table in a section.
fn documented(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.flat_map(|row| row.split(" |").next().unwrap().split("`, `"))
        .map(|name| name.trim_end_matches('`').to_owned())
        .collect()
}

/// The pictures of a page, each with the text that stands for it.
fn pictures(page: &str) -> Vec<(String, String)> {
    page.split("![")
        .skip(1)
        .filter_map(|rest| {
            let (text, target) = rest.split_once("](")?;
            let path = target.split(')').next()?;
            let name = path.split("images/").nth(1)?.strip_suffix(".svg")?;
            Some((name.to_owned(), text.to_owned()))
        })
        .collect()
}
