//! The CEL rules of decisions and change windows, run offline. The tests of the operator use the same table.

use crate::{ChangeWindow, CognigyDecision};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Refused {
    kind: String,
    case: String,
    patch: Value,
    says: String,
    only_online: Option<String>,
}

fn decision() -> Value {
    json!({
        "deployment": "bot", "environmentId": "env_prod_us_01", "planId": "plan-7a2934b468d32a1c", "verb": "Approve", "by": "ada",
        "reason": "tested in staging"
    })
}

fn window() -> Value {
    json!({
        "type": "Deny", "timeZone": "Europe/Berlin", "recurring": {"schedule": "0 18 * * 5", "durationSeconds": 3600},
        "environmentIds": ["env_prod_us_01"], "reason": "weekend"
    })
}

/// What the rules say about an object of this kind.
fn check(kind: &str, patch: &Value) -> Result<(), String> {
    let mut object = json!({"metadata": {"name": "one", "namespace": "bots"}});
    object["spec"] = if kind == "CognigyDecision" { decision() } else { window() };
    super::merge(&mut object["spec"], patch);
    object["apiVersion"] = json!("deploy.cognigy.ai/v1alpha1");
    object["kind"] = json!(kind);
    match kind {
        "CognigyDecision" => {
            let object: CognigyDecision = serde_json::from_value(object).unwrap();
            object.validate_cel().map_err(|error| error.to_string())
        }
        _ => {
            let object: ChangeWindow = serde_json::from_value(object).unwrap();
            object.validate_cel().map_err(|error| error.to_string())
        }
    }
}

#[test]
fn each_wrong_decision_and_change_window_is_refused_with_what_to_write_instead() {
    let table: Vec<Refused> = serde_saphyr::from_str(include_str!("refused_gates.yaml")).unwrap();
    assert!(table.len() > 25, "the table was read");
    for Refused { kind, case, patch, says, only_online } in table {
        if only_online.is_none() && !says.starts_with("spec.") {
            let refusal = check(&kind, &patch).expect_err(&case);
            assert!(refusal.contains(&says), "{case}: {refusal}");
        }
    }
}

#[test]
fn the_samples_and_each_bound_are_accepted() {
    check("CognigyDecision", &json!({})).unwrap();
    check("CognigyDecision", &json!({"expiresAt": "2026-12-24T12:00:00Z"})).unwrap();
    for patch in [
        json!({}),
        json!({"timeZone": "UTC"}),
        json!({"timeZone": "Etc/UTC"}),
        json!({"timeZone": "America/Argentina/Buenos_Aires"}),
        json!({"recurring": {"durationSeconds": 60}}),
        json!({"recurring": {"durationSeconds": 2_678_400}}),
        json!({"recurring": {"schedule": "*/15 8-17 * * MON-FRI"}}),
        json!({"recurring": {"schedule": "0,30 0 1,15 JAN-MAR/2 *"}}),
        json!({"recurring": {"schedule": "59 23 31 12 *"}}),
        json!({"recurring": {"schedule": "0 9 * * 7"}}),
        json!({"recurring": {"schedule": "0 9 * * SAT-SUN"}}),
        json!({"recurring": {"schedule": "0 9  *   * *"}}),
        json!({"recurring": null, "once": {"from": "2026-01-01T00:00:00Z", "to": "2027-01-02T00:00:00Z"}}),
    ] {
        check("ChangeWindow", &patch).unwrap_or_else(|error| panic!("{patch}: {error}"));
    }
}

#[test]
fn a_decision_cannot_be_changed() {
    let object = |reason: &str| {
        let mut spec = decision();
        spec["reason"] = json!(reason);
        CognigyDecision::new("one", serde_json::from_value(spec).unwrap())
    };
    let refusal = object("another reason").validate_cel_update(&object("tested")).unwrap_err().to_string();
    assert!(refusal.contains("a decision cannot be changed: create another one"), "{refusal}");
    object("tested").validate_cel_update(&object("tested")).unwrap();
}
