//! The condition Delivered: whether the audit log and the webhook have accepted every message.

use super::conditions::{ConditionUpdate, set_condition};
use super::facts::Facts;
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, DeliveryKind, OutboxEntry};

/// Sets the condition Delivered.
pub(super) fn refresh(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let given_up = status
        .conditions
        .find(ConditionType::Delivered)
        .is_some_and(|condition| condition.status == ConditionStatus::False);
    let has_ended = status.attempt.as_ref().is_some_and(|attempt| attempt.verdict.is_some());
    match status.outbox.len() {
        // One message was given up. Later ones do not change that.
        _ if given_up => {}
        0 if has_ended => {
            set_condition(
                status,
                facts,
                ConditionUpdate::set_true(ConditionType::Delivered, Reason::Delivered, "every message was accepted"),
            );
        }
        0 if status.attempt.is_none() => {}
        0 => {
            let message = "not known yet in this attempt";
            set_condition(
                status,
                facts,
                ConditionUpdate::set_unknown(ConditionType::Delivered, Reason::AttemptStarted, message),
            );
        }
        _ if waits_for_another_api(status, facts) => set_waits_for_another_api(status, facts),
        waiting => {
            let message = format!("{waiting} message(s) wait until the audit log or the webhook accepts them");
            set_condition(
                status,
                facts,
                ConditionUpdate::set_unknown(ConditionType::Delivered, Reason::DeliveryPending, message),
            );
        }
    }
}

/// Whether audit records wait for another API than the one that the credentials point to. A process that has not read the
/// credentials yet cannot know, and keeps what the condition says.
fn waits_for_another_api(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> bool {
    match &facts.credentials_origin {
        Some(_) => for_another_api(status, facts).next().is_some(),
        None => status
            .conditions
            .find(ConditionType::Delivered)
            .is_some_and(|condition| condition.reason == Reason::EndpointChanged),
    }
}

/// The audit records that wait for another API than the one that the credentials point to, with that API.
fn for_another_api<'s>(
    status: &'s CognigyDeploymentStatus,
    facts: &'s Facts<'_>,
) -> impl Iterator<Item = (&'s OutboxEntry, &'s ApiOrigin)> {
    let audits = status.outbox.iter().filter(|entry| entry.kind == DeliveryKind::Audit);
    audits.filter_map(|entry| {
        let taken_by = entry.api_origin.as_ref()?;
        (Some(taken_by) != facts.credentials_origin.as_ref()).then_some((entry, taken_by))
    })
}

fn set_waits_for_another_api(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let Some(now) = &facts.credentials_origin else { return };
    let held_back: Vec<_> = for_another_api(status, facts).collect();
    let Some((oldest, taken_by)) = held_back.first() else { return };
    let place = match &facts.spec.credentials_ref {
        Some(secret) => format!("Secret {}", secret.name),
        None => "the operator's --base-url".to_owned(),
    };
    let message = format!(
        "{} audit record(s) wait: the rollout went to {taken_by}, but {place} now names {now}; point it back to \
         {taken_by} until the record is accepted; otherwise the record of {} is given up after 72 hours, and is in the operator's log",
        held_back.len(),
        oldest.created_at,
    );
    set_condition(
        status,
        facts,
        ConditionUpdate::set_unknown(ConditionType::Delivered, Reason::EndpointChanged, message),
    );
}
