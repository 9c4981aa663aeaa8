//! The journal: a file that holds what the operator's status would hold in a cluster, so that a crash loses nothing.
//!
//! A write is complete or has not happened: it goes to a second file, which then replaces the journal, and both the file and
//! its folder are synced. A lock on a file beside the journal keeps two runs from using it at the same time. The system
//! releases the lock when the process ends, however it ends. If somebody removes the lock, a write still never replaces the
//! write of another process.

mod file;

use super::record::{Identity, Record};
use file::{folder_of, fresh, private};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What the file is, for whoever opens it.
const KIND: &str = "CognigyDeploymentJournal";

/// The version of the format. A later version of the operator must be able to read every earlier one.
const VERSION: u64 = 1;

/// The largest file that is read. A status has at most 96 KiB.
const LARGEST: u64 = 1024 * 1024;

/// A journal cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file or its folder cannot be read or written.
    #[error("the journal {} cannot be used: {source}; correct that, or name another file with --journal", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another run uses it.
    #[error(
        "another run of `cognigy-operator deploy` uses the journal {}; wait until it has ended, or stop it",
        path.display()
    )]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is no journal of `cognigy-operator deploy`; name another file with --journal", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The file was changed or cut.
    #[error(
        "the journal {} is damaged: {problem}. Restore it from a backup. Without it, look at the environment at Cognigy.AI \
         first: a rollout may be in progress there, and a new journal would submit again. Then move the file away",
        path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A newer operator wrote it.
    #[error(
        "the journal {} was written by a newer version of cognigy-operator (format {version}, this one reads up to \
         {VERSION}); use that version",
        path.display()
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// The format's version.
        version: u64,
    },
    /// It is about another deployment.
    #[error(
        "the journal {} is about {theirs}, but the manifest is about {ours}; name another file with --journal",
        path.display()
    )]
    Foreign {
        /// The journal.
        path: PathBuf,
        /// The journal's deployment.
        theirs: String,
        /// The manifest's deployment.
        ours: String,
    },
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Header {
    kind: String,
    version: u64,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u64,
    /// SHA-256 of the record's text, in hexadecimal.
    sha256: String,
    record: Box<RawValue>,
}

/// A journal that this process alone may write.
pub(super) struct Journal {
    path: PathBuf,
    record: Option<Record>,
    /// Hashes of the texts that may be on the disk: the one before the last write, and the last one.
    own_texts: Vec<String>,
    /// Held as long as this value lives.
    _lock: File,
}

impl Journal {
    /// Locks the journal and reads it, if there is one.
    ///
    /// # Errors
    /// [`JournalError`] if it is in use or cannot be used for this deployment. The file is then left as it is.
    pub(super) fn open(path: &Path, identity: &Identity) -> Result<Self, JournalError> {
        let failed = |source| JournalError::File { path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path)).map_err(failed)?;
        let lock = private(&beside(path, ".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let text = file::read(path, LARGEST).map_err(failed)?;
        let own_texts = text.iter().map(|text| hash(text)).collect();
        let record = text.map(|text| parse(path, &text)).transpose()?;
        if let Some(record) = record.as_ref().filter(|record| record.identity != *identity) {
            let (theirs, ours) = (in_words(&record.identity), in_words(identity));
            return Err(JournalError::Foreign { path: path.to_owned(), theirs, ours });
        }
        Ok(Self { path: path.to_owned(), record, own_texts, _lock: lock })
    }

    /// What it holds. `None` until the first write.
    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Replaces what it holds. Returns after it is on the disk.
    ///
    /// # Errors
    /// The system's error. The journal may or may not have changed on the disk; what `record` returns has not.
    pub(super) fn write(&mut self, record: Record) -> io::Result<()> {
        let text = text_of(&record)?;
        if text.len() as u64 > LARGEST {
            return Err(io::Error::other(format!(
                "it would be too large ({} bytes); shorten the annotations",
                text.len()
            )));
        }
        let on_disk = file::read(&self.path, LARGEST)?.map(|text| hash(&text));
        if on_disk.as_ref().is_some_and(|text| !self.own_texts.contains(text)) {
            return Err(io::Error::other(
                "another process has changed it; stop one of the two and run the command again",
            ));
        }
        // If the next lines fail, either text may be on the disk.
        self.own_texts = on_disk.into_iter().chain([hash(text.as_bytes())]).collect();
        let temporary = beside(&self.path, ".tmp");
        let mut file = fresh(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        File::open(folder_of(&self.path))?.sync_all()?;
        self.record = Some(record);
        Ok(())
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn in_words(identity: &Identity) -> String {
    let Identity { namespace, name, environment_id } = identity;
    format!("{namespace}/{name} in the environment {environment_id}")
}

fn parse(path: &Path, text: &[u8]) -> Result<Record, JournalError> {
    let path = || path.to_owned();
    let damaged = |problem: &str| JournalError::Damaged { path: path(), problem: problem.to_owned() };
    if text.is_empty() {
        return Err(damaged("it is empty"));
    }
    let header: Header = match serde_json::from_slice(text) {
        Ok(header) => header,
        // What begins like a journal is one that was cut.
        Err(_) if text.starts_with(opening().as_bytes()) => return Err(damaged("it is not complete")),
        Err(_) => return Err(JournalError::NotAJournal { path: path() }),
    };
    if header.kind != KIND {
        return Err(JournalError::NotAJournal { path: path() });
    }
    if header.version > VERSION {
        return Err(JournalError::Newer { path: path(), version: header.version });
    }
    let envelope: Envelope = serde_json::from_slice(text).map_err(|error| damaged(&error.to_string()))?;
    if hash(envelope.record.get().as_bytes()) != envelope.sha256 {
        return Err(damaged("its checksum does not fit its content"));
    }
    // There is one version so far. A later one gets its own type here, and a golden file in the tests.
    serde_json::from_str(envelope.record.get()).map_err(|error| damaged(&error.to_string()))
}

fn text_of(record: &Record) -> io::Result<String> {
    let record = serde_json::value::to_raw_value(record)?;
    let envelope = Envelope { kind: KIND.to_owned(), version: VERSION, sha256: hash(record.get().as_bytes()), record };
    Ok(format!("{}\n", serde_json::to_string(&envelope)?))
}

/// The first characters of every journal.
fn opening() -> String {
    format!("{{\"kind\":\"{KIND}\"")
}

fn hash(text: &[u8]) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests;
