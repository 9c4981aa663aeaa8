//! Carries a decision out, and hands the answer to the function that knows what it means.

use super::admission_slot::HELD_BACK;
use super::error::Error;
use super::reconcile::ReconcileRun;
use super::sessions::Session;
use super::snapshot::Desired;
use super::{record, wire};
use api::reason::Reason;
use api::status::CognigyDeploymentStatus;
use api::{CognigyDeployment, Snapshot};
use cognigy::{self, CallError, ErrorClass, NotSent, RollbackAnswer as Rolled};
use rollout::answer::{Retry, RollbackAnswer};
use rollout::facts::after;
use rollout::{Decision, Effects, Facts, Memory, Now, Obstacle, apply, attempt, requests};
use std::sync::Arc;
use std::time::Duration;

/// How a reconcile goes on.
pub(super) enum Flow {
    /// Decide again.
    Again,
    /// Nothing to do for so long, or until something changes.
    Rest(Option<Duration>),
    /// The resource has been let go.
    Gone,
}

impl ReconcileRun<'_> {
    /// Carries a decision out.
    pub(super) async fn execute(&mut self, decision: Decision) -> Result<Flow, Error> {
        match decision {
            Decision::Wait(rest) => return Ok(Flow::Rest(rest)),
            Decision::Release => return self.release().await,
            Decision::AskTurn => return self.ask_slot().await,
            Decision::Validate => return self.validate().await,
            Decision::Trace => self.trace().await?,
            Decision::Intend => self.intend().await?,
            Decision::Submit => self.submit().await?,
            Decision::AskJob => return self.ask_job(false).await,
            Decision::LookAtJob => return self.ask_job(true).await,
            Decision::AskHealth => return self.ask_health().await,
            Decision::Rollback => self.roll_back().await?,
            Decision::NoteRequests => self.change(|status, facts, _| requests::note(status, facts)),
            Decision::Obey(request) => {
                self.change(|status, facts, memory| requests::obey(status, facts, memory, request));
            }
            Decision::Start => self.change(|status, facts, _| attempt::start(status, facts)),
            Decision::CheckAgain => self.change(|status, facts, memory| {
                memory.clear_failures();
                attempt::check_again(status, facts)
            }),
            Decision::GiveUpSubmit => self.change(|status, facts, _| attempt::give_up_submit(status, facts)),
            Decision::JudgeLate => self.change(apply::rollback::judge_late),
            Decision::BeginRollback(reason) => {
                self.change(|status, facts, memory| apply::rollback::begin(status, facts, memory, reason));
            }
            Decision::Settle => self.change(|status, facts, _| apply::rollback::settle(status, facts)),
            Decision::Abandon(reason) => self.change(|status, facts, _| attempt::abandon(status, facts, reason)),
        }
        Ok(Flow::Again)
    }

    /// A change of the status that nobody needs to be asked for.
    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut CognigyDeploymentStatus, &Facts<'_>, &mut Memory) -> Effects,
    ) {
        self.answered(self.context.now(), change);
    }

    /// A change of the status that follows from the answer to a question.
    pub(super) fn answered(
        &mut self,
        asked: Now,
        change: impl FnOnce(&mut CognigyDeploymentStatus, &Facts<'_>, &mut Memory) -> Effects,
    ) {
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, asked);
        let effects = change(&mut self.status, &facts, &mut self.state.memory);
        self.apply_effects(effects);
    }

    pub(super) fn block(&mut self, obstacle: Obstacle) {
        self.change(|status, facts, memory| apply::obstacle(status, facts, memory, obstacle));
    }

    async fn validate(&mut self) -> Result<Flow, Error> {
        let Some((session, snapshot)) = self.session_and_snapshot().await? else { return Ok(Flow::Again) };
        if let Err(obstacle) = self.request_environment(&session).await? {
            self.block(obstacle);
            return Ok(Flow::Again);
        }
        let object = Arc::clone(&self.observed.object);
        let Some(environment) = self.environment(&object) else {
            self.block(unsafe_environment(&object));
            return Ok(Flow::Again);
        };
        let request = wire::validate_request(&object.spec, &environment, &snapshot);
        let (asked, requester) = (self.context.now(), self.execution.requester.clone());
        match self.ask(&session, session.client.validate(&request, &requester)).await {
            Ok(validation) => {
                self.use_slot();
                let is_accepted = validation.valid;
                let warnings = self.observed.desired.as_ref().map(Desired::warnings).unwrap_or_default();
                let answer = wire::validation(validation, warnings);
                self.answered(asked, |status, facts, memory| apply::checks::validation(status, facts, memory, answer));
                match is_accepted {
                    true => self.claim_environment(&session),
                    false => self.lose_claim(&session),
                }
            }
            Err(error) if error.is_held_back() => return Ok(self.keep_slot(error.retry_after())),
            Err(error) => self.block_check(&session, &error).await?,
        }
        Ok(Flow::Again)
    }

    async fn trace(&mut self) -> Result<(), Error> {
        let Some((session, snapshot)) = self.session_and_snapshot().await? else { return Ok(()) };
        let object = Arc::clone(&self.observed.object);
        let Some(environment) = self.environment(&object) else {
            self.block(unsafe_environment(&object));
            return Ok(());
        };
        let request = wire::trace_request(&object.spec, &environment, &snapshot);
        let (asked, requester) = (self.context.now(), self.execution.requester.clone());
        match self.ask(&session, session.client.trace(&request, &requester)).await {
            Ok(trace) => self.answered(asked, |status, facts, memory| {
                apply::checks::trace(status, facts, memory, wire::trace(trace))
            }),
            Err(error) => self.block_check(&session, &error).await?,
        }
        Ok(())
    }

    /// A check that failed. Credentials that were changed meanwhile are worth another try at once.
    async fn block_check(&mut self, session: &Session, error: &CallError) -> Result<(), Error> {
        match error.class() {
            ErrorClass::Cancelled => return Err(Error::Cancelled),
            ErrorClass::Unauthorized => {
                let fresh = self.context.platforms.sessions.fresh(&self.observed.source).await?;
                if fresh.is_ok_and(|fresh| fresh.fingerprint != session.fingerprint) {
                    return Ok(());
                }
                self.lose_claim(session);
            }
            _ => {}
        }
        self.note_refused(session);
        self.block(wire::obstacle(error));
        Ok(())
    }

    /// Only other credentials than these are worth another try before the pause is over.
    pub(super) fn note_refused(&mut self, session: &Session) {
        self.state.refused = Some(session.fingerprint);
        self.state.looked_again_at = Some(self.context.now().uptime);
    }

    async fn ask_job(&mut self, is_last_look: bool) -> Result<Flow, Error> {
        let Some((session, job_id)) = self.session_and_job().await? else { return Ok(Flow::Again) };
        let (asked, requester) = (self.context.now(), self.execution.requester.clone());
        let answer = self.ask(&session, session.client.job(&job_id, &requester)).await;
        if let Err(cognigy::JobError::Unreadable(error)) = &answer {
            self.forget_refused(error.class());
        }
        let answer = match wire::job(answer) {
            Ok(answer) => answer,
            Err(not_sent) => return self.could_not_ask(&session, not_sent).await,
        };
        let asked = self.sent_after(asked);
        self.answered(asked, |status, facts, memory| match is_last_look {
            true => apply::job::last_look(status, facts, memory, &answer),
            false => apply::job::job(status, facts, memory, answer),
        });
        self.learn_duration();
        Ok(Flow::Again)
    }

    /// A question that was not sent is not an answer: nothing is known, and it is asked again. If only the operator's own
    /// budget had no room for it, nothing is wrong at all.
    async fn could_not_ask(&mut self, session: &Session, not_sent: NotSent) -> Result<Flow, Error> {
        let error = match not_sent {
            NotSent::Cancelled => return Err(Error::Cancelled),
            NotSent::Failed(error) => error,
        };
        if error.is_held_back() && error.retry_after().is_none() {
            return Ok(Flow::Rest(Some(HELD_BACK)));
        }
        self.block_check(session, &error).await?;
        Ok(Flow::Again)
    }

    /// When a question was asked that began to wait for its turn then: an answer tells of no earlier moment than that of
    /// its sending.
    fn sent_after(&self, began: Now) -> Now {
        let Some(sent) = self.execution.requester.last_sent() else { return began };
        let waited = self.context.now().uptime.saturating_sub(sent.elapsed()).saturating_sub(began.uptime);
        // To the microsecond, as every moment that is written.
        let waited = Duration::from_micros(u64::try_from(waited.as_micros()).unwrap_or_default());
        Now { wall: after(began.wall, waited), uptime: began.uptime + waited }
    }

    async fn ask_health(&mut self) -> Result<Flow, Error> {
        let Some(session) = self.session().await? else { return Ok(Flow::Again) };
        let object = Arc::clone(&self.observed.object);
        let Some(environment) = self.environment(&object) else {
            self.block(unsafe_environment(&object));
            return Ok(Flow::Again);
        };
        let max_error_rate = object.spec.monitoring.max_error_rate;
        let (asked, requester) = (self.context.now(), self.execution.requester.clone());
        let reading = match self.ask(&session, session.client.health(&environment, max_error_rate, &requester)).await {
            Ok(reading) => reading,
            Err(not_sent) => return self.could_not_ask(&session, not_sent).await,
        };
        let asked = self.sent_after(asked);
        self.answered(asked, |status, facts, memory| {
            apply::health::health(status, facts, memory, wire::health(reading))
        });
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
        let reason = wire::rollback_reason(rollback.reason);
        let (asked, requester) = (self.context.now(), self.execution.requester.clone());
        let answer = match self.ask(&session, session.client.rollback(&job_id, &key, reason, &requester)).await {
            Rolled::Accepted => RollbackAnswer::Accepted,
            Rolled::Refused { status: _, message } => RollbackAnswer::Refused(message),
            Rolled::Transient(error) => RollbackAnswer::NotYet(wire::rollback_obstacle(&error)),
            Rolled::Unauthorized { message } => {
                self.forget_refused(ErrorClass::Unauthorized);
                self.note_refused(&session);
                let message = format!("Cognigy.AI refuses the credentials: {message}; correct the Secret");
                RollbackAnswer::NotYet(Obstacle::lasting(Reason::Unauthorized, message, Retry::CredentialsChange))
            }
            Rolled::Conflict { message } => self.after_conflict(&session, &job_id, message).await,
        };
        self.answered(asked, |status, facts, memory| apply::rollback::rollback(status, facts, memory, answer));
        Ok(())
    }

    /// 409 may mean that it has happened already: the job knows (contract, section 6).
    async fn after_conflict(&self, session: &Session, job_id: &cognigy::JobId, message: String) -> RollbackAnswer {
        match session.client.job(job_id, &self.execution.requester.insisting()).await {
            Ok(cognigy::JobStatus::RolledBack) => RollbackAnswer::Accepted,
            _ => RollbackAnswer::NotYet(Obstacle::transient(Reason::ApiUnavailable, message, None)),
        }
    }

    async fn release(&mut self) -> Result<Flow, Error> {
        for entry in std::mem::take(&mut self.status.outbox) {
            self.drop_message(&entry, "the resource goes");
        }
        record::take_finalizer(self.context, &self.observed.object).await?;
        self.mark_recorded();
        self.forget();
        Ok(Flow::Gone)
    }

    fn forget_refused(&self, class: ErrorClass) {
        if class == ErrorClass::Unauthorized {
            self.context.platforms.sessions.forget(&self.observed.source);
        }
    }

    pub(super) fn environment(&self, object: &CognigyDeployment) -> Option<cognigy::EnvironmentId> {
        object.spec.environment_id.as_str().parse().ok()
    }

    pub(super) async fn session_and_snapshot(&mut self) -> Result<Option<(Session, Snapshot)>, Error> {
        let Ok(desired) = self.observed.desired.clone() else { return Ok(None) };
        Ok(self.session().await?.map(|session| (session, desired.snapshot)))
    }

    async fn session_and_job(&mut self) -> Result<Option<(Session, cognigy::JobId)>, Error> {
        let Some(session) = self.session().await? else { return Ok(None) };
        let job_id = self.status.attempt.as_ref().and_then(|attempt| attempt.job_id.as_ref());
        let job_id = job_id.and_then(|job_id| job_id.as_str().parse().ok());
        if job_id.is_none() {
            self.block(unreadable("attempt.jobId"));
        }
        Ok(job_id.map(|job_id| (session, job_id)))
    }

    /// The client for the present step; where there is none, the obstacle is noted.
    pub(super) async fn session(&mut self) -> Result<Option<Session>, Error> {
        // Credentials are read once for each attempt.
        let began = self.status.attempt.as_ref().map(|attempt| attempt.started_at);
        let is_new_attempt = self.state.credentials_read_for != began;
        self.state.credentials_read_for = began;
        let session = match is_new_attempt {
            true => self.context.platforms.sessions.fresh(&self.observed.source).await?,
            false => self.context.platforms.sessions.known_or_fresh(&self.observed.source).await?,
        };
        let gone = matches!(&session, Err(obstacle) if obstacle.reason == Reason::CredentialsNotFound);
        self.state.memory.credentials_gone = gone;
        if let Ok(session) = &session {
            self.state.credentials_origin = Some(session.origin.clone());
        }
        let origin = self.status.attempt.as_ref().and_then(|attempt| attempt.api_origin.clone());
        let session = session.and_then(|session| match origin {
            Some(origin) if origin != session.origin => Err(endpoint_changed(origin.as_str(), session.origin.as_str())),
            _ => Ok(session),
        });
        match session {
            Ok(session) => {
                self.execution.session = Some(session.clone());
                Ok(Some(session))
            }
            Err(obstacle) => {
                self.state.refused = None;
                self.state.looked_again_at = Some(self.context.now().uptime);
                self.block(obstacle);
                Ok(None)
            }
        }
    }
}

fn endpoint_changed(before: &str, now: &str) -> Obstacle {
    let message = format!(
        "a job is out at {before}, but the credentials now point to {now}: point them back until its outcome is known"
    );
    Obstacle::lasting(Reason::EndpointChanged, message, Retry::CredentialsChange)
}

/// The status lacks what its step needs: only an edit by hand does that.
pub(super) fn unreadable(what: &str) -> Obstacle {
    let message =
        format!("status.{what} is missing or cannot be read: put back what was there, or delete the resource");
    Obstacle::lasting(Reason::StatusUnreadable, message, Retry::InputChange)
}

pub(super) fn unsafe_environment(object: &CognigyDeployment) -> Obstacle {
    let message = format!("{} cannot stand in a path", object.spec.environment_id);
    Obstacle::lasting(Reason::RequestRejected, message, Retry::InputChange)
}
