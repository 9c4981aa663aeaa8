//! Where the resource stands, in one word for people (phase) and in the conditions that tools read (Ready, Reconciling,
//! Stalled, as kstatus understands them).

use super::apply::job;
use super::conditions::{Tell, message_of, tell};
use super::decide::{is_outdated, is_past_deadline, time_until_free};
use super::facts::Facts;
use super::memory::Memory;
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, DeliveryKind, OutboxEntry, Outcome, Phase, Step};

/// Where the resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// The environment runs what the spec asks for.
    Ready(String),
    /// The operator is at work, or waits for something that comes by itself.
    Reconciling(Reason, String),
    /// A person is needed.
    Stalled(Reason, String),
    /// Held back by the spec: neither at work nor in need.
    Suspended,
}

/// Writes where the resource stands; changes nothing where nothing has changed.
pub fn refresh(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &Memory) {
    let (ready, flag) = match standing(facts, status, memory) {
        Standing::Ready(message) => (Tell::yes(ConditionType::Ready, Reason::Succeeded, message), None),
        Standing::Reconciling(reason, message) => (
            Tell::unknown(ConditionType::Ready, reason, message.clone()),
            Some((ConditionType::Reconciling, reason, message)),
        ),
        Standing::Stalled(reason, message) => {
            (Tell::no(ConditionType::Ready, reason, message.clone()), Some((ConditionType::Stalled, reason, message)))
        }
        Standing::Suspended => {
            let message = "suspended with a configuration waiting: set spec.suspend to false to go on";
            (Tell::no(ConditionType::Ready, Reason::Suspended, message), None)
        }
    };
    tell(status, facts, ready);
    let present = flag.as_ref().map(|(condition_type, _, _)| *condition_type);
    for absent in [ConditionType::Reconciling, ConditionType::Stalled] {
        if Some(absent) != present {
            status.conditions.withdraw(absent);
        }
    }
    if let Some((condition_type, reason, message)) = flag {
        tell(status, facts, Tell::yes(condition_type, reason, message));
    }
    tell_deliveries(status, facts);
    status.phase = Some(phase(status.attempt.as_ref()));
    status.observed_generation = facts.generation;
}

fn standing(facts: &Facts<'_>, status: &CognigyDeploymentStatus, memory: &Memory) -> Standing {
    match &status.attempt {
        None => waiting_for_the_first(facts),
        Some(attempt) => match attempt.step {
            Step::Pending | Step::Validating | Step::Tracing => checking(facts, attempt, memory),
            Step::Submitting => submitting(facts, memory),
            Step::RollingOut | Step::Monitoring => watching(facts, status, attempt, memory),
            Step::RollingBack => rolling_back(facts, memory),
            Step::VerifyingRollback | Step::Settled => ended(facts, status, attempt, memory),
        },
    }
}

fn waiting_for_the_first(facts: &Facts<'_>) -> Standing {
    match &facts.target {
        Err(obstacle) if obstacle.stalls() => Standing::Stalled(obstacle.reason, obstacle.message.clone()),
        Err(obstacle) => Standing::Reconciling(obstacle.reason, obstacle.message.clone()),
        Ok(_) if facts.spec.suspend => Standing::Suspended,
        Ok(_) => Standing::Reconciling(Reason::Pending, "the first attempt is about to begin".to_owned()),
    }
}

fn checking(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Standing {
    let obstacle = facts.target.as_ref().err().or_else(|| memory.obstacle(facts.generation));
    match obstacle {
        Some(obstacle) if obstacle.stalls() => Standing::Stalled(obstacle.reason, obstacle.message.clone()),
        _ if facts.spec.suspend => Standing::Suspended,
        Some(obstacle) => Standing::Reconciling(obstacle.reason, obstacle.message.clone()),
        None => {
            if let Some(place) = memory.attempt.turn.place() {
                let message = format!("attempt {} waits for the request budget: {place}", attempt.number);
                return Standing::Reconciling(Reason::Queued, message);
            }
            let (reason, what) = match attempt.step {
                Step::Tracing => (Reason::Tracing, "the synthetic trace is looking for conflicts"),
                _ => (Reason::Validating, "the environment is asked whether it can take this configuration"),
            };
            Standing::Reconciling(reason, format!("attempt {}: {what}", attempt.number))
        }
    }
}

fn submitting(facts: &Facts<'_>, memory: &Memory) -> Standing {
    if let Some(why) = &memory.attempt.submit_unknown {
        return Standing::Stalled(Reason::SubmitOutcomeUnknown, why.clone());
    }
    if is_past_deadline(facts, memory) {
        let message = "the submit was not answered in time; it is still sent under its key, until the key expires";
        return Standing::Stalled(Reason::SubmitOutcomeUnknown, message.to_owned());
    }
    in_flight(facts, memory, Reason::Submitting, "the rollout is being submitted".to_owned())
}

fn watching(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt, memory: &Memory) -> Standing {
    if let Some(unasked) = unasked_past_the_deadline(facts, memory) {
        return unasked;
    }
    let job_id = attempt.job_id.as_ref().map_or("the job", |job_id| job_id.as_str());
    let (reason, mut message) = match attempt.step {
        Step::Monitoring => {
            (Reason::Monitoring, format!("{job_id} has completed; the environment's health is watched"))
        }
        _ if job::is_unreadable(status) => {
            (Reason::RollingOut, format!("{job_id} was taken; how it stands cannot be read"))
        }
        _ => (Reason::RollingOut, format!("{job_id} is running")),
    };
    if facts.wants_other_than(&attempt.digest) {
        message.push_str("; a newer configuration waits for its end");
        return in_flight(facts, memory, Reason::NewerConfigurationWaiting, message);
    }
    in_flight(facts, memory, reason, message)
}

/// While nothing can be asked there is no verdict, however late it is: a person should know.
fn unasked_past_the_deadline(facts: &Facts<'_>, memory: &Memory) -> Option<Standing> {
    let obstacle = memory.obstacle(facts.generation).filter(|obstacle| !obstacle.stalls())?;
    is_past_deadline(facts, memory).then(|| {
        let message = format!(
            "the deadline has passed, and Cognigy.AI could not be asked since whether the rollout is well; its first \
             answer decides: {}",
            obstacle.message
        );
        Standing::Stalled(obstacle.reason, message)
    })
}

fn rolling_back(facts: &Facts<'_>, memory: &Memory) -> Standing {
    match memory.obstacle(facts.generation) {
        // Time may remove it, but what is live is bad: a person should know at once.
        Some(obstacle) => Standing::Stalled(obstacle.reason, obstacle.message.clone()),
        None => Standing::Reconciling(Reason::RollingBack, "the rollback is being asked for".to_owned()),
    }
}

fn in_flight(facts: &Facts<'_>, memory: &Memory, reason: Reason, message: String) -> Standing {
    match memory.obstacle(facts.generation) {
        Some(obstacle) if obstacle.stalls() => Standing::Stalled(obstacle.reason, obstacle.message.clone()),
        Some(obstacle) => Standing::Reconciling(obstacle.reason, obstacle.message.clone()),
        None => Standing::Reconciling(reason, message),
    }
}

fn ended(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt, memory: &Memory) -> Standing {
    match &facts.target {
        Err(obstacle) if obstacle.stalls() => return Standing::Stalled(obstacle.reason, obstacle.message.clone()),
        Err(obstacle) => return Standing::Reconciling(obstacle.reason, obstacle.message.clone()),
        Ok(target) if target.digest != attempt.digest && facts.spec.suspend => return Standing::Suspended,
        Ok(target) if target.digest != attempt.digest && !time_until_free(facts, attempt, memory).is_zero() => {
            let message =
                "a newer configuration waits until the deadline of the submit that nobody answered has passed";
            return Standing::Reconciling(Reason::NewerConfigurationWaiting, message.to_owned());
        }
        // Whoever waits for the resource must not take the old outcome for that of what he has just written.
        Ok(target) if is_outdated(attempt, target) && !facts.spec.suspend && facts.deleted_at.is_none() => {
            let message = "a newer configuration is about to be tried";
            return Standing::Reconciling(Reason::NewerConfigurationWaiting, message.to_owned());
        }
        Ok(_) => {}
    }
    let Some(verdict) = &attempt.verdict else {
        let message = "the status names no verdict for an attempt that has ended: ask for a retry".to_owned();
        return Standing::Stalled(Reason::StatusUnreadable, message);
    };
    // What became of a rollback says more about the environment than the outcome that came before it.
    match (verdict.outcome, &attempt.rollback) {
        (_, Some(rollback)) if rollback.accepted_at.is_some() => rolled_back(status),
        (_, Some(rollback)) if rollback.refused_at.is_some() => {
            Standing::Stalled(Reason::RollbackRefused, message_of(status, ConditionType::RolledBack))
        }
        (Outcome::RolledBack, _) => rolled_back(status),
        (Outcome::Succeeded, None) if facts.other_owner.is_some() => {
            let owner = facts.other_owner.clone().unwrap_or_default();
            Standing::Stalled(Reason::EnvironmentInUse, owner)
        }
        (Outcome::Succeeded, None) => {
            Standing::Ready(format!("attempt {} succeeded: the environment runs this configuration", attempt.number))
        }
        (Outcome::Succeeded, Some(_)) => {
            let message = "a rollback was decided on, and given up before Cognigy.AI had answered";
            Standing::Stalled(Reason::DeletionGraceExpired, message.to_owned())
        }
        (outcome, _) => Standing::Stalled(verdict.reason, failure(status, outcome, verdict.reason)),
    }
}

fn rolled_back(status: &CognigyDeploymentStatus) -> Standing {
    let what_next = "deploy a corrected configuration, or ask for a retry";
    match status.conditions.find(ConditionType::Healthy) {
        Some(healthy) if healthy.reason == Reason::RolledBackUnhealthy => {
            Standing::Stalled(Reason::RolledBackUnhealthy, healthy.message.clone())
        }
        _ => {
            let message = message_of(status, ConditionType::RolledBack);
            Standing::Stalled(Reason::RolledBack, format!("{message}; {what_next}"))
        }
    }
}

/// The words of the condition that tells why, and what to do next.
fn failure(status: &CognigyDeploymentStatus, outcome: Outcome, reason: Reason) -> String {
    let teller = match reason {
        Reason::ValidationRefused => Some(ConditionType::Validated),
        Reason::TraceNotPassed => Some(ConditionType::TracePassed),
        Reason::SubmitRejected | Reason::SubmitOutcomeUnknown | Reason::JobFailed | Reason::JobGone => {
            Some(ConditionType::RolledOut)
        }
        Reason::HealthCheckFailed => Some(ConditionType::Healthy),
        Reason::RollbackRefused => Some(ConditionType::RolledBack),
        _ => None,
    };
    let words = teller.map(|teller| message_of(status, teller)).filter(|words| !words.is_empty());
    let words = words.unwrap_or_else(|| match reason {
        Reason::DeadlineExceeded => "there was no good answer before the deadline".to_owned(),
        Reason::Cancelled => "stopped by request before anything was submitted".to_owned(),
        _ => format!("the attempt ended as {outcome}"),
    });
    let is_deployed = outcome == Outcome::Failed
        && matches!(reason, Reason::JobFailed | Reason::JobGone | Reason::HealthCheckFailed | Reason::DeadlineExceeded);
    match is_deployed {
        true => format!(
            "{words}; autoTrigger is off: set the annotation deploy.cognigy.ai/rollback to roll back, or deploy a new \
             configuration"
        ),
        false => words,
    }
}

fn tell_deliveries(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let given_up = status
        .conditions
        .find(ConditionType::Delivered)
        .is_some_and(|condition| condition.status == ConditionStatus::False);
    let has_ended = status.attempt.as_ref().is_some_and(|attempt| attempt.verdict.is_some());
    match status.outbox.len() {
        // Whatever is taken later, this one was not.
        _ if given_up => {}
        0 if has_ended => {
            tell(status, facts, Tell::yes(ConditionType::Delivered, Reason::Delivered, "every message was taken"));
        }
        0 if status.attempt.is_none() => {}
        0 => {
            let message = "not known yet in this attempt";
            tell(status, facts, Tell::unknown(ConditionType::Delivered, Reason::AttemptStarted, message));
        }
        _ if waits_for_another_api(status, facts) => tell_of_another_api(status, facts),
        waiting => {
            let message = format!("{waiting} message(s) wait for the audit log or the webhook to take them");
            tell(status, facts, Tell::unknown(ConditionType::Delivered, Reason::DeliveryPending, message));
        }
    }
}

/// Whether audit records wait for another API than the credentials point to. A process that has not read the credentials yet
/// does not know, and believes what the condition says.
fn waits_for_another_api(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> bool {
    match &facts.credentials_origin {
        Some(_) => for_another_api(status, facts).next().is_some(),
        None => status
            .conditions
            .find(ConditionType::Delivered)
            .is_some_and(|condition| condition.reason == Reason::EndpointChanged),
    }
}

/// The audit records that wait for another API than the credentials point to, and which that is.
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

fn tell_of_another_api(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let Some(now) = &facts.credentials_origin else { return };
    let held_back: Vec<_> = for_another_api(status, facts).collect();
    let Some((oldest, taken_by)) = held_back.first() else { return };
    let place = match &facts.spec.credentials_ref {
        Some(secret) => format!("Secret {}", secret.name),
        None => "the operator's --base-url".to_owned(),
    };
    let message = format!(
        "{} audit record(s) wait: the rollout went to {taken_by}, but {place} now names {now}; point it back to \
         {taken_by} until the record is taken, else the record of {} is given up after 72 hours and is in the operator's log",
        held_back.len(),
        oldest.created_at,
    );
    tell(status, facts, Tell::unknown(ConditionType::Delivered, Reason::EndpointChanged, message));
}

fn phase(attempt: Option<&Attempt>) -> Phase {
    let Some(attempt) = attempt else { return Phase::Pending };
    match attempt.step {
        Step::Pending => Phase::Pending,
        Step::Validating => Phase::Validating,
        Step::Tracing => Phase::Tracing,
        Step::Submitting => Phase::Submitting,
        Step::RollingOut => Phase::RollingOut,
        Step::Monitoring => Phase::Monitoring,
        Step::RollingBack => Phase::RollingBack,
        Step::VerifyingRollback => Phase::VerifyingRollback,
        Step::Settled => settled_phase(attempt),
    }
}

fn settled_phase(attempt: &Attempt) -> Phase {
    let is_rolled_back = attempt.rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some());
    match attempt.outcome() {
        _ if is_rolled_back => Phase::RolledBack,
        Some(Outcome::Succeeded) => Phase::Succeeded,
        Some(Outcome::RolledBack) => Phase::RolledBack,
        _ => Phase::Failed,
    }
}
