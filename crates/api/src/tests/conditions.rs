//! Conditions: transition times, reasons and the length of messages.

use crate::condition::{Condition, ConditionSet, ConditionStatus, ConditionType, MESSAGE_LIMIT, truncate};
use crate::reason::Reason;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

fn condition(condition_type: ConditionType, status: ConditionStatus, at: Timestamp) -> Condition {
    Condition {
        condition_type,
        status,
        observed_generation: 1,
        last_transition_time: at,
        reason: Reason::Pending,
        message: "waiting".to_owned(),
    }
}

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

#[test]
fn the_transition_time_changes_only_if_the_status_changes() {
    let mut conditions = Vec::new();
    conditions.set_condition(condition(ConditionType::Ready, ConditionStatus::Unknown, noon()));
    let later = noon() + 1.hour();
    conditions.set_condition(Condition {
        reason: Reason::Tracing,
        ..condition(ConditionType::Ready, ConditionStatus::Unknown, later)
    });
    let ready = conditions.find(ConditionType::Ready).unwrap();
    assert_eq!((ready.last_transition_time, ready.reason), (noon(), Reason::Tracing));
    conditions.set_condition(condition(ConditionType::Ready, ConditionStatus::True, later));
    assert_eq!(conditions.find(ConditionType::Ready).unwrap().last_transition_time, later);
    assert!(conditions.is_true(ConditionType::Ready));
}

#[test]
fn each_type_is_present_once_and_in_a_stable_order() {
    let mut conditions = Vec::new();
    for condition_type in [ConditionType::Delivered, ConditionType::Ready, ConditionType::Stalled] {
        conditions.set_condition(condition(condition_type, ConditionStatus::False, noon()));
        conditions.set_condition(condition(condition_type, ConditionStatus::True, noon()));
    }
    let types: Vec<_> = conditions.iter().map(|condition| condition.condition_type).collect();
    assert_eq!(types, [ConditionType::Ready, ConditionType::Stalled, ConditionType::Delivered]);
    conditions.remove_condition(ConditionType::Stalled);
    assert!(conditions.find(ConditionType::Stalled).is_none());
    assert!(!conditions.is_true(ConditionType::Stalled));
}

#[test]
fn a_long_message_is_truncated_between_characters_with_a_mark() {
    let mut conditions = Vec::new();
    let message = "é".repeat(MESSAGE_LIMIT);
    conditions.set_condition(Condition { message, ..condition(ConditionType::Ready, ConditionStatus::False, noon()) });
    let message = &conditions.find(ConditionType::Ready).unwrap().message;
    assert!(message.len() <= MESSAGE_LIMIT && message.len() > MESSAGE_LIMIT - 4, "{}", message.len());
    assert!(message.ends_with("é…"));
}

#[test]
fn truncation_changes_only_a_text_over_its_limit() {
    for (text, limit, expected) in
        [("abcdef", 6, "abcdef"), ("", 0, ""), ("abcdef", 5, "ab…"), ("ééé", 5, "é…"), ("abcdef", 3, "…")]
    {
        let mut cut = text.to_owned();
        truncate(&mut cut, limit);
        assert_eq!(cut, expected, "{text} in {limit}");
    }
}

#[test]
fn a_reason_of_another_version_is_accepted_and_kept() {
    let invented: Reason = serde_json::from_value(json!("InventedTomorrow")).unwrap();
    assert!(matches!(invented, Reason::Unrecognized(_)), "{invented:?}");
    assert_eq!(invented.as_str(), "InventedTomorrow");
    assert_eq!(serde_json::to_value(invented).unwrap(), "InventedTomorrow", "it is written back as it was read");
    for not_a_reason in ["", "lower", "with space", &"A".repeat(65)] {
        assert!(serde_json::from_value::<Reason>(json!(not_a_reason)).is_err(), "{not_a_reason}");
    }
    for reason in Reason::ALL {
        let word = serde_json::to_value(reason).unwrap();
        assert_eq!(word, reason.as_str());
        assert_eq!(serde_json::from_value::<Reason>(word).unwrap(), *reason);
    }
}

#[test]
fn reasons_are_camel_case_words_that_the_api_server_accepts() {
    for word in Reason::ALL.iter().map(|reason| reason.as_str()) {
        assert!(word.starts_with(|first: char| first.is_ascii_uppercase()), "{word}");
        assert!(word.len() <= 64 && word.chars().all(|letter| letter.is_ascii_alphanumeric()), "{word}");
    }
}
