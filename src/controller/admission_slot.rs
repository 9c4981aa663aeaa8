//! The part of a reconcile in admission: it requests a slot, counts its rollout while that is in flight, and reports
//! the duration of its job.

use super::act::Flow;
use super::error::Error;
use super::reconcile::ReconcileRun;
use super::resources::name_of;
use super::sessions::account_of;
use api::status::{Attempt, Step};
use rollout::PollTuning;
use rollout::admission::{AdmissionSlot, Answer, SlotRequest};
use rollout::polling::PollInterval;
use std::time::Duration;

/// The pause before a request that the budget held back is tried again, if the budget names no other pause.
pub(super) const HELD_BACK: Duration = Duration::from_secs(1);

impl ReconcileRun<'_> {
    /// Requests the attempt's admission slot. A rollout that must wait is requeued when its slot is free, and also
    /// repeats the request after some time.
    pub(super) async fn request_slot(&mut self) -> Result<Flow, Error> {
        let Some(session) = self.session().await? else { return Ok(Flow::Again) };
        // A rollout that waits for its environment takes no slot from others.
        if let Err(obstacle) = self.request_environment(&session).await? {
            self.block(obstacle);
            return Ok(Flow::Again);
        }
        let Some(attempt) = &mut self.status.attempt else { return Ok(Flow::Again) };
        let request = SlotRequest {
            resource: name_of(self.observed.object.as_ref()),
            since: attempt.started_at,
            is_retry: self.state.memory.is_requested(attempt),
            interval: PollInterval::of(&self.observed.object.spec),
            // One that was submitted, and whose step a person has set back, is in flight. It must be watched, not wait.
            is_checked: attempt.checks.passed_at().is_some() && attempt.submission.is_none(),
            waited_before_restart: self.state.memory.attempt.slot == AdmissionSlot::NotRequested
                && attempt.queued_at.is_some(),
        };
        let now = self.context.now();
        let answer =
            self.context.resources.request_slot(&self.observed.uid, account_of(&session), &request, now.uptime);
        let slot = &mut self.state.memory.attempt.slot;
        Ok(match answer {
            Answer::Start => {
                *slot = slot.grant();
                Flow::Again
            }
            Answer::Wait { position, of, left, request_again_after } => {
                *slot = slot.wait(position, of, left, now.wall);
                attempt.queued_at.get_or_insert(now.wall);
                self.execution.keeps_slot = true;
                Flow::Rest(Some(request_again_after))
            }
        })
    }

    /// Handles a validation that was not sent, because the budget had no room for it. The rollout keeps its slot, and
    /// this is not an error.
    pub(super) fn keep_slot(&mut self, pause: Option<Duration>) -> Flow {
        self.execution.keeps_slot = true;
        Flow::Rest(Some(pause.unwrap_or(HELD_BACK)))
    }

    /// Marks the slot of the rollout as used, because the validation was answered.
    pub(super) fn use_slot(&self) {
        self.context.resources.note_started(&name_of(self.observed.object.as_ref()), self.context.now().uptime);
    }

    /// Counts the rollout as in flight, or takes it out of the queue if it is not in flight and does not wait for its
    /// slot.
    pub(super) fn update_queue(&mut self) {
        let (resources, uid) = (&self.context.resources, &self.observed.uid);
        let now = self.context.now().uptime;
        if self.status.attempt.as_ref().is_some_and(is_polled) {
            let account = self.execution.session.as_ref().map(account_of);
            resources.note_in_flight(
                uid,
                &name_of(self.observed.object.as_ref()),
                account,
                PollInterval::of(&self.observed.object.spec),
                now,
            );
        } else if !self.execution.keeps_slot {
            self.state.memory.attempt.slot = AdmissionSlot::NotRequested;
            resources.leave_queue(uid, now);
        }
    }

    /// How often the rollout may be polled now.
    pub(super) fn polling(&self) -> PollTuning {
        let Some(attempt) = self.status.attempt.as_ref().filter(|attempt| is_polled(attempt)) else {
            return PollTuning::default();
        };
        let is_first_poll =
            attempt.step == Step::RollingOut && self.state.memory.attempt.job.last_running_age().is_none();
        let environment = &self.observed.object.spec.environment_id;
        self.context.resources.pace(&name_of(self.observed.object.as_ref()), environment, is_first_poll)
    }

    /// Reports the duration of a job whose end was observed. The polls of later rollouts are planned with it.
    pub(super) fn learn_duration(&mut self) {
        if let Some(run) = self.state.memory.attempt.job.take_finished_run() {
            self.context.resources.learn_duration(
                &name_of(self.observed.object.as_ref()),
                &self.observed.object.spec.environment_id,
                run,
            );
        }
    }
}

/// Whether the attempt's job or its environment's health is polled.
pub(super) fn is_polled(attempt: &Attempt) -> bool {
    attempt.is_in_flight() || attempt.step == Step::VerifyingRollback
}
