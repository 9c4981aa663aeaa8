//! The steps of each rollout. It is read from the requests that the platform received, not from the status that an
//! operator writes.

use crate::fleet::Fleet;
use jiff::Timestamp;
use simulator::{Call, RequestFilter, RequestRecord, World};
use std::collections::HashMap;
use std::time::Duration;

/// One rollout, from its validation to its audit record. All times count from the start of the run.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// The index of its namespace, from 0.
    pub namespace: usize,
    /// Whether its deployment was unhealthy.
    pub is_bad: bool,
    /// The time of its first request.
    pub started_at: Duration,
    /// The time at which its submit was accepted.
    pub submitted: Option<Duration>,
    /// The time at which its job ended.
    pub job_ended: Option<Duration>,
    /// The time of the first poll of the job after its end.
    pub noticed: Option<Duration>,
    /// The time of the last health poll before the rollback. Without a rollback, the time of the last health poll.
    pub last_health_poll: Option<Duration>,
    /// Its rollback, if one was accepted.
    pub rollback: Option<Rollback>,
    /// The time at which its audit record was accepted.
    pub audited: Option<Duration>,
    /// The number of its requests, including refused ones.
    pub requests: u32,
    /// Whether another rollout has followed in its environment.
    pub is_over: bool,
}

/// A rollback that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Rollback {
    /// When it was accepted.
    pub at: Duration,
    /// Whether its reason is that there was no verdict before the deadline.
    pub by_deadline: bool,
}

impl Rollout {
    /// When the polling of the rollout ended.
    pub fn polled_until(&self) -> Option<Duration> {
        self.rollback.map(|rollback| rollback.at).or(self.last_health_poll)
    }
}

/// All rollouts, in the order in which they started.
pub fn rollouts_of(world: &World, epoch: Timestamp, fleet: &Fleet, job_length: Duration) -> Vec<Rollout> {
    let members = fleet.members.iter().map(|member| (member.environment.as_str(), (member.namespace, member.is_bad)));
    let mut story = Story { members: members.collect(), epoch, job_length, ..Story::default() };
    for record in world.requests(&RequestFilter::default()) {
        story.add(record);
    }
    story.rollouts
}

#[derive(Default)]
struct Story<'f> {
    members: HashMap<&'f str, (usize, bool)>,
    epoch: Timestamp,
    job_length: Duration,
    rollouts: Vec<Rollout>,
    /// The latest rollout of each environment, and of each job.
    by_environment: HashMap<String, usize>,
    by_job: HashMap<String, usize>,
}

impl Story<'_> {
    fn add(&mut self, record: &RequestRecord) {
        let at = Duration::try_from(record.received_at.duration_since(self.epoch)).unwrap_or_default();
        let Some(index) = self.rollout_of(record, at) else { return };
        if let (Some(Call::Submit), Some(job)) = (record.call, &record.job_id) {
            self.by_job.insert(job.to_string(), index);
        }
        let job_length = self.job_length;
        let rollout = &mut self.rollouts[index];
        rollout.requests += 1;
        if record.status.is_none_or(|status| !(200..300).contains(&status)) {
            return;
        }
        match record.call {
            Some(Call::Submit) => {
                rollout.submitted = Some(at);
                rollout.job_ended = Some(at + job_length);
            }
            Some(Call::Job) if rollout.job_ended.is_some_and(|ended| ended <= at) => {
                rollout.noticed.get_or_insert(at);
            }
            Some(Call::Health) if rollout.rollback.is_none() => rollout.last_health_poll = Some(at),
            Some(Call::Rollback) => {
                let reason = record.body.as_ref().and_then(|body| body["reason"].as_str());
                rollout.rollback.get_or_insert(Rollback { at, by_deadline: reason == Some("timeout") });
            }
            Some(Call::Audit) => {
                rollout.audited.get_or_insert(at);
            }
            _ => {}
        }
    }

    /// The rollout that a request belongs to. A validation after a submit starts another rollout.
    fn rollout_of(&mut self, record: &RequestRecord, at: Duration) -> Option<usize> {
        if let Some(index) = record.job_id.as_ref().and_then(|job| self.by_job.get(job.as_str())) {
            return Some(*index);
        }
        let environment = record.environment_id.as_ref()?.as_str();
        let latest = self.by_environment.get(environment).copied();
        let belongs = |index: &usize| record.call != Some(Call::Validate) || self.rollouts[*index].submitted.is_none();
        if let Some(index) = latest.filter(belongs) {
            return Some(index);
        }
        if let Some(previous) = latest {
            self.rollouts[previous].is_over = true;
        }
        let (namespace, is_bad) = *self.members.get(environment)?;
        self.rollouts.push(Rollout {
            namespace,
            is_bad,
            started_at: at,
            submitted: None,
            job_ended: None,
            noticed: None,
            last_health_poll: None,
            rollback: None,
            audited: None,
            requests: 0,
            is_over: false,
        });
        let index = self.rollouts.len() - 1;
        self.by_environment.insert(environment.to_owned(), index);
        Some(index)
    }
}
