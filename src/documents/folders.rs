//! The folders of `src` import each other in one direction, as the table in docs/architecture.md says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each folder or file of `src`, and the others that it may import. `command` may import everything.
const MAY_IMPORT: [(&str, &[&str]); 6] = [
    ("backoff.rs", &[]),
    ("metrics", &[]),
    ("otlp", &[]),
    ("delivery", &[]),
    ("server", &["metrics"]),
    ("controller", &["backoff", "delivery", "metrics", "otlp"]),
];

fn add_imports(path: &Path, imports: &mut BTreeSet<String>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| add_imports(&entry.unwrap().path(), imports));
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let is_part = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    imports
        .extend(text.split("crate::").skip(1).map(|rest| rest.chars().take_while(|letter| is_part(*letter)).collect()));
}

#[test]
fn no_folder_imports_one_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, allowed) in MAY_IMPORT {
        let mut imports = BTreeSet::new();
        add_imports(&source.join(folder), &mut imports);
        imports.remove(folder);
        let forbidden: Vec<_> = imports.iter().filter(|import| !allowed.contains(&import.as_str())).collect();
        assert!(forbidden.is_empty(), "src/{folder} imports {forbidden:?}");
    }
}
