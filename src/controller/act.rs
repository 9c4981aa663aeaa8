//! Executes a decision, and passes each answer to the function that handles it.

use super::admission_slot::HELD_BACK;
use super::error::Error;
use super::reconcile::ReconcileRun;
use super::record;
use super::snapshot::Desired;
use api::Snapshot;
use api::snapshot::MAX_WARNINGS;
use api::status::{CognigyDeploymentStatus, Step};
use platform::{CallFailure, Configuration, Connection, FailureCause, JobId};
use rollout::answer::{Retry, RollbackAnswer, ValidationAnswer};
use rollout::time::after;
use rollout::{Cause, Decision, Effects, Facts, Memory, Now, Obstacle, apply, attempt, requests};
use std::sync::Arc;
use std::time::Duration;

/// How a reconcile continues.
pub(super) enum Flow {
    /// Decide again.
    Again,
    /// Nothing to do for this long, or until something changes.
    Rest(Option<Duration>),
    /// The finalizer was removed: the resource is gone.
    Gone,
}

impl ReconcileRun<'_> {
    /// Executes a decision.
    pub(super) async fn execute(&mut self, decision: Decision) -> Result<Flow, Error> {
        match decision {
            Decision::Wait(rest) => return Ok(Flow::Rest(rest)),
            Decision::Release => return self.release().await,
            Decision::RequestSlot => return self.request_slot().await,
            Decision::Validate => return self.validate().await,
            Decision::Trace => self.trace().await?,
            Decision::Intend => self.intend().await?,
            Decision::Submit => self.submit().await?,
            Decision::ApplySubmitAnswer => self.change(apply::submit::remembered_answer),
            Decision::PollJob => return self.poll_job(false).await,
            Decision::CheckJob => return self.poll_job(true).await,
            Decision::PollHealth => return self.poll_health().await,
            Decision::WatchHealth => self.watch_health().await?,
            Decision::Rollback => self.roll_back().await?,
            Decision::NoteRequests => self.change(|status, facts, _| requests::record_without_acting(status, facts)),
            Decision::HandleRequest(request) => {
                self.change(|status, facts, memory| apply::requests::handle(status, facts, memory, request));
            }
            Decision::Start => self.change(|status, facts, _| attempt::start(status, facts)),
            Decision::CheckAgain => self.validate_again(),
            Decision::RecordGates => self.change(|status, facts, _| apply::gates::record(status, facts)),
            Decision::GiveUpSubmit => self.change(|status, facts, _| attempt::give_up_submit(status, facts)),
            Decision::DeclareTimeout => self.change(apply::rollback::declare_timeout),
            Decision::BeginRollback(reason) => {
                self.change(|status, facts, memory| apply::rollback::begin(status, facts, memory, reason));
            }
            Decision::Settle => self.change(|status, facts, _| apply::rollback::settle(status, facts)),
            Decision::Abandon(how) => self.change(|status, facts, _| attempt::abandon(status, facts, how)),
        }
        Ok(Flow::Again)
    }

    /// Changes the status without a request.
    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut CognigyDeploymentStatus, &Facts<'_>, &mut Memory) -> Effects,
    ) {
        self.answered(self.context.now(), change);
    }

    /// Changes the status according to the answer to a request that was sent at `sent_at`.
    pub(super) fn answered(
        &mut self,
        sent_at: Now,
        change: impl FnOnce(&mut CognigyDeploymentStatus, &Facts<'_>, &mut Memory) -> Effects,
    ) {
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, sent_at);
        let effects = change(&mut self.status, &facts, &mut self.state.memory);
        self.apply_effects(effects);
    }

    /// Records an obstacle.
    pub(super) fn block(&mut self, obstacle: Obstacle) {
        self.change(|status, facts, memory| apply::block(status, facts, memory, obstacle));
    }

    async fn validate(&mut self) -> Result<Flow, Error> {
        let Some((session, snapshot)) = self.session_and_snapshot().await? else { return Ok(Flow::Again) };
        if let Err(obstacle) = self.request_environment(&session).await? {
            self.block(obstacle);
            return Ok(Flow::Again);
        }
        let object = Arc::clone(&self.observed.object);
        let configuration = Configuration { spec: &object.spec, snapshot: &snapshot };
        let (sent_at, requester) = (self.context.now(), self.execution.requester.clone());
        match self.await_answer(&session, session.platform.validate(configuration, &requester)).await {
            Ok(answer) => {
                self.use_slot();
                let is_accepted = matches!(answer, ValidationAnswer::Passed { .. });
                let answer = with_own_warnings(
                    answer,
                    self.observed.desired.as_ref().map(Desired::warnings).unwrap_or_default(),
                );
                self.answered(sent_at, |status, facts, memory| {
                    apply::checks::validation(status, facts, memory, &session.origin, answer)
                });
                match is_accepted {
                    true => self.claim_environment(&session),
                    false => self.lose_claim(&session),
                }
            }
            Err(failure) if failure.cause == FailureCause::Budget => return Ok(self.keep_slot(failure.retry_after())),
            Err(failure) => self.block_check(&session, failure).await?,
        }
        Ok(Flow::Again)
    }

    async fn trace(&mut self) -> Result<(), Error> {
        let Some((session, snapshot)) = self.session_and_snapshot().await? else { return Ok(()) };
        let object = Arc::clone(&self.observed.object);
        let configuration = Configuration { spec: &object.spec, snapshot: &snapshot };
        let (sent_at, requester) = (self.context.now(), self.execution.requester.clone());
        match self.await_answer(&session, session.platform.trace(configuration, &requester)).await {
            Ok(answer) => {
                self.answered(sent_at, |status, facts, memory| {
                    apply::checks::trace(status, facts, memory, &session.origin, answer)
                });
            }
            Err(failure) => self.block_check(&session, failure).await?,
        }
        Ok(())
    }

    /// Handles a check that has failed. If the credentials were changed in the meantime, the check is tried again at
    /// once.
    async fn block_check(&mut self, session: &Connection, failure: CallFailure) -> Result<(), Error> {
        match failure.cause {
            FailureCause::Cancelled => return Err(Error::Cancelled),
            FailureCause::Credentials => {
                let fresh = self.context.platforms.sessions.fresh(&self.observed.source).await?;
                if fresh.is_ok_and(|fresh| fresh.fingerprint != session.fingerprint) {
                    return Ok(());
                }
                self.lose_claim(session);
            }
            FailureCause::Budget | FailureCause::Other => {}
        }
        self.note_refused(session);
        self.block(failure.obstacle);
        Ok(())
    }

    /// Notes that these credentials were refused. Before the pause is over, only other credentials are worth another
    /// try.
    pub(super) fn note_refused(&mut self, session: &Connection) {
        self.state.refused = Some(session.fingerprint);
        self.state.obstacle_checked_at = Some(self.context.now().uptime);
    }

    async fn poll_job(&mut self, is_last_poll: bool) -> Result<Flow, Error> {
        let Some((session, job_id)) = self.session_and_job().await? else { return Ok(Flow::Again) };
        let (sent_at, requester) = (self.context.now(), self.execution.requester.clone());
        let polled = match self.await_answer(&session, session.platform.job(&job_id, &requester)).await {
            Ok(polled) => polled,
            Err(failure) => return self.handle_unsent(&session, failure).await,
        };
        self.forget_client_if(polled.are_credentials_refused);
        let answer = polled.answer;
        let sent_at = self.sent_after(sent_at);
        self.answered(sent_at, |status, facts, memory| match is_last_poll {
            true => apply::job::checked_before_success(status, facts, memory, &answer),
            false => apply::job::job(status, facts, memory, answer),
        });
        self.learn_duration();
        Ok(Flow::Again)
    }

    /// Handles a request that was not sent. There is no answer, so the operator sends it again later. If the only cause
    /// is that the request budget had no room, this is not an error.
    async fn handle_unsent(&mut self, session: &Connection, failure: CallFailure) -> Result<Flow, Error> {
        if failure.cause == FailureCause::Budget && failure.retry_after().is_none() {
            return Ok(Flow::Rest(Some(HELD_BACK)));
        }
        self.block_check(session, failure).await?;
        Ok(Flow::Again)
    }

    /// The time at which the last request was sent. At `requested_at` it started to wait for the request budget. Its answer
    /// describes the platform at this time or later.
    pub(super) fn sent_after(&self, requested_at: Now) -> Now {
        let Some(sent) = self.execution.requester.last_sent() else { return requested_at };
        let waited = self.context.now().uptime.saturating_sub(sent.elapsed()).saturating_sub(requested_at.uptime);
        // To the microsecond, like every recorded time.
        let waited = Duration::from_micros(u64::try_from(waited.as_micros()).unwrap_or_default());
        Now { wall: after(requested_at.wall, waited), uptime: requested_at.uptime + waited }
    }

    async fn poll_health(&mut self) -> Result<Flow, Error> {
        let Some(session) = self.session().await? else { return Ok(Flow::Again) };
        let object = Arc::clone(&self.observed.object);
        let (sent_at, requester) = (self.context.now(), self.execution.requester.clone());
        let polled = match self.await_answer(&session, session.platform.health(&object.spec, &requester)).await {
            Ok(polled) => polled,
            Err(failure) => return self.handle_unsent(&session, failure).await,
        };
        self.forget_client_if(polled.are_credentials_refused);
        let sent_at = self.sent_after(sent_at);
        self.answered(sent_at, |status, facts, memory| apply::health::health(status, facts, memory, polled.answer));
        Ok(Flow::Again)
    }

    async fn roll_back(&mut self) -> Result<(), Error> {
        let Some((session, job_id)) = self.session_and_job().await? else { return Ok(()) };
        let rollback = self.status.attempt.as_ref().and_then(|attempt| attempt.rollback.clone());
        let Some((rollback, key)) =
            rollback.and_then(|rollback| rollback.key.as_str().parse().ok().map(|key| (rollback, key)))
        else {
            self.block(unreadable("attempt.rollback"));
            return Ok(());
        };
        let (sent_at, requester) = (self.context.now(), self.execution.requester.clone());
        let call = session.platform.roll_back(&job_id, &key, rollback.reason, &requester);
        let answer = self.await_answer(&session, call).await;
        if matches!(&answer, RollbackAnswer::NotYet(obstacle) if obstacle.retry == Retry::CredentialsChange) {
            self.context.platforms.sessions.forget(&self.observed.source);
            self.note_refused(&session);
        }
        self.answered(sent_at, |status, facts, memory| apply::rollback::rollback(status, facts, memory, answer));
        Ok(())
    }

    async fn release(&mut self) -> Result<Flow, Error> {
        for entry in std::mem::take(&mut self.status.outbox) {
            self.drop_message(&entry, "the resource is deleted");
        }
        record::remove_finalizer(self.context, &self.observed.object).await?;
        self.mark_recorded();
        self.forget();
        Ok(Flow::Gone)
    }

    /// Forgets the client if its credentials were refused, so that the Secret is read again before the next request.
    pub(super) fn forget_client_if(&self, are_credentials_refused: bool) {
        if are_credentials_refused {
            self.context.platforms.sessions.forget(&self.observed.source);
        }
    }

    pub(super) async fn session_and_snapshot(&mut self) -> Result<Option<(Connection, Snapshot)>, Error> {
        let Ok(desired) = self.observed.desired.clone() else { return Ok(None) };
        Ok(self.session().await?.map(|session| (session, desired.snapshot)))
    }

    async fn session_and_job(&mut self) -> Result<Option<(Connection, JobId)>, Error> {
        let Some(session) = self.session().await? else { return Ok(None) };
        let job_id = self.status.attempt.as_ref().and_then(|attempt| attempt.job_id());
        let job_id = job_id.and_then(|job_id| job_id.as_str().parse().ok());
        if job_id.is_none() {
            self.block(unreadable("attempt.job.id"));
        }
        Ok(job_id.map(|job_id| (session, job_id)))
    }

    /// Notes whether the credentials do not exist: then a deleted resource does not wait for them.
    pub(super) fn note_if_credentials_gone(&mut self, session: &Result<Connection, Obstacle>) {
        let is_gone = matches!(session, Err(obstacle) if obstacle.cause == Cause::CredentialsNotFound);
        self.state.memory.credentials_gone = is_gone;
    }

    /// The client for the current step. If there is none, the obstacle is recorded.
    pub(super) async fn session(&mut self) -> Result<Option<Connection>, Error> {
        // Credentials are read once for each attempt.
        let started_at = self.status.attempt.as_ref().map(|attempt| attempt.started_at);
        let is_new_attempt = self.state.credentials_read_for != started_at;
        self.state.credentials_read_for = started_at;
        let session = match is_new_attempt {
            true => self.context.platforms.sessions.fresh(&self.observed.source).await?,
            false => self.context.platforms.sessions.known_or_fresh(&self.observed.source).await?,
        };
        self.note_if_credentials_gone(&session);
        if let Ok(session) = &session {
            self.state.credentials_origin = Some(session.origin.clone());
        }
        let origin = self.status.attempt.as_ref().and_then(|attempt| attempt.api_origin().cloned());
        let session = session.and_then(|session| match origin {
            Some(origin) if origin != session.origin => {
                let is_settled = self.status.attempt.as_ref().is_some_and(|attempt| attempt.step == Step::Settled);
                Err(endpoint_changed(is_settled, origin.as_str(), session.origin.as_str()))
            }
            _ => Ok(session),
        });
        match session {
            Ok(session) => {
                self.execution.session = Some(session.clone());
                Ok(Some(session))
            }
            Err(obstacle) => {
                self.state.refused = None;
                self.state.obstacle_checked_at = Some(self.context.now().uptime);
                self.block(obstacle);
                Ok(None)
            }
        }
    }
}

fn endpoint_changed(is_settled: bool, before: &str, now: &str) -> Obstacle {
    let (what, until) = match is_settled {
        true => ("the environment that is watched is", "while it is watched"),
        false => ("a job is in progress", "until the job ends"),
    };
    let message =
        format!("{what} at {before}, but the credentials now point to {now}: let them point to {before} {until}");
    Obstacle::lasting(Cause::EndpointChanged, message, Retry::CredentialsChange)
}

/// The status lacks a value that its step needs. Only an edit by hand causes this.
pub(super) fn unreadable(what: &str) -> Obstacle {
    let message = format!("status.{what} is missing or invalid: restore its value, or delete the resource");
    Obstacle::lasting(Cause::StatusUnreadable, message, Retry::InputChange)
}

/// Puts the operator's own warnings before those of the validation. If there are more than [`MAX_WARNINGS`], the own
/// warnings are cut first, down to half of that number.
fn with_own_warnings(answer: ValidationAnswer, mut own: Vec<String>) -> ValidationAnswer {
    match answer {
        ValidationAnswer::Passed { warnings, capacity_utilization } => {
            own.truncate(MAX_WARNINGS - warnings.len().min(MAX_WARNINGS / 2));
            own.extend(warnings);
            ValidationAnswer::Passed { warnings: own, capacity_utilization }
        }
        refused @ ValidationAnswer::Refused { .. } => refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_both_sides_are_kept() {
        let many = |who: &str, count: usize| (0..count).map(|number| format!("{who}{number}")).collect::<Vec<_>>();
        for (own, theirs, kept_own) in [(2, 3, 2), (10, 0, 10), (10, 2, 8), (10, 10, 5), (0, 10, 0)] {
            let answer = ValidationAnswer::Passed { warnings: many("their", theirs), capacity_utilization: None };
            let ValidationAnswer::Passed { warnings, .. } = with_own_warnings(answer, many("own", own)) else {
                panic!("the validation did not pass")
            };
            assert_eq!(warnings, [many("own", kept_own), many("their", theirs)].concat());
        }
    }
}
