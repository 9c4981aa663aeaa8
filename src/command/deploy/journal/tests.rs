#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::file::{MODE, Owner};
use super::*;
use api::CognigyDeployment;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

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
        envelope["sha256"] = json!(hash(record.as_bytes()));
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

#[test]
fn a_link_beside_the_journal_leads_no_write_elsewhere() {
    for suffix in [".tmp", ".lock"] {
        let folder = tempfile::tempdir().unwrap();
        let (path, record) = written(folder.path());
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o644)).unwrap();
        let _ = fs::remove_file(beside(&path, suffix));
        std::os::unix::fs::symlink(&victim, beside(&path, suffix)).unwrap();
        // A refusal is as good as a write that does not follow the link.
        if let Ok(mut journal) = opened(&path) {
            journal.write(Record { resource_version: 7, ..record }).unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{suffix}");
        assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o644, "{suffix}");
    }
}

/// A write would replace the link and leave the file behind it as it was, with an old state.
#[test]
fn a_journal_that_is_a_link_or_no_plain_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(folder.path());
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let refused = opened(&link).err().unwrap().to_string();
    assert!(refused.contains("is no plain file") && refused.contains("--journal"), "{refused}");
    let socket = folder.path().join("socket.json");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(opened(&socket).err().unwrap().to_string().contains("is no plain file"));
}

/// For example after somebody has removed the lock, or on a disk without locks.
#[test]
fn a_journal_that_another_process_has_changed_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (path, record) = written(folder.path());
    let mut first = opened(&path).unwrap();
    fs::remove_file(beside(&path, ".lock")).unwrap();
    let mut second = opened(&path).unwrap();
    second.write(Record { resource_version: 2, ..record.clone() }).unwrap();
    let refused = first.write(Record { resource_version: 3, ..record.clone() }).unwrap_err();
    assert!(refused.to_string().contains("another process has changed it"), "{refused}");
    second.write(Record { resource_version: 4, ..record }).unwrap();
    drop((first, second));
    assert_eq!(opened(&path).unwrap().record().unwrap().resource_version, 4);
}

#[test]
fn a_journal_that_was_removed_during_a_run_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, record) = written(folder.path());
    let mut journal = opened(&path).unwrap();
    fs::remove_file(&path).unwrap();
    journal.write(Record { resource_version: 2, ..record }).unwrap();
    drop(journal);
    assert_eq!(opened(&path).unwrap().record().unwrap().resource_version, 2);
}

/// It would be read as a damaged one.
#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, record) = written(folder.path());
    let mut journal = opened(&path).unwrap();
    let uid = "x".repeat(usize::try_from(LARGEST).unwrap());
    assert!(journal.write(Record { uid, ..record.clone() }).unwrap_err().to_string().contains("too large"));
    drop(journal);
    assert_eq!(opened(&path).unwrap().record(), Some(&record));
}

#[test]
fn a_journal_of_another_user_in_a_folder_of_everybody_is_not_believed() {
    let other = Owner { uid: 1000, is_folder_open: true };
    assert!(other.refusal(Some(1001)).is_some_and(|problem| problem.contains("user 1000")));
    assert!(other.refusal(Some(1000)).is_none() && other.refusal(None).is_none());
    assert!(Owner { is_folder_open: false, ..other }.refusal(Some(1001)).is_none());
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
