//! Checks the documents against the code: each name in the documents exists in the code, and each public name of the
//! code is documented.

#![allow(clippy::unwrap_used)]

mod chart;
mod contributing;
mod dashboard;
mod deploy;
mod fields;
mod folders;
mod gitops;
mod image;
mod metrics;
mod monitoring;
mod operations;
mod pages;
mod pipelines;
mod plugin;
mod reasons;
mod test_sets;

use std::path::{Path, PathBuf};

/// The root folder of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a page, by its path in the project.
fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every page that people read, by its path in the project.
fn all() -> Vec<String> {
    let files = |folder: &str| -> Vec<PathBuf> {
        std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut pages: Vec<String> = files("")
        .into_iter()
        .chain(files("docs"))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .collect();
    pages.sort();
    assert!(pages.iter().any(|page| page == "README.md") && pages.len() > 5, "{pages:?}");
    pages
}

/// The texts in single backticks, outside fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first cells of the rows of every table in a text, without backticks.
fn first_cells(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

/// Passes each Rust file below a folder of the project to `show`: its path in the project, and its text.
fn each_source(folder: &Path, show: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root().join(&path).is_dir() {
            each_source(&path, show);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            show(&path, &std::fs::read_to_string(root().join(&path)).unwrap());
        }
    }
}
