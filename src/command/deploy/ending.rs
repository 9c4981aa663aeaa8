//! When a run ends, and with which exit code. Pure functions.

use api::condition::{ConditionSet, ConditionType};
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, HandledRequests, Step};
use api::{CognigyDeployment, Digest, Finding, RETRY_ANNOTATION, ROLLBACK_ANNOTATION, Wait, finding};
use jiff::Timestamp;
use kube::ResourceExt;

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// There is a verdict, or a person is needed.
    Found(Finding),
    /// `--timeout` is over.
    TimedOut,
    /// `--timeout` is over, nothing was submitted, and Cognigy.AI could not be reached.
    NotReached,
    /// A signal stopped the run.
    Interrupted(Interruption),
}

/// A signal that stops a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// SIGINT, from Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Interruption {
    /// The exit code, as a shell reports it.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl Ending {
    /// The exit code. docs/deploy.md explains each one.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Found(Finding::Succeeded { .. }) => 0,
            Self::Found(Finding::Failed { .. }) => 1,
            Self::TimedOut | Self::Found(Finding::Pending { .. }) => 3,
            Self::Found(Finding::NeedsPerson { .. }) => 4,
            Self::NotReached => 5,
            Self::Interrupted(interruption) => interruption.exit_code(),
        }
    }
}

/// What the resource says about the configuration. A status that does not know the newest edit and the newest requests yet
/// says nothing.
pub(super) fn found(object: &CognigyDeployment, digest: &Digest) -> Finding {
    let knows = |status: &&CognigyDeploymentStatus| {
        let generation = object.metadata.generation.unwrap_or_default();
        status.observed_generation >= generation && knows_requests(object, status.handled_requests.as_ref())
    };
    finding(object.status.as_ref().filter(knows), digest, Wait::Verdict)
}

fn knows_requests(object: &CognigyDeployment, handled: Option<&HandledRequests>) -> bool {
    let wanted = |annotation| object.annotations().get(annotation);
    let retry = handled.and_then(|handled| handled.retry.as_ref());
    let rollback = handled.and_then(|handled| handled.rollback.as_ref());
    let is_known = |wanted: Option<&String>, handled: Option<&String>| wanted.is_none() || wanted == handled;
    is_known(wanted(RETRY_ANNOTATION), retry) && is_known(wanted(ROLLBACK_ANNOTATION), rollback)
}

/// Whether the finding ends the run, apart from messages that are still owed. The process is the only one that acts, so it goes
/// on as long as it can do something for a rollout in flight, also while it tells that a person is needed.
pub(super) fn is_final(finding: &Finding, status: Option<&CognigyDeploymentStatus>, now: Timestamp) -> bool {
    let attempt = status.and_then(|status| status.attempt.as_ref());
    match finding {
        Finding::Pending { .. } => false,
        Finding::Succeeded { .. } | Finding::Failed { .. } => true,
        Finding::NeedsPerson { reason, .. } => match attempt.filter(|attempt| attempt.is_in_flight()) {
            None => true,
            // The submit is repeated until the deadline. Then nobody can say when it will be known.
            Some(attempt) => *reason == Reason::SubmitOutcomeUnknown && is_past_deadline(attempt, now),
        },
    }
}

fn is_past_deadline(attempt: &Attempt, now: Timestamp) -> bool {
    attempt.step == Step::Submitting && attempt.deadline_at().is_some_and(|deadline| now >= deadline)
}

/// Whether nothing is left to do after a final finding: no message is owed, and a rollback was watched to its end.
pub(super) fn is_done(status: Option<&CognigyDeploymentStatus>) -> bool {
    status.is_none_or(|status| {
        let step = status.attempt.as_ref().map(|attempt| attempt.step);
        status.outbox.is_empty() && step != Some(Step::VerifyingRollback)
    })
}

/// How a run ends whose time is over.
pub(super) fn timed_out(finding: Finding, status: Option<&CognigyDeploymentStatus>) -> Ending {
    match finding {
        Finding::Pending { .. } if status.is_none_or(is_unreached) => Ending::NotReached,
        Finding::Pending { .. } => Ending::TimedOut,
        found => Ending::Found(found),
    }
}

/// Whether nothing was submitted because Cognigy.AI did not answer. The first call may still have waited for its answer.
fn is_unreached(status: &CognigyDeploymentStatus) -> bool {
    let Some(attempt) = &status.attempt else { return true };
    let ready = status.conditions.find(ConditionType::Ready).map(|ready| ready.reason);
    match attempt.step {
        Step::Pending | Step::Validating => ready != Some(Reason::Queued),
        Step::Tracing => ready == Some(Reason::ApiUnavailable),
        Step::Submitting
        | Step::RollingOut
        | Step::Monitoring
        | Step::RollingBack
        | Step::VerifyingRollback
        | Step::Settled => false,
    }
}

#[cfg(test)]
mod tests;
