//! What would happen once the manifest is applied.

use super::owner::Owner;
use super::{Kind, Target};
use api::CognigyDeployment;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, Step};
use jiff::Timestamp;
use rollout::facts::Requests;
use rollout::requests::is_new;
use serde::Serialize;

/// What would happen next, as a word for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// The word.
    pub event: Event,
    /// The sentence: what happens, and what to do if somebody must do something.
    pub message: String,
    /// Until when it waits at most, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What would happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Event {
    /// Nothing starts and nothing stops.
    Nothing,
    /// An attempt starts at once.
    Starts,
    /// The present attempt, which has not been submitted, makes way for a new one.
    Replaces,
    /// The present attempt, which has not been submitted, repeats its checks.
    ChecksAgain,
    /// An attempt starts once the one in flight has ended.
    WaitsForAttempt,
    /// Nothing starts until `spec.suspend` is false.
    WaitsWhileSuspended,
    /// The operator waits until the ConfigMap holds the snapshot.
    WaitsForConfigMap,
    /// What runs is rolled back, or an attempt is stopped, because an annotation requests it.
    RollsBack,
    /// One more attempt at the same configuration starts, because an annotation requests it.
    Retries,
    /// Another resource owns the environment: the resource would be Stalled with EnvironmentInUse.
    EnvironmentInUse,
    /// The object is being deleted, so that nothing new starts.
    Deleted,
    /// It depends on a snapshot that is not known here.
    Unknown,
}

pub(super) struct Question<'a> {
    pub(super) live: Option<&'a CognigyDeployment>,
    pub(super) desired: &'a CognigyDeployment,
    pub(super) target: Option<&'a Target>,
    pub(super) kind: Kind,
    pub(super) is_awaited: bool,
    pub(super) owner: Option<&'a Owner>,
}

impl Question<'_> {
    pub(super) fn answer(&self) -> Next {
        let status = self.live.and_then(|live| live.status.as_ref());
        let attempt = status.and_then(|status| status.attempt.as_ref());
        if self.live.is_some_and(|live| live.metadata.deletion_timestamp.is_some()) {
            return say(
                Event::Deleted,
                "the object is being deleted: nothing new starts. Apply the manifest again once the object is gone",
            );
        }
        let (retry, rollback) = self.requests(status);
        if rollback {
            return roll_back(attempt);
        }
        if self.is_awaited {
            return say(
                Event::WaitsForConfigMap,
                "the operator waits until the ConfigMap holds the text with the sha256 that the manifest names: apply the ConfigMap too",
            );
        }
        let Some(target) = self.target else {
            return say(
                Event::Unknown,
                "the snapshot is in a ConfigMap that is neither in these files nor readable in the cluster: add its manifest to the files, or ask for the right to get it",
            );
        };
        match attempt {
            None => self.start(Event::Starts, "an attempt starts at once"),
            Some(attempt) => self.with_attempt(attempt, target, retry),
        }
    }

    fn with_attempt(&self, attempt: &Attempt, target: &Target, retry: bool) -> Next {
        let is_other = target.digest != attempt.digest;
        match attempt.step {
            Step::Pending | Step::Validating | Step::Tracing if is_other => self.start(
                Event::Replaces,
                &format!(
                    "attempt {} was not submitted and makes way: an attempt at the new configuration starts at once",
                    attempt.number
                ),
            ),
            Step::Pending | Step::Validating | Step::Tracing if target.checks_digest != attempt.checks.digest => self
                .start(
                    Event::ChecksAgain,
                    &format!("attempt {} was not submitted and repeats its checks", attempt.number),
                ),
            Step::Pending | Step::Validating | Step::Tracing => self.start(
                Event::Nothing,
                &format!("attempt {} at this configuration goes on ({})", attempt.number, attempt.step.as_str()),
            ),
            Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack if is_other => {
                self.wait(attempt)
            }
            Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack => {
                let ignored = if retry { ". The retry is ignored while it is in flight" } else { "" };
                say(
                    Event::Nothing,
                    &format!(
                        "attempt {} at this configuration goes on ({}){ignored}",
                        attempt.number,
                        attempt.step.as_str()
                    ),
                )
            }
            Step::VerifyingRollback | Step::Settled => self.settled(attempt, target, retry),
        }
    }

    fn settled(&self, attempt: &Attempt, target: &Target, retry: bool) -> Next {
        let is_outdated = target.is_outdated(attempt);
        if !is_outdated && !retry {
            let outcome = attempt.outcome().map_or("has ended", Outcome::as_str);
            let what = match self.kind {
                Kind::Nothing => "nothing changes",
                Kind::Metadata => "only metadata changes: no attempt starts",
                Kind::Shown => "only the shown version changes, from the next attempt on: no attempt starts",
                Kind::Settings | Kind::Checks | Kind::Attempt | Kind::Unknown => "no attempt starts",
            };
            return say(
                Event::Nothing,
                &format!("{what}. Attempt {} at this configuration: {outcome}", attempt.number),
            );
        }
        if attempt.outcome() == Some(Outcome::Unknown) {
            return self.wait(attempt);
        }
        if is_outdated {
            return self.start(Event::Starts, &format!("attempt {} starts at once", attempt.number + 1));
        }
        self.start(
            Event::Retries,
            &format!(
                "attempt {} at the same configuration starts at once, because the annotation requests it",
                attempt.number + 1
            ),
        )
    }

    /// Something starts, unless something holds it back.
    fn start(&self, event: Event, message: &str) -> Next {
        if let Some(owner) = self.owner {
            return say(
                Event::EnvironmentInUse,
                &format!(
                    "{owner} owns environment {}: this resource would be Stalled with EnvironmentInUse until the owner is deleted. Delete one of the two, or name another environment",
                    self.desired.spec.environment_id
                ),
            );
        }
        if self.desired.spec.suspend && event != Event::Nothing {
            return say(
                Event::WaitsWhileSuspended,
                "nothing starts while spec.suspend is true: set it to false to deploy",
            );
        }
        say(event, message)
    }

    fn wait(&self, attempt: &Attempt) -> Next {
        if self.desired.spec.suspend {
            return say(
                Event::WaitsWhileSuspended,
                "the attempt in flight goes on. Nothing new starts while spec.suspend is true: set it to false to deploy",
            );
        }
        let until = attempt.deadline_at();
        let latest = until.map(|until| format!(", at the latest at {until:.0}")).unwrap_or_default();
        let message = format!(
            "attempt {} ({}, {}) is in flight: the next attempt starts once it has ended{latest}, or after its rollback",
            attempt.number,
            attempt.configuration(),
            attempt.step.as_str()
        );
        Next { event: Event::WaitsForAttempt, message, until }
    }

    /// Whether the annotations of the manifest request a retry or a rollback that was not handled yet.
    fn requests(&self, status: Option<&CognigyDeploymentStatus>) -> (bool, bool) {
        // The operator notes what is there when it sees an object first, and does not act on it.
        let Some(handled) = status.and_then(|status| status.handled_requests.as_ref()) else { return (false, false) };
        let annotations = self.desired.metadata.annotations.clone().unwrap_or_default();
        let requests = Requests::from_annotations(&annotations);
        let retry = is_new(requests.retry.as_ref(), handled.retry.as_ref());
        (retry, is_new(requests.rollback.as_ref(), handled.rollback.as_ref()))
    }
}

fn roll_back(attempt: Option<&Attempt>) -> Next {
    let Some(attempt) = attempt else {
        return say(Event::Nothing, "the annotation requests a rollback, but the resource has deployed nothing");
    };
    let message = match attempt.step {
        Step::Pending | Step::Validating | Step::Tracing => format!(
            "attempt {} is stopped before its submit, because the annotation requests a rollback",
            attempt.number
        ),
        _ => format!(
            "{} is rolled back if the environment runs it, because the annotation requests it",
            attempt.configuration()
        ),
    };
    say(Event::RollsBack, &message)
}

fn say(event: Event, message: &str) -> Next {
    Next { event, message: message.to_owned(), until: None }
}
