//! The state of a deployment in one word and one sentence, and what happens next.

use crate::output::Style;
use api::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, Step};
use api::{CognigyDeployment, SUSPENDED_BY_ANNOTATION};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

/// How many characters of the annotation about a suspension are shown.
const LONGEST_SIGNATURE: usize = 400;

/// The state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// One word.
    pub word: String,
    /// What it means for people.
    pub style: Style,
    /// The reason of the condition Ready, or nothing if the operator has not seen the resource.
    pub reason: Option<api::Reason>,
    /// Since when Ready has its value.
    pub since: Option<Timestamp>,
    /// The message of the condition Ready.
    pub message: String,
}

/// The state of a deployment.
#[must_use]
pub fn state(deployment: &CognigyDeployment) -> State {
    let Some(ready) = observed(deployment).and_then(|status| status.conditions.find(ConditionType::Ready)) else {
        let generation = deployment.meta().generation.unwrap_or_default();
        let seen = deployment.status.as_ref().map(|status| status.observed_generation).filter(|seen| *seen >= 0);
        let message = match seen {
            Some(seen) => format!("the operator has seen generation {seen} of the spec, and not yet {generation}"),
            None => "the operator has not seen this resource yet".to_owned(),
        };
        return State { word: "Unseen".to_owned(), style: Style::Attention, reason: None, since: None, message };
    };
    let status = deployment.status.as_ref();
    let is_stalled = status.is_some_and(|status| status.conditions.is_true(ConditionType::Stalled));
    let is_deleted = deployment.meta().deletion_timestamp.is_some();
    let phase = status.and_then(|status| status.phase).map(|phase| format!("{phase:?}"));
    let (word, style) = match ready.status {
        _ if is_deleted => ("Deleting".to_owned(), Style::Attention),
        ConditionStatus::True if deployment.spec.suspend => ("Ready, suspended".to_owned(), Style::Good),
        ConditionStatus::True => ("Ready".to_owned(), Style::Good),
        ConditionStatus::False if is_stalled => (ready.reason.to_string(), Style::Bad),
        ConditionStatus::False => (ready.reason.to_string(), Style::Attention),
        ConditionStatus::Unknown if is_waiting(ready) => (ready.reason.to_string(), Style::Attention),
        ConditionStatus::Unknown => (phase.unwrap_or_else(|| ready.reason.to_string()), Style::Attention),
    };
    State {
        word,
        style,
        reason: Some(ready.reason),
        since: Some(ready.last_transition_time),
        message: with_suspension(deployment, &ready.message),
    }
}

/// The message, with who suspended the deployment and why, if `kubectl cognigy suspend` did it.
fn with_suspension(deployment: &CognigyDeployment, message: &str) -> String {
    let by = deployment.annotations().get(SUSPENDED_BY_ANNOTATION).filter(|_| deployment.spec.suspend);
    let Some(by) = by else { return message.to_owned() };
    // Everybody who may edit the deployment can write this text.
    let by: String = by.chars().filter(|letter| !letter.is_control()).take(LONGEST_SIGNATURE).collect();
    format!("{message} (suspended {by})")
}

/// The status, if it describes the present spec.
#[must_use]
pub fn observed(deployment: &CognigyDeployment) -> Option<&CognigyDeploymentStatus> {
    let generation = deployment.meta().generation.unwrap_or_default();
    deployment.status.as_ref().filter(|status| status.observed_generation >= generation)
}

/// Whether the attempt waits for something that is not the stage itself, so that the reason says more than the phase.
fn is_waiting(ready: &Condition) -> bool {
    use api::Reason::{
        ApiUnavailable, AwaitingSnapshot, NewerConfigurationWaiting, Queued, RollbackUnreachable, UnexpectedAnswer,
    };
    let is_at_gate = |reason: api::Reason| {
        reason == api::Reason::WindowClosed || reason.is_about_approvals() || reason.is_about_upstream()
    };
    matches!(
        ready.reason,
        ApiUnavailable | AwaitingSnapshot | NewerConfigurationWaiting | Queued | RollbackUnreachable | UnexpectedAnswer
    ) || is_at_gate(ready.reason)
}

/// What happens next without a person.
#[must_use]
pub fn next(deployment: &CognigyDeployment) -> String {
    let Some(status) = observed(deployment) else {
        return "the operator reads the spec; if nothing happens within a minute, run `kubectl cognigy doctor`"
            .to_owned();
    };
    let needs_person = status.conditions.is_true(ConditionType::Stalled);
    let Some(attempt) = &status.attempt else {
        return match needs_person {
            true => "nothing until the obstacle is gone; the operator looks again every minute".to_owned(),
            false if deployment.spec.suspend => "nothing while spec.suspend is true".to_owned(),
            false => "the first attempt starts".to_owned(),
        };
    };
    let policy = &deployment.spec.rollback_policy;
    let if_bad = if policy.auto_trigger { "it is rolled back" } else { "it counts as failed and stays" };
    match attempt.step {
        Step::Pending | Step::Validating | Step::Tracing if needs_person => {
            "nothing until the obstacle is gone; the operator looks again every minute".to_owned()
        }
        Step::Pending | Step::Validating | Step::Tracing if deployment.spec.suspend => {
            "nothing while spec.suspend is true".to_owned()
        }
        Step::Pending | Step::Validating => "validation, the synthetic trace, and the submit".to_owned(),
        Step::Tracing if attempt.checks.passed_at().is_none() => "the synthetic trace, and the submit".to_owned(),
        Step::Tracing => match attempt.gates.as_ref().map_or(0, |gates| gates.closed.len()) {
            0 => "the submit".to_owned(),
            _ => "the submit, by itself, once all gates are open".to_owned(),
        },
        Step::Submitting => "Cognigy.AI names the job; the submit is repeated under the same key until then".to_owned(),
        Step::RollingOut => "the job ends; then health is polled".to_owned(),
        Step::Monitoring => format!(
            "one good answer about health is success; {} bad ones in a row, and {if_bad}",
            policy.health_threshold
        ),
        Step::RollingBack => "Cognigy.AI accepts or refuses the rollback; it is requested until then".to_owned(),
        Step::VerifyingRollback => "health of the restored state is watched until it is good".to_owned(),
        Step::Settled => settled(deployment, status, attempt, needs_person),
    }
}

fn settled(
    deployment: &CognigyDeployment,
    status: &CognigyDeploymentStatus,
    attempt: &Attempt,
    needs_person: bool,
) -> String {
    let waits = status.conditions.find(ConditionType::Ready).is_some_and(is_waiting);
    match (waits, needs_person) {
        (true, _) => "the newer configuration starts".to_owned(),
        (false, _) if let Some(next) = after_success(deployment, status, attempt, needs_person) => next,
        (false, true) => format!("nothing by itself: attempt {} has ended, and a person must decide", attempt.number),
        (false, false) if !status.outbox.is_empty() => {
            format!("{} are delivered", messages(status.outbox.len()))
        }
        (false, false) if deployment.spec.suspend => "nothing while spec.suspend is true".to_owned(),
        (false, false) => "nothing until the spec changes".to_owned(),
    }
}

/// What happens next if the success is watched, and nothing else is to be done.
fn after_success(
    deployment: &CognigyDeployment,
    status: &CognigyDeploymentStatus,
    attempt: &Attempt,
    needs_person: bool,
) -> Option<String> {
    let watch = deployment.spec.monitoring.after_success?;
    let is_success = attempt.outcome() == Some(Outcome::Succeeded) && attempt.rollback.is_none();
    let is_unhealthy = status
        .conditions
        .find(ConditionType::Healthy)
        .is_some_and(|healthy| healthy.reason == api::Reason::UnhealthyAfterSuccess);
    let seconds = watch.interval_seconds;
    match (needs_person, is_unhealthy) {
        (true, true) if is_success => {
            Some(format!("a good answer about health, polled every {seconds} s, makes it ready; or a person decides"))
        }
        (false, false) if is_success && status.outbox.is_empty() => Some(format!("health is polled every {seconds} s")),
        _ => None,
    }
}

/// A number of messages, in words.
#[must_use]
pub fn messages(count: usize) -> String {
    match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}
