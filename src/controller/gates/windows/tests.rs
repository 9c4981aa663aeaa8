//! The gate of the change windows, and what its message says.

#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn windows_of(objects: &[(&str, &str, Value)]) -> Windows {
    let windows = Windows::default();
    for (namespace, name, spec) in objects {
        let object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
            "metadata": {"namespace": namespace, "name": name, "uid": "u1", "generation": 1}, "spec": spec,
        });
        let watched: WatchedWindow = serde_json::from_str(&object.to_string()).unwrap();
        windows.lock().observe(&Event::Apply(watched));
    }
    windows
}

fn bot(namespace: &str, environment: &str, team: &str) -> CognigyDeployment {
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
        "metadata": {"namespace": namespace, "name": "bot", "labels": {"team": team}},
        "spec": {"environmentId": environment, "configurationSnapshot": {"a": 1}},
    }))
    .unwrap()
}

fn freeze() -> Value {
    json!({
        "type": "Deny", "timeZone": "Europe/Berlin", "reason": "Christmas freeze",
        "once": {"from": "2026-12-19T18:00:00+01:00", "to": "2027-01-04T06:00:00+01:00"},
    })
}

fn office_hours() -> Value {
    json!({
        "type": "Allow", "timeZone": "Europe/Berlin",
        "recurring": {"schedule": "0 9 * * 1-5", "durationSeconds": 28800},
    })
}

const IN_FREEZE: &str = "2026-12-24T12:00:00Z";

#[test]
fn the_message_names_the_window_its_reason_and_the_instant_in_its_time_zone() {
    let windows = windows_of(&[("ops", "christmas", freeze())]);
    let gate = windows.lock().closed(&bot("shop", "prod", "a"), "ops", at(IN_FREEZE)).unwrap();
    assert_eq!(
        gate.message,
        "the change window ops/christmas allows no rollout now; the rollout can start at Mon 2027-01-04 06:00 CET; in an \
         emergency: kubectl cognigy override bot -n shop --reason '…'; the window's reason: Christmas freeze"
    );
    assert_eq!(gate.opens_at, Some(at("2027-01-04T05:00:00Z")));
    assert_eq!(windows.lock().closed(&bot("shop", "prod", "a"), "ops", at("2027-01-04T05:00:00Z")), None);
}

#[test]
fn windows_of_the_operators_namespace_apply_to_all_and_others_to_their_own_namespace() {
    let windows = windows_of(&[("shop", "christmas", freeze()), ("ops", "hours", office_hours())]);
    let closed =
        |namespace: &str, when: &str| windows.lock().closed(&bot(namespace, "prod", "a"), "ops", at(when)).is_some();
    assert!(closed("shop", "2026-12-24T12:00:00Z"), "its own freeze, within the office hours of all");
    assert!(!closed("bank", "2026-12-24T12:00:00Z"), "the freeze is another tenant's");
    assert!(closed("bank", "2026-12-24T20:00:00Z"), "outside of the office hours of all");
}

#[test]
fn environment_and_labels_must_both_match() {
    let mut spec = freeze();
    spec["environmentIds"] = json!(["prod", "prod-2"]);
    spec["matchLabels"] = json!({"team": "a"});
    let windows = windows_of(&[("ops", "christmas", spec)]);
    for (environment, team, is_closed) in
        [("prod", "a", true), ("prod-2", "a", true), ("prod", "b", false), ("staging", "a", false)]
    {
        let gate = windows.lock().closed(&bot("shop", environment, team), "ops", at(IN_FREEZE));
        assert_eq!(gate.is_some(), is_closed, "{environment} {team}");
    }
}

#[test]
fn a_window_that_cannot_be_read_closes_until_somebody_corrects_it() {
    let mut zone = office_hours();
    zone["timeZone"] = json!("Europe/Atlantis");
    for (spec, says) in [(zone, "Europe/Atlantis"), (json!({"type": "Perhaps"}), "Perhaps")] {
        let windows = windows_of(&[("ops", "hours", spec)]);
        let gate = windows.lock().closed(&bot("shop", "prod", "a"), "ops", at("2026-12-24T12:00:00Z")).unwrap();
        assert!(gate.message.contains("ops/hours cannot be read") && gate.message.contains(says), "{}", gate.message);
        assert_eq!(gate.opens_at, None);
    }
}

#[test]
fn too_many_windows_close_for_their_own_namespace_only() {
    let many: Vec<(&str, String, Value)> =
        (0..=MAX_WINDOWS).map(|number| ("shop", format!("w{number}"), office_hours())).collect();
    let many: Vec<(&str, &str, Value)> =
        many.iter().map(|(namespace, name, spec)| (*namespace, name.as_str(), spec.clone())).collect();
    let windows = windows_of(&many);
    let gate = windows.lock().closed(&bot("shop", "prod", "a"), "ops", at("2026-12-24T12:00:00Z")).unwrap();
    assert!(gate.message.contains("has 65 change windows"), "{}", gate.message);
    assert_eq!(windows.lock().closed(&bot("bank", "prod", "a"), "ops", at("2026-12-24T12:00:00Z")), None);
}

#[test]
fn windows_that_use_up_the_search_of_a_tenant_do_not_hide_a_deny_of_the_platform() {
    let often = |schedule: &str| json!({"type": "Allow", "timeZone": "UTC", "recurring": {"schedule": schedule, "durationSeconds": 60}});
    let names: Vec<String> = (0..MAX_WINDOWS).map(|number| format!("w{number}")).collect();
    let spec = |number| often(if number % 2 == 0 { "*/2 * * * *" } else { "1-59/2 * * * *" });
    let mut objects: Vec<_> =
        names.iter().enumerate().map(|(number, name)| ("shop", name.as_str(), spec(number))).collect();
    objects.push(("ops", "christmas", freeze()));
    let windows = windows_of(&objects);
    let closed = |when: &str| windows.lock().closed(&bot("shop", "prod", "a"), "ops", at(when)).is_some();
    assert!(!closed("2026-12-19T11:00:00Z"));
    assert!(!closed("2026-12-19T16:59:59Z"));
    assert!(closed("2026-12-19T17:00:00Z"), "the freeze began 6 hours after the first evaluation");
}

#[test]
fn a_write_of_the_status_changes_no_gate() {
    let windows = windows_of(&[("ops", "christmas", freeze())]);
    let mut object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
        "metadata": {"namespace": "ops", "name": "christmas", "uid": "u1", "generation": 1}, "spec": freeze(),
        "status": {"active": true},
    });
    let observe = |object: &Value| {
        let watched: WatchedWindow = serde_json::from_str(&object.to_string()).unwrap();
        windows.lock().observe(&Event::Apply(watched))
    };
    assert_eq!(observe(&object), None);
    object["metadata"]["generation"] = json!(2);
    assert_eq!(observe(&object).as_deref(), Some("ops"));
}

#[test]
fn only_the_evaluations_that_a_changed_window_is_part_of_are_dropped() {
    let windows = windows_of(&[("shop", "hours", office_hours()), ("bank", "hours", office_hours())]);
    let now = at("2026-12-24T12:00:00Z");
    let evaluate_all = || {
        for namespace in ["shop", "bank"] {
            windows.lock().closed(&bot(namespace, "prod", "a"), "ops", now);
        }
        windows.lock().index.evaluations.count()
    };
    assert_eq!(evaluate_all(), 2);
    let mut object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
        "metadata": {"namespace": "shop", "name": "hours", "uid": "u1", "generation": 1}, "spec": office_hours(),
        "status": {"active": true},
    });
    let observe = |object: &Value| {
        let watched: WatchedWindow = serde_json::from_str(&object.to_string()).unwrap();
        windows.lock().observe(&Event::Apply(watched));
        windows.lock().index.evaluations.count()
    };
    assert_eq!(observe(&object), 2, "a write of the status");
    assert_eq!(evaluate_all(), 2, "the evaluation is still found");
    object["metadata"]["generation"] = json!(2);
    object["spec"] = freeze();
    assert_eq!(observe(&object), 1, "another spec");
    assert!(windows.lock().closed(&bot("shop", "prod", "a"), "ops", now).is_some(), "the new spec is evaluated");
    object["metadata"]["uid"] = json!("u2");
    object["spec"] = office_hours();
    assert_eq!(observe(&object), 1, "another object with the same generation");
    assert_eq!(windows.lock().closed(&bot("shop", "prod", "a"), "ops", now), None);
}

#[test]
fn neither_a_long_reason_nor_control_characters_hide_the_instant_or_the_next_step() {
    let mut spec = freeze();
    spec["reason"] = json!(format!("\u{1b}[31m{}\n{}", "ä".repeat(100), "x".repeat(100)));
    let windows = windows_of(&[("ops", "christmas", spec)]);
    let message = windows.lock().closed(&bot("shop", "prod", "a"), "ops", at(IN_FREEZE)).unwrap().message;
    let (before, reason) = message.split_once("; the window's reason: ").unwrap();
    assert!(before.contains("at Mon 2027-01-04 06:00 CET") && before.ends_with("--reason '…'"), "{message}");
    assert!(reason.starts_with("[31mä") && reason.len() <= 64 && !message.contains(char::is_control), "{message}");
}
