//! Files, folders and standard input.

use crate::read::collect;
use std::fs;
use std::path::PathBuf;

fn names(paths: &[PathBuf], is_recursive: bool, stdin: &str) -> (Vec<String>, Vec<String>) {
    let (inputs, problems) = collect(paths, is_recursive, &mut stdin.as_bytes());
    let name = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    (inputs.iter().map(|input| name(&input.name)).collect(), problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names_as_kubectl_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["b.yaml", "a.yml", "c.json", "readme.md", "kustomize"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    fs::create_dir(folder.path().join("aa")).unwrap();
    fs::write(folder.path().join("aa/z.yaml"), "").unwrap();
    let path = [folder.path().to_owned()];
    assert_eq!(names(&path, false, "").0, ["a.yml", "b.yaml", "c.json"]);
    assert_eq!(names(&path, true, "").0, ["a.yml", "z.yaml", "b.yaml", "c.json"]);
    let paths = [folder.path().join("c.json"), PathBuf::from("-"), folder.path().join("a.yml")];
    assert_eq!(names(&paths, false, "x: 1").0, ["c.json", "-", "a.yml"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latin.yaml"), [0x61, 0xe4]).unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let paths = [folder.path().join("none.yaml"), folder.path().join("latin.yaml"), empty];
    let (read, problems) = names(&paths, false, "");
    assert!(read.is_empty());
    for (problem, says) in problems.iter().zip([
        "none.yaml: the file cannot be read",
        "latin.yaml: it is not UTF-8",
        "empty: the folder has no file",
    ]) {
        assert!(problem.contains(says), "{problem}");
    }
    assert_eq!(problems.len(), 3);
}
