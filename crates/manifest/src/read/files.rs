//! Collects the texts of files, folders and standard input.

use super::limits::{LARGEST_FILE, LARGEST_INPUT, MAX_FILES};
use crate::problem::Problem;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The endings of the files of a folder that are read, as kubectl reads them.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// The text of a file or of standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file, as the user named it; `-` for standard input.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Reads files, folders and standard input (`-`), in the order of the arguments. Of a folder, the files that end with `.json`,
/// `.yaml` or `.yml` are read in the order of their names; with `is_recursive` also those of the folders in it.
#[must_use]
pub fn collect(paths: &[PathBuf], is_recursive: bool, stdin: &mut dyn Read) -> (Vec<Input>, Vec<Problem>) {
    let mut collector = Collector { inputs: Vec::new(), problems: Vec::new(), bytes: 0, seen: 0 };
    for path in paths {
        if path.as_os_str() == "-" {
            collector.add("-", stdin);
        } else if path.is_dir() {
            collector.folder(path, is_recursive);
        } else {
            collector.file(path);
        }
    }
    (collector.inputs, collector.problems)
}

struct Collector {
    inputs: Vec<Input>,
    problems: Vec<Problem>,
    bytes: usize,
    seen: usize,
}

impl Collector {
    fn folder(&mut self, folder: &Path, is_recursive: bool) {
        let before = self.inputs.len() + self.problems.len();
        let mut open = vec![folder.to_owned()];
        while let Some(path) = open.pop() {
            self.seen += 1;
            if self.seen > MAX_FILES {
                self.refuse(folder, &format!("the folders hold more than {MAX_FILES} files: name fewer folders"));
                return;
            }
            // A link to a folder is not followed: it may lead back.
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) || path == folder;
            if is_folder {
                match entries(&path) {
                    Ok(entries) => {
                        open.extend(entries.into_iter().filter(|entry| is_recursive || !entry.is_dir()).rev())
                    }
                    Err(error) => self.refuse(&path, &format!("the folder cannot be read: {error}")),
                }
            } else if path.is_file()
                && path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
            {
                self.file(&path);
            }
        }
        if self.inputs.len() + self.problems.len() == before {
            self.refuse(
                folder,
                "the folder has no file that ends with .json, .yaml or .yml: name a file or another folder",
            );
        }
    }

    fn file(&mut self, path: &Path) {
        match File::open(path) {
            Ok(mut file) => self.add(&path.display().to_string(), &mut file),
            Err(error) => self.refuse(path, &format!("the file cannot be read: {error}")),
        }
    }

    fn add(&mut self, name: &str, from: &mut dyn Read) {
        match read_text(from, LARGEST_INPUT.saturating_sub(self.bytes)) {
            Ok(text) => {
                self.bytes += text.len();
                self.inputs.push(Input { name: name.to_owned(), text });
            }
            Err(problem) => self.problems.push(Problem::of_file(name, problem)),
        }
    }

    fn refuse(&mut self, path: &Path, message: &str) {
        self.problems.push(Problem::of_file(&path.display().to_string(), message));
    }
}

/// The entries of a folder, in the order of their names.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_FILES + 1) {
        entries.push(entry?.path());
    }
    entries.sort();
    Ok(entries)
}

/// Reads at most as much as is allowed.
fn read_text(from: &mut dyn Read, left: usize) -> Result<String, String> {
    let most = LARGEST_FILE.min(left);
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut bytes).map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() > most {
        return Err(format!(
            "it is too large: at most {LARGEST_FILE} bytes are read of one file, and {LARGEST_INPUT} of all: split it"
        ));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text: save it as UTF-8".to_owned())
}
