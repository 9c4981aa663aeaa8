//! Admission to the request budget of a client, which a rollout shares with the client's other rollouts.

use super::super::sessions::Account;
use super::ResourceRegistry;
use super::clients::Asked;
use api::EnvironmentId;
use rollout::PollTuning;
use rollout::admission::{Answer, ResourceName, Ticket};
use rollout::durations::JobRun;
use rollout::polling::PollInterval;
use std::time::Duration;

impl ResourceRegistry {
    /// Asks for the admission slot of a rollout. Those whose slot has come are requeued.
    pub fn ask_slot(&self, uid: &str, account: Account, ticket: &Ticket, now: Duration) -> Answer {
        let mut kept = self.kept.lock();
        let uid = kept.queued(uid, &ticket.who);
        let Asked { answer, called } = kept.clients.ask(&uid, account, ticket, now);
        kept.requeued.extend(called);
        self.tell_requeued(&kept);
        answer
    }

    /// Notes that the validation of a rollout was answered: it has begun. Those whose slot has come are requeued.
    pub fn slot_used(&self, who: &ResourceName, now: Duration) {
        self.change(|kept| kept.clients.begun(who, now));
    }

    /// Counts a rollout as in flight, under its client if that is known. One that is not counted yet needs a client.
    pub fn watch_rollout(
        &self,
        uid: &str,
        who: &ResourceName,
        account: Option<Account>,
        interval: PollInterval,
        now: Duration,
    ) {
        self.change(|kept| {
            let uid = kept.queued(uid, who);
            kept.clients.watch(&uid, who, account, interval, now)
        });
    }

    /// Takes a rollout out of its client's queue: it has ended, or waits for something else. Those whose slot has come are
    /// requeued.
    pub fn leave_queue(&self, uid: &str, now: Duration) {
        self.change(|kept| kept.leave_queue(uid, now));
    }

    /// How often a rollout in flight may be polled, and when the job in that environment is likely to be done.
    #[must_use]
    pub fn pace(&self, who: &ResourceName, environment: &EnvironmentId, is_first_poll: bool) -> PollTuning {
        self.kept.lock().clients.pace(who, environment, is_first_poll)
    }

    /// Learns from a job that was seen to its end.
    pub fn learn_duration(&self, who: &ResourceName, environment: &EnvironmentId, run: JobRun) {
        self.kept.lock().clients.learn(who, environment, run);
    }

    /// Forgets clients that nobody uses, if there are many.
    pub fn forget_idle_clients(&self) {
        self.kept.lock().clients.forget_idle();
    }
}
