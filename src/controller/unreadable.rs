//! Reads the claim of an object that this version of the operator does not understand.
//!
//! A newer operator may have written the object. The operator does not act on it, but its claim must stay valid,
//! because a rollout may be in flight. So the claim is read leniently, field by field, from any fields that can be
//! parsed.

use super::resources::claims::{ApiEnvironment, Claim};
use api::condition::{ConditionStatus, ConditionType};
use api::status::{DeliveryKind, Outcome, Phase, RollbackReason, Step};
use api::{EnvironmentId, Reason, identifier::ApiOrigin};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The maximum length in bytes of a text that is quoted from such an object.
const LONGEST_QUOTE: usize = 64;

/// The data that is kept for a resource that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The resource's metadata.
    pub metadata: ObjectMeta,
    /// The problem and the next step, for people.
    pub problem: String,
    /// The environment that it claims, if that can be read.
    pub environment: Option<Arc<ApiEnvironment>>,
    /// Its claim on the environment.
    pub claim: Claim,
}

/// A field of any type and any depth. Finding its end takes no recursion.
type Raw = Option<Box<RawValue>>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    environment_id: Raw,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Raw,
    conditions: Raw,
    attempt: Raw,
    claim: Raw,
    history: Raw,
    outbox: Raw,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attempt {
    step: Raw,
    submission: Raw,
    job: Raw,
    verdict: Raw,
    rollback: Raw,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Submission {
    api_origin: Raw,
    intended_at: Raw,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RecordedClaim {
    api_origin: Raw,
    deployed_at: Raw,
}

/// The enum values of a condition, a verdict, a rollback or a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EnumValues {
    r#type: Raw,
    status: Raw,
    reason: Raw,
    outcome: Raw,
    kind: Raw,
    verdict: Raw,
}

impl Unreadable {
    /// Reads the fields of such an object that can be read.
    pub(super) fn of(
        metadata: ObjectMeta,
        spec: Option<&RawValue>,
        status: Option<&RawValue>,
        error: &serde_json::Error,
    ) -> Self {
        let spec: Spec = lenient(spec);
        let status: Status = lenient(status);
        let attempt: Attempt = lenient(status.attempt.as_deref());
        let submission: Submission = lenient(attempt.submission.as_deref());
        let recorded: RecordedClaim = lenient(status.claim.as_deref());
        let origin = value::<ApiOrigin>(&submission.api_origin).or_else(|| value(&recorded.api_origin));
        let environment = origin
            .zip(value::<EnvironmentId>(&spec.environment_id))
            .map(|(origin, environment)| Arc::new(ApiEnvironment { origin, environment }));
        let deployed_at = value::<Timestamp>(&submission.intended_at).filter(|_| is_there(&attempt.job));
        let claim = Claim {
            in_flight: may_be_in_flight(&attempt, is_there(&status.attempt)),
            deployed_at: deployed_at.max(value(&recorded.deployed_at)),
        };
        let problem = match unknown_value(&status, &attempt) {
            Some((field, word)) => format!(
                "status.{field} is {word}, which this version of the operator does not know: upgrade the operator; until then it \
                 leaves the resource alone, also when it is deleted, and its environment stays claimed"
            ),
            None => format!(
                "this version of the operator cannot read the resource ({error}): correct it or upgrade the operator; until then it \
                 leaves the resource alone, also when it is deleted"
            ),
        };
        Self { metadata, problem, environment, claim }
    }
}

/// Whether a rollout may be in flight. This is certainly false before the intent, and after a verdict at a step that
/// needs no more requests.
fn may_be_in_flight(attempt: &Attempt, is_there_one: bool) -> bool {
    let has_verdict = is_there(&attempt.verdict);
    match value::<Step>(&attempt.step) {
        _ if !is_there_one => false,
        Some(Step::Pending | Step::Validating | Step::Tracing) => is_there(&attempt.submission),
        Some(Step::VerifyingRollback | Step::Settled) => !has_verdict,
        _ => true,
    }
}

/// The first enum value in the status that this version does not know, and the field that holds it.
fn unknown_value(status: &Status, attempt: &Attempt) -> Option<(String, String)> {
    let verdict: EnumValues = lenient(attempt.verdict.as_deref());
    let rollback: EnumValues = lenient(attempt.rollback.as_deref());
    let mut unknown = [
        ("attempt.step", is_unknown::<Step>(&attempt.step)),
        ("attempt.verdict.outcome", is_unknown::<Outcome>(&verdict.outcome)),
        ("attempt.verdict.reason", is_unknown::<Reason>(&verdict.reason)),
        ("attempt.rollback.reason", is_unknown::<RollbackReason>(&rollback.reason)),
        ("phase", is_unknown::<Phase>(&status.phase)),
    ]
    .into_iter()
    .filter_map(|(field, word)| Some((field.to_owned(), word?)))
    .collect::<Vec<_>>();
    for (number, condition) in items(&status.conditions).enumerate() {
        let fields = [
            ("type", is_unknown::<ConditionType>(&condition.r#type)),
            ("status", is_unknown::<ConditionStatus>(&condition.status)),
            ("reason", is_unknown::<Reason>(&condition.reason)),
        ];
        let found =
            fields.into_iter().filter_map(|(field, word)| Some((format!("conditions[{number}].{field}"), word?)));
        unknown.extend(found);
    }
    for (number, past) in items(&status.history).enumerate() {
        let verdict: EnumValues = lenient(past.verdict.as_deref());
        let fields =
            [("outcome", is_unknown::<Outcome>(&verdict.outcome)), ("reason", is_unknown::<Reason>(&verdict.reason))];
        let found =
            fields.into_iter().filter_map(|(field, word)| Some((format!("history[{number}].verdict.{field}"), word?)));
        unknown.extend(found);
    }
    for (number, message) in items(&status.outbox).enumerate() {
        unknown.extend(is_unknown::<DeliveryKind>(&message.kind).map(|word| (format!("outbox[{number}].kind"), word)));
    }
    unknown.into_iter().next()
}

fn items(list: &Raw) -> impl Iterator<Item = EnumValues> {
    let items: Vec<Box<RawValue>> =
        list.as_deref().and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    items.into_iter().map(|item| lenient(Some(&item)))
}

/// The text to quote, if it is not a known value of its type.
fn is_unknown<E: DeserializeOwned>(raw: &Raw) -> Option<String> {
    let mut text: String = value(raw)?;
    if value::<E>(raw).is_some() {
        return None;
    }
    api::condition::truncate(&mut text, LONGEST_QUOTE);
    Some(format!("{text:?}"))
}

fn is_there(raw: &Raw) -> bool {
    raw.is_some()
}

fn value<T: DeserializeOwned>(raw: &Raw) -> Option<T> {
    serde_json::from_str(raw.as_deref()?.get()).ok()
}

/// The fields of an object; the defaults if this is not an object.
fn lenient<T: DeserializeOwned + Default>(raw: Option<&RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::controller::watched::Watched;
    use serde_json::{Value, json};

    type Change = fn(&mut Value);

    /// A resource after a success, with one change.
    fn unreadable(change: impl Fn(&mut Value)) -> Arc<Unreadable> {
        let at = "2026-01-01T12:00:00Z";
        let mut object = json!({
            "metadata": {"name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7"},
            "spec": {"environmentId": "env", "configurationSnapshot": {"botVersion": "1"}},
            "status": {
                "phase": "Succeeded",
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Succeeded", "lastTransitionTime": at},
                    {"type": "Healthy", "status": "True", "reason": "HealthGood", "lastTransitionTime": at},
                ],
                "attempt": {
                    "number": 2, "digest": "v1:a", "checks": {"digest": "v1:b"}, "generation": 1, "step": "Settled",
                    "startedAt": at, "job": {"id": "job_1"}, "submission": {
                        "apiOrigin": "https://api", "intendedAt": at, "deadlineAt": at,
                        "idempotencyKey": "k", "requestHash": "r", "clientHash": "c",
                    },
                    "verdict": {"outcome": "Succeeded", "reason": "Succeeded", "at": at},
                },
                "claim": {"apiOrigin": "https://api", "deployedAt": at},
                "history": [{
                    "number": 1, "digest": "v1:a", "startedAt": at,
                    "verdict": {"outcome": "Failed", "reason": "JobFailed", "at": at},
                }],
                "outbox": [{"id": "1", "kind": "Audit", "body": "{}", "createdAt": at}],
            },
        });
        assert!(matches!(serde_json::from_value(object.clone()).unwrap(), Watched::Whole(_)));
        change(&mut object);
        match serde_json::from_value(object.clone()).unwrap() {
            Watched::Unreadable(unreadable) => unreadable,
            watched => panic!("{watched:?} of {object}"),
        }
    }

    #[test]
    fn a_value_that_this_version_does_not_know_is_reported_with_its_field_and_the_next_step() {
        for (pointer, field) in [
            ("/status/attempt/step", "attempt.step"),
            ("/status/attempt/verdict/outcome", "attempt.verdict.outcome"),
            ("/status/phase", "phase"),
            ("/status/conditions/1/type", "conditions[1].type"),
            ("/status/conditions/0/status", "conditions[0].status"),
            ("/status/history/0/verdict/outcome", "history[0].verdict.outcome"),
            ("/status/outbox/0/kind", "outbox[0].kind"),
        ] {
            let problem =
                unreadable(|object| *object.pointer_mut(pointer).unwrap() = json!("Invented")).problem.clone();
            assert!(problem.starts_with(&format!("status.{field} is \"Invented\"")), "{problem}");
            assert!(problem.contains("upgrade the operator"), "{problem}");
        }
        let rollback = json!({"key": "k", "reason": "invented", "requestedAt": "2026-01-01T12:00:00Z"});
        let problem = unreadable(|object| object["status"]["attempt"]["rollback"] = rollback.clone()).problem.clone();
        assert!(problem.starts_with("status.attempt.rollback.reason is \"invented\""), "{problem}");
    }

    #[test]
    fn a_quoted_value_is_short_and_has_no_control_characters() {
        let long = format!("\u{1b}[31m{}", "x".repeat(1000));
        let problem = unreadable(|object| object["status"]["phase"] = json!(long)).problem.clone();
        assert!(problem.len() < 400 && !problem.contains('\u{1b}'), "{problem}");
    }

    #[test]
    fn an_unreadable_resource_claims_its_environment_and_is_in_flight_unless_it_has_a_verdict() {
        let table: [(&str, Change, bool); 8] = [
            (
                "an unknown outcome of a settled attempt",
                |status| {
                    status["attempt"]["verdict"]["outcome"] = json!("Invented");
                },
                false,
            ),
            ("an unknown phase after a success", |status| status["phase"] = json!("Invented"), false),
            ("an unknown step after a verdict", |status| status["attempt"]["step"] = json!("Undoing"), true),
            (
                "an unknown step",
                |status| {
                    status["attempt"]["step"] = json!("Simulating");
                    status["attempt"].as_object_mut().unwrap().remove("verdict");
                },
                true,
            ),
            (
                "a job that runs, and an unknown phase",
                |status| {
                    status["phase"] = json!("Invented");
                    status["attempt"]["step"] = json!("RollingOut");
                    status["attempt"].as_object_mut().unwrap().remove("verdict");
                },
                true,
            ),
            (
                "settled without a verdict, and an unknown phase",
                |status| {
                    status["phase"] = json!("Invented");
                    status["attempt"].as_object_mut().unwrap().remove("verdict");
                },
                true,
            ),
            (
                "before the intent, with an unknown condition",
                |status| {
                    status["conditions"][0]["type"] = json!("Invented");
                    status["attempt"] = json!({"step": "Pending"});
                },
                false,
            ),
            ("an attempt that is not an object", |status| status["attempt"] = json!(7), true),
        ];
        for (what, change, in_flight) in table {
            let unreadable = unreadable(|object| change(&mut object["status"]));
            let claimed = unreadable.environment.as_ref().unwrap();
            assert_eq!((claimed.origin.as_str(), claimed.environment.as_str()), ("https://api", "env"), "{what}");
            assert_eq!(unreadable.claim.in_flight, in_flight, "{what}");
            assert!(unreadable.claim.deployed_at.is_some(), "{what}");
        }
    }

    #[test]
    fn an_unreadable_resource_without_an_environment_or_an_api_claims_nothing() {
        let changes: [fn(&mut Value); 2] = [
            |object| object["spec"]["environmentId"] = json!({}),
            |object| object["status"] = json!({"phase": "Invented"}),
        ];
        for change in changes {
            assert_eq!(unreadable(change).environment, None);
        }
    }
}
