//! The reconcile's part in the fleet: asking for the turn to begin, being counted while in flight, and telling how long
//! jobs take.

use super::act::Flow;
use super::error::Error;
use super::fleet::name_of;
use super::reconcile::Round;
use super::sessions::account_of;
use api::condition::{ConditionSet, ConditionType};
use api::reason::Reason;
use api::status::{Attempt, Step};
use rollout::PollTuning;
use rollout::admission::{AdmissionSlot, Answer, Ticket};
use rollout::polling::PollInterval;
use std::time::Duration;

/// The pause before a request that was held back asks for room again, where the budget names none.
pub(super) const HELD_BACK: Duration = Duration::from_secs(1);

impl Round<'_> {
    /// Asks for the attempt's turn. One that must wait is called when it comes, and asks again by itself later.
    pub(super) async fn ask_turn(&mut self) -> Result<Flow, Error> {
        let Some(session) = self.session().await? else { return Ok(Flow::Again) };
        // One that waits for its environment keeps no turn from others.
        if let Err(obstacle) = self.may_ask(&session).await? {
            self.hinder(obstacle);
            return Ok(Flow::Again);
        }
        let Some(attempt) = &self.status.attempt else { return Ok(Flow::Again) };
        let ticket = Ticket {
            who: name_of(self.object.as_ref()),
            since: attempt.started_at,
            is_retry: self.remembered.memory.is_requested(attempt),
            interval: self.poll_interval(),
            is_back: self.remembered.memory.attempt.slot == AdmissionSlot::NotRequested && self.is_recorded_as_queued(),
        };
        let now = self.context.now();
        let asked = self.context.fleet.ask(account_of(&session), &ticket, now.uptime);
        self.context.rouse(asked.called);
        let slot = &mut self.remembered.memory.attempt.slot;
        Ok(match asked.answer {
            Answer::Begin => {
                *slot = slot.grant();
                Flow::Again
            }
            Answer::Wait { position, of, left, ask_again } => {
                *slot = slot.wait(position, of, left, now.wall);
                self.keeps_turn = true;
                Flow::Rest(Some(ask_again))
            }
        })
    }

    /// The validation was not sent, because the budget had no room for it: the turn is kept, and nothing has failed.
    pub(super) fn keep_turn(&mut self, pause: Option<Duration>) -> Flow {
        self.keeps_turn = true;
        Flow::Rest(Some(pause.unwrap_or(HELD_BACK)))
    }

    /// The validation was answered.
    pub(super) fn has_begun(&self) {
        self.context.rouse(self.context.fleet.begun(&name_of(self.object.as_ref()), self.context.now().uptime));
    }

    /// Counts the rollout as in flight, or gives up its place where it neither is nor waits for its turn.
    pub(super) fn take_place(&mut self) {
        let name = name_of(self.object.as_ref());
        let now = self.context.now().uptime;
        let attempt = self.status.attempt.as_ref();
        let called = if attempt.is_some_and(is_watched) {
            let account = self.session_in_use.as_ref().map(account_of);
            self.context.fleet.watch(&name, account, self.poll_interval(), now)
        } else if self.keeps_turn {
            Vec::new()
        } else {
            self.remembered.memory.attempt.slot = AdmissionSlot::NotRequested;
            self.context.fleet.leave(&name, now)
        };
        self.context.rouse(called);
    }

    /// How closely it may be looked at now.
    pub(super) fn polling(&self) -> PollTuning {
        let Some(attempt) = self.status.attempt.as_ref().filter(|attempt| is_watched(attempt)) else {
            return PollTuning::default();
        };
        let is_first_look =
            attempt.step == Step::RollingOut && self.remembered.memory.attempt.job.last_running_age().is_none();
        let environment = &self.object.spec.environment_id;
        self.context.fleet.pace(&name_of(self.object.as_ref()), environment, is_first_look)
    }

    /// Lets others learn from a job that was seen to its end.
    pub(super) fn tell_duration(&mut self) {
        if let Some(run) = self.remembered.memory.attempt.job.take_finished_run() {
            self.context.fleet.learn(&name_of(self.object.as_ref()), &self.object.spec.environment_id, run);
        }
    }

    fn poll_interval(&self) -> PollInterval {
        PollInterval::of(&self.object.spec)
    }

    fn is_recorded_as_queued(&self) -> bool {
        let recorded = self.object.status.as_ref().and_then(|status| status.conditions.find(ConditionType::Ready));
        recorded.is_some_and(|ready| ready.reason == Reason::Queued)
    }
}

/// Whether its job or its environment's health is asked for.
pub(super) fn is_watched(attempt: &Attempt) -> bool {
    attempt.is_in_flight() || attempt.step == Step::VerifyingRollback
}
