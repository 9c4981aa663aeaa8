//! Environments: the deployed configuration, and how it changes.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::identifier::JobId;
use super::job::{Job, Phase, Rollback};
use super::reply::Refusal;
use super::scenario::Scenario;
use super::script::{EnvironmentScript, HealthAnswer, JobOutcome};
use super::time::after;

/// One environment.
#[derive(Clone, Debug)]
pub struct Environment {
    script: EnvironmentScript,
    deployed: Deployed,
    jobs: Vec<Job>,
    overlaps: Vec<Overlap>,
    health_answers_given: usize,
}

/// The deployed configuration of an environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Its identifier, if it has one.
    pub snapshot_id: Option<String>,
    /// Its content, if the platform knows it.
    pub configuration_snapshot: Option<Value>,
    /// The job that deployed it.
    pub job_id: Option<JobId>,
    /// Its condition, apart from its content.
    pub condition: Condition,
}

/// The condition of a deployment, apart from its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Healthy.
    Well,
    /// Unhealthy, because the scenario says so.
    Unhealthy,
    /// A job failed after it had applied a part of the snapshot.
    HalfApplied,
}

/// A job that was submitted while another was in flight.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// The job in flight.
    pub in_flight: JobId,
    /// The submitted job.
    pub submitted: JobId,
    /// When it was submitted.
    pub at: Timestamp,
}

/// A submit that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) id: JobId,
    pub(super) idempotency_key: Option<String>,
    pub(super) body: Value,
}

impl Environment {
    /// An environment before its first job.
    pub(super) fn new(script: EnvironmentScript, scenario: &Scenario) -> Self {
        let initial = script.deployed.clone().unwrap_or_default();
        let kept = initial.snapshot_id.as_ref().and_then(|id| scenario.snapshots.get(id));
        let deployed = Deployed {
            configuration_snapshot: initial.configuration_snapshot.or_else(|| kept.cloned()),
            snapshot_id: initial.snapshot_id,
            job_id: None,
            condition: Condition::Well,
        };
        Self { script, deployed, jobs: Vec::new(), overlaps: Vec::new(), health_answers_given: 0 }
    }

    /// Its script from the scenario.
    #[must_use]
    pub fn script(&self) -> &EnvironmentScript {
        &self.script
    }

    /// Its deployed configuration.
    #[must_use]
    pub fn deployed(&self) -> &Deployed {
        &self.deployed
    }

    /// Its jobs, in the order of their submits.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Jobs that were submitted while another was in flight.
    #[must_use]
    pub fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// One of its jobs.
    #[must_use]
    pub fn job(&self, id: &JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == *id)
    }

    /// Replaces the script. The health script starts again with its first answer. From now on the new script decides
    /// whether a job's deployment is healthy.
    pub(super) fn replace_script(&mut self, script: EnvironmentScript) {
        if self.deployed.job_id.is_some() && self.deployed.condition != Condition::HalfApplied {
            self.deployed.condition = condition_of_deployments(&script);
        }
        self.script = script;
        self.health_answers_given = 0;
    }

    /// Applies all changes that happen without a request up to `now`, in the order of time.
    pub(super) fn advance(&mut self, now: Timestamp, scenario: &Scenario) {
        while let Some((at, index)) = self.next_change().filter(|(at, _)| *at <= now) {
            self.change(index, at, scenario);
        }
    }

    fn next_change(&self) -> Option<(Timestamp, usize)> {
        let changes = self.jobs.iter().enumerate();
        changes.filter_map(|(index, job)| Some((job.changes_at()?, index))).min()
    }

    fn change(&mut self, index: usize, at: Timestamp, scenario: &Scenario) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        match job.phase.clone() {
            Phase::Working { outcome, .. } => {
                job.phase = Phase::Ended { outcome, at };
                let condition = match outcome {
                    JobOutcome::Completed => condition_of_deployments(&self.script),
                    JobOutcome::Failed | JobOutcome::Error => Condition::HalfApplied,
                    JobOutcome::Cancelled | JobOutcome::RolledBack | JobOutcome::NeverEnds => {
                        return;
                    }
                };
                let deployed = Deployed {
                    snapshot_id: None,
                    configuration_snapshot: Some(job.submission["configuration_snapshot"].clone()),
                    job_id: Some(job.id.clone()),
                    condition,
                };
                job.replaced = Some(std::mem::replace(&mut self.deployed, deployed));
            }
            Phase::Ended { .. } | Phase::RollingBack { .. } => {
                job.phase = Phase::RolledBack { at };
                self.restore(index, scenario);
            }
            Phase::RolledBack { .. } => {}
        }
    }

    /// Restores the snapshot that the submit named, or otherwise the configuration that the job replaced. Does nothing if a
    /// later job has deployed another configuration.
    fn restore(&mut self, index: usize, scenario: &Scenario) {
        let Some(job) = self.jobs.get(index) else {
            return;
        };
        if job.replaced.is_some() && self.deployed.job_id.as_ref() != Some(&job.id) {
            return;
        }
        if let Some(id) = job.revert_snapshot_id() {
            self.deployed = Deployed {
                snapshot_id: Some(id.to_owned()),
                configuration_snapshot: scenario.snapshots.get(id).cloned(),
                job_id: None,
                condition: Condition::Well,
            };
        } else if let Some(replaced) = job.replaced.clone() {
            self.deployed = replaced;
        }
    }

    /// Starts a job.
    pub(super) fn submit(&mut self, now: Timestamp, submission: Submission, scenario: &Scenario) {
        for in_flight in self.jobs.iter().filter(|job| job.is_in_flight()) {
            self.overlaps.push(Overlap { in_flight: in_flight.id.clone(), submitted: submission.id.clone(), at: now });
        }
        let outcome = self.script.job_outcome;
        let duration = self.script.job_duration_seconds.unwrap_or(scenario.job_duration_seconds);
        let ends_at = (outcome != JobOutcome::NeverEnds).then(|| after(now, duration.duration()));
        self.jobs.push(Job {
            id: submission.id,
            submitted_at: now,
            idempotency_key: submission.idempotency_key,
            submission: submission.body,
            phase: Phase::Working { ends_at, outcome },
            replaced: None,
            rollback: None,
            platform_rollback_after: self.script.platform_rollback_after_seconds.map(|wait| wait.duration()),
        });
        self.advance(now, scenario);
    }

    /// Rolls a job back; returns whether the rollback is already finished.
    pub(super) fn roll_back(
        &mut self,
        now: Timestamp,
        id: &JobId,
        rollback: Rollback,
        scenario: &Scenario,
    ) -> Result<bool, Refusal> {
        let deployed_by = self.deployed.job_id.clone();
        let wait = self.script.rollback_duration_seconds.unwrap_or(scenario.rollback_duration_seconds);
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == *id) else {
            return Err(no_such_job(id));
        };
        if let Some(conflict) = rollback_conflict(job, deployed_by.as_ref()) {
            return Err(conflict);
        }
        job.rollback = Some(rollback);
        job.phase = Phase::RollingBack { done_at: after(now, wait.duration()) };
        self.advance(now, scenario);
        Ok(wait.duration() == Duration::ZERO)
    }

    /// Answers a health request: first from the health script, then from the condition of the deployment.
    pub(super) fn answer_health(&mut self, scenario: &Scenario) -> Value {
        let body = match self.script.health.answer(self.health_answers_given) {
            HealthAnswer::Honest => health_body(self.is_healthy(scenario)),
            HealthAnswer::Healthy => health_body(true),
            HealthAnswer::Unhealthy => health_body(false),
            HealthAnswer::HighErrorRate => json!({"status": "healthy", "errorRate": 0.37}),
            HealthAnswer::Unreadable => json!({"status": "healthy"}),
            HealthAnswer::Body(body) => body.clone(),
        };
        self.health_answers_given = self.health_answers_given.saturating_add(1);
        body
    }

    /// Whether the deployment is healthy, regardless of the health script.
    #[must_use]
    pub fn is_healthy(&self, scenario: &Scenario) -> bool {
        let bad_snapshot = self.deployed.configuration_snapshot.as_ref().is_some_and(|snapshot| {
            let patterns = scenario.bad_snapshots.iter().chain(&self.script.bad_snapshots);
            patterns.into_iter().any(|pattern| pattern.matches(snapshot))
        });
        self.deployed.condition == Condition::Well && !bad_snapshot
    }
}

fn condition_of_deployments(script: &EnvironmentScript) -> Condition {
    if script.deployments_are_unhealthy { Condition::Unhealthy } else { Condition::Well }
}

fn rollback_conflict(job: &Job, deployed_by: Option<&JobId>) -> Option<Refusal> {
    let (error, message) = match job.phase {
        Phase::RolledBack { .. } | Phase::Ended { outcome: JobOutcome::RolledBack, .. } => {
            ("already_rolled_back", "the job is rolled back already")
        }
        Phase::RollingBack { .. } => ("rollback_in_progress", "the job is being rolled back"),
        _ if job.replaced.is_some() && deployed_by != Some(&job.id) => {
            ("superseded", "a later job has replaced the configuration of this job")
        }
        _ => return None,
    };
    Some(Refusal::new(StatusCode::CONFLICT, error, message))
}

/// The refusal of a request that names an unknown job.
pub(super) fn no_such_job(id: &JobId) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no_such_job", format!("there is no job {id}"))
}

fn health_body(healthy: bool) -> Value {
    if healthy {
        json!({"status": "healthy", "errorRate": 0.01})
    } else {
        json!({"status": "unhealthy", "errorRate": 0.37})
    }
}
