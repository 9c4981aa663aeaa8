#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use api::CognigyDeployment;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn manifest() -> CognigyDeployment {
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
        "metadata": {"name": "bot", "namespace": "bots"},
        "spec": {"environmentId": "env", "configurationSnapshot": {"botVersion": "1"}},
    }))
    .unwrap()
}

fn written(folder: &Path) -> (PathBuf, Record) {
    let path = folder.join("bot.json");
    let record = Record::new(&manifest(), Timestamp::UNIX_EPOCH);
    let mut journal = Journal::open(&path, &record.identity).unwrap();
    assert!(journal.record().is_none());
    journal.write(record.clone()).unwrap();
    (path, record)
}

fn opened(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(path, &Identity::of(&manifest()))
}

#[test]
fn what_was_written_is_read_again_and_nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, record) = written(folder.path());
    assert_eq!(opened(&path).unwrap().record(), Some(&record));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn a_folder_that_is_missing_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let nested = folder.path().join("state/cognigy-operator");
    fs::create_dir(folder.path().join("state")).unwrap();
    written(&nested);
    assert_eq!(fs::metadata(&nested).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn two_runs_never_use_one_journal_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(folder.path());
    let first = opened(&path).unwrap();
    let refused = opened(&path).err().unwrap();
    assert!(matches!(refused, JournalError::InUse { .. }), "{refused}");
    drop(first);
    assert!(opened(&path).is_ok());
}

#[test]
fn a_run_that_died_while_it_wrote_leaves_the_journal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, record) = written(folder.path());
    fs::write(beside(&path, ".tmp"), "{\"kind\":").unwrap();
    let mut journal = opened(&path).unwrap();
    assert_eq!(journal.record(), Some(&record));
    journal.write(Record { resource_version: 7, ..record }).unwrap();
    drop(journal);
    assert_eq!(opened(&path).unwrap().record().unwrap().resource_version, 7);
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_what_to_do_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let newer = text.replace("\"version\":1", "\"version\":2");
    let edited = text.replace("\"generation\":1", "\"generation\":2");
    let other = |field: &str, value: &str| {
        let mut envelope: Value = serde_json::from_str(&text).unwrap();
        envelope["record"]["identity"][field] = json!(value);
        let record = envelope["record"].to_string();
        envelope["sha256"] = json!(hash(&record));
        format!("{{\"kind\":\"{KIND}\",\"version\":1,\"sha256\":{},\"record\":{record}}}", envelope["sha256"])
    };
    for (content, says) in [
        (String::new(), "is damaged: it is empty"),
        (text[..text.len() / 2].to_owned(), "is damaged: it is not complete"),
        (edited, "is damaged: its checksum does not fit its content"),
        (newer, "was written by a newer version of cognigy-operator (format 2, this one reads up to 1)"),
        ("hello".to_owned(), "is no journal"),
        ("{\"kind\":\"Secret\",\"version\":1}".to_owned(), "is no journal"),
        (other("name", "other"), "is about bots/other in the environment env, but the manifest is about bots/bot"),
        (other("environmentId", "env_2"), "is about bots/bot in the environment env_2"),
    ] {
        fs::write(&path, &content).unwrap();
        let refused = opened(&path).err().unwrap().to_string();
        assert!(refused.contains(says) && refused.contains(path.to_str().unwrap()), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

/// Every format that was ever written stays readable. Never change this file: a new format gets a new one.
#[test]
fn a_journal_in_the_first_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.json");
    fs::write(&path, include_str!("format_1.json")).unwrap();
    let journal = opened(&path).unwrap();
    let record = journal.record().unwrap();
    assert_eq!(
        (record.uid.as_str(), record.generation, record.resource_version),
        ("3d0e2a04-5a5c-4c53-9f5a-0b1f6a7c8d9e", 2, 5)
    );
    let status = record.status.as_ref().unwrap();
    assert_eq!(status.attempt.as_ref().unwrap().job_id().unwrap().as_str(), "job_8f3a2c");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_is_read_as_something_else(at in 0.0..1.0f64, byte in any::<u8>(), cut in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let (path, record) = written(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let at = ((bytes.len() - 1) as f64 * at) as usize;
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        fs::write(&path, &bytes).unwrap();
        if let Ok(journal) = opened(&path) {
            prop_assert_eq!(journal.record(), Some(&record));
        }
    }
}
