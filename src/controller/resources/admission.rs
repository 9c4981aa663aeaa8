//! Admission to the request budget of a client. The rollouts of a client share this budget.

use super::super::sessions::Account;
use super::ResourceRegistry;
use super::clients::SlotAnswer;
use api::EnvironmentId;
use rollout::PollTuning;
use rollout::admission::{Answer, ResourceName, SlotRequest};
use rollout::durations::JobRun;
use rollout::polling::PollInterval;
use std::time::Duration;

impl ResourceRegistry {
    /// Requests the admission slot of a rollout. Other rollouts that get a slot are requeued.
    pub fn request_slot(&self, uid: &str, account: Account, request: &SlotRequest, now: Duration) -> Answer {
        let mut inner = self.inner.lock();
        let uid = inner.queued(uid, &request.resource);
        let SlotAnswer { answer, granted } = inner.clients.request_slot(&uid, account, request, now);
        inner.requeued.extend(granted);
        self.notify_requeued(&inner);
        answer
    }

    /// Notes that the validation of a rollout was answered, so that the rollout has started. Rollouts that get a slot are
    /// requeued.
    pub fn note_started(&self, resource: &ResourceName, now: Duration) {
        self.change(|inner| inner.clients.note_started(resource, now));
    }

    /// Counts a rollout as in flight, under its client if that is known. One that is not counted yet needs a client.
    pub fn note_in_flight(
        &self,
        uid: &str,
        resource: &ResourceName,
        account: Option<Account>,
        interval: PollInterval,
        now: Duration,
    ) {
        self.change(|inner| {
            let uid = inner.queued(uid, resource);
            inner.clients.note_in_flight(&uid, resource, account, interval, now)
        });
    }

    /// Removes a rollout from its client's queue, because it has ended or waits for something else. Rollouts that get a
    /// slot are requeued.
    pub fn leave_queue(&self, uid: &str, now: Duration) {
        self.change(|inner| inner.leave_queue(uid, now));
    }

    /// How often a rollout in flight may be polled, and when the job in that environment is likely to be done.
    #[must_use]
    pub fn pace(&self, resource: &ResourceName, environment: &EnvironmentId, is_first_poll: bool) -> PollTuning {
        self.inner.lock().clients.pace(resource, environment, is_first_poll)
    }

    /// Learns from the duration of a job whose end was observed.
    pub fn learn_duration(&self, resource: &ResourceName, environment: &EnvironmentId, run: JobRun) {
        self.inner.lock().clients.learn(resource, environment, run);
    }

    /// Forgets clients that nobody uses, if there are many.
    pub fn forget_idle_clients(&self) {
        self.inner.lock().clients.forget_idle();
    }
}
