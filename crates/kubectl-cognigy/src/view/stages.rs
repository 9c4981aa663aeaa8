//! The stages of an attempt, from the checks to the deliveries.

use super::gates;
use super::state::messages;
use crate::output::{Style, short_duration};
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::status::{Attempt, CognigyDeploymentStatus, DeliveryKind, Outcome, RollbackReason, Step};
use api::{CognigyDeployment, Reason};
use jiff::Timestamp;
use serde::Serialize;

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Progress {
    /// It has not started yet.
    Waiting,
    /// It is in progress.
    Active,
    /// It has ended well.
    Done,
    /// It has ended badly.
    Failed,
    /// It is not needed.
    Skipped,
}

impl Progress {
    /// The mark in the tree: for a locale that can show it, and for one that cannot.
    #[must_use]
    pub fn mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("○", "[ ]"),
            Self::Active => ("◐", "[~]"),
            Self::Done => ("✔", "[+]"),
            Self::Failed => ("✖", "[x]"),
            Self::Skipped => ("·", "[-]"),
        }
    }

    /// The colour.
    #[must_use]
    pub fn style(self) -> Style {
        match self {
            Self::Waiting | Self::Skipped => Style::Dim,
            Self::Active => Style::Attention,
            Self::Done => Style::Good,
            Self::Failed => Style::Bad,
        }
    }
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// How far it is.
    pub progress: Progress,
    /// When it reached this point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The details.
    pub detail: String,
}

/// The stages of the current attempt. Empty if there is none.
#[must_use]
pub fn stages(deployment: &CognigyDeployment, now: Timestamp) -> Vec<Stage> {
    let Some(status) = &deployment.status else { return Vec::new() };
    let Some(attempt) = &status.attempt else { return Vec::new() };
    let view = View { deployment, status, attempt, now };
    let mut stages = vec![view.validate(), view.trace()];
    stages.extend(gates::stage(deployment, now));
    stages.extend([view.submit(), view.job(), view.health(), view.rollback()]);
    stages.extend(view.restored());
    stages.push(view.deliveries());
    stages
}

struct View<'d> {
    deployment: &'d CognigyDeployment,
    status: &'d CognigyDeploymentStatus,
    attempt: &'d Attempt,
    now: Timestamp,
}

impl View<'_> {
    fn validate(&self) -> Stage {
        let name = "validate";
        if let Some(validation) = &self.attempt.checks.validation {
            let capacity = validation.capacity_utilization.map(|used| format!("capacity {:.0} %", used * 100.0));
            let warnings = match validation.warnings.len() {
                0 => None,
                1 => Some(format!("warning: {}", validation.warnings[0])),
                count => Some(format!("{count} warnings; the first: {}", validation.warnings[0])),
            };
            let detail: Vec<String> = capacity.into_iter().chain(warnings).collect();
            return Stage { name, progress: Progress::Done, at: Some(validation.passed_at), detail: detail.join("; ") };
        }
        self.check(name, ConditionType::Validated, &[Step::Pending, Step::Validating])
    }

    fn trace(&self) -> Stage {
        let name = "trace";
        if let Some(at) = self.attempt.checks.passed_at() {
            let id = self.attempt.checks.synthetic_trace.as_ref().and_then(|trace| trace.id.clone());
            return Stage { name, progress: Progress::Done, at: Some(at), detail: id.unwrap_or_default() };
        }
        self.check(name, ConditionType::TracePassed, &[Step::Tracing])
    }

    /// A check that has not passed.
    fn check(&self, name: &'static str, condition_type: ConditionType, steps: &[Step]) -> Stage {
        match self.condition(condition_type, ConditionStatus::False) {
            Some((at, detail)) => Stage { name, progress: Progress::Failed, at: Some(at), detail },
            None if steps.contains(&self.attempt.step) => self.active(name, None),
            None => self.not_reached(name),
        }
    }

    fn submit(&self) -> Stage {
        let name = "submit";
        let Some(submission) = &self.attempt.submission else {
            return match self.condition(ConditionType::RolledOut, ConditionStatus::False) {
                Some((at, detail)) => Stage { name, progress: Progress::Failed, at: Some(at), detail },
                None => self.not_reached(name),
            };
        };
        let at = submission.accepted_at.unwrap_or(submission.intended_at);
        match &self.attempt.job {
            Some(job) => {
                let detail = format!("accepted as {} by {}", job.id.as_str(), submission.api_origin.as_str());
                Stage { name, progress: Progress::Done, at: Some(at), detail }
            }
            None if self.attempt.step == Step::Submitting => self.active(name, Some(at)),
            None => {
                let found = self.condition(ConditionType::RolledOut, ConditionStatus::False);
                let detail = found.map_or_else(|| "its outcome is unknown".to_owned(), |(_, message)| message);
                Stage { name, progress: Progress::Failed, at: Some(at), detail }
            }
        }
    }

    fn job(&self) -> Stage {
        let name = "job";
        let Some(job) = &self.attempt.job else { return self.not_reached(name) };
        if job.failure.is_some() {
            let found = self.condition(ConditionType::RolledOut, ConditionStatus::False);
            let (at, detail) = found.map_or((None, String::new()), |(at, message)| (Some(at), message));
            return Stage { name, progress: Progress::Failed, at, detail };
        }
        match (job.completed_at, self.attempt.step) {
            (Some(at), _) => {
                let took = self.attempt.deadline_counts_from().map(|from| at.duration_since(from));
                let detail = took.map(|took| format!("seen completed {} after the submit", short_duration(took)));
                Stage { name, progress: Progress::Done, at: Some(at), detail: detail.unwrap_or_default() }
            }
            (None, Step::RollingOut) => self.active(name, None),
            (None, _) => {
                let detail = "its end was not seen".to_owned();
                Stage { name, progress: Progress::Failed, at: None, detail }
            }
        }
    }

    fn health(&self) -> Stage {
        let name = "health";
        let threshold = self.deployment.spec.rollback_policy.health_threshold;
        let interval = self.deployment.spec.monitoring.interval_seconds;
        if self.attempt.step == Step::Monitoring {
            let bad = self.attempt.health.bad_streak;
            let detail = match bad {
                0 => format!("polled every {interval} s"),
                bad => format!("{bad} of {threshold} bad answers in a row"),
            };
            return Stage { name, progress: Progress::Active, at: self.attempt.health.last_counted_at, detail };
        }
        // After a rollback the condition Healthy describes what was restored.
        if let Some(rollback) = &self.attempt.rollback {
            let at = self.attempt.health.last_counted_at;
            let was_success = self.attempt.outcome() == Some(Outcome::Succeeded);
            return match (rollback.reason, self.attempt.job_completed_at()) {
                (RollbackReason::HealthCheckFailure, _) if was_success => {
                    let detail = "became bad after the success".to_owned();
                    Stage { name, progress: Progress::Failed, at: Some(rollback.requested_at), detail }
                }
                (RollbackReason::HealthCheckFailure, _) => {
                    let detail = format!("{threshold} bad answers in a row");
                    Stage { name, progress: Progress::Failed, at, detail }
                }
                (RollbackReason::Timeout, Some(_)) => {
                    let detail = "no good answer before the deadline".to_owned();
                    Stage { name, progress: Progress::Failed, at, detail }
                }
                _ if was_success => {
                    let detail = "the environment was healthy before the rollback".to_owned();
                    Stage { name, progress: Progress::Done, at, detail }
                }
                _ => self.not_reached(name),
            };
        }
        self.healthy(name).or_else(|| self.unknown_after_success(name)).unwrap_or_else(|| self.not_reached(name))
    }

    /// After the success, nobody answers whether the environment is still healthy.
    fn unknown_after_success(&self, name: &'static str) -> Option<Stage> {
        let (at, detail) = self.condition(ConditionType::Healthy, ConditionStatus::Unknown)?;
        let is_success = self.attempt.outcome() == Some(Outcome::Succeeded);
        is_success.then_some(Stage { name, progress: Progress::Active, at: Some(at), detail })
    }

    /// Whether the rollback helped.
    fn restored(&self) -> Option<Stage> {
        let name = "restored";
        let answered = self.attempt.rollback.as_ref()?.accepted_at?;
        Some(self.healthy(name).unwrap_or_else(|| Stage {
            name,
            progress: Progress::Active,
            at: Some(answered),
            detail: "health of the restored state is watched".to_owned(),
        }))
    }

    fn healthy(&self, name: &'static str) -> Option<Stage> {
        let found = |status, progress| {
            let (at, detail) = self.condition(ConditionType::Healthy, status)?;
            Some(Stage { name, progress, at: Some(at), detail })
        };
        found(ConditionStatus::True, Progress::Done).or_else(|| found(ConditionStatus::False, Progress::Failed))
    }

    fn rollback(&self) -> Stage {
        let name = "rollback";
        let Some(rollback) = &self.attempt.rollback else {
            let policy = &self.deployment.spec.rollback_policy;
            let is_open = self.attempt.verdict.is_none();
            let target = policy
                .revert_snapshot_id
                .as_ref()
                .map_or_else(|| "the snapshot before this one".to_owned(), |snapshot| format!("snapshot {snapshot}"));
            let is_unhealthy = self.status.conditions.find(ConditionType::Healthy).map(|healthy| healthy.reason)
                == Some(Reason::UnhealthyAfterSuccess);
            if is_unhealthy {
                let detail = "health became bad after the success: a person decides".to_owned();
                return Stage { name, progress: Progress::Waiting, at: None, detail };
            }
            return match (is_open, policy.auto_trigger) {
                (true, true) => Stage {
                    name,
                    progress: Progress::Waiting,
                    at: None,
                    detail: format!("to {target}, if the rollout goes bad"),
                },
                (true, false) => Stage {
                    name,
                    progress: Progress::Skipped,
                    at: None,
                    detail: "autoTrigger is off: a person decides".to_owned(),
                },
                (false, _) => Stage { name, progress: Progress::Skipped, at: None, detail: "not needed".to_owned() },
            };
        };
        let why = rollback.reason.description();
        match (rollback.accepted_at, rollback.refused_at) {
            (Some(at), _) => Stage { name, progress: Progress::Done, at: Some(at), detail: format!("accepted: {why}") },
            (None, Some(at)) => {
                let found = self.condition(ConditionType::RolledBack, ConditionStatus::False);
                let detail = found.map_or_else(|| "refused".to_owned(), |(_, message)| message);
                Stage { name, progress: Progress::Failed, at: Some(at), detail }
            }
            (None, None) => Stage {
                name,
                progress: Progress::Active,
                at: Some(rollback.requested_at),
                detail: format!("requested: {why}"),
            },
        }
    }

    fn deliveries(&self) -> Stage {
        let name = "deliveries";
        let waiting = |kind: DeliveryKind| self.status.outbox.iter().filter(|entry| entry.kind == kind).count();
        let (audit, webhook) = (waiting(DeliveryKind::Audit), waiting(DeliveryKind::Webhook));
        let oldest = self.status.outbox.first().map(|entry| entry.created_at);
        if let Some(oldest) = oldest {
            let count = messages(audit + webhook);
            let detail = format!(
                "{count} not accepted yet (audit log {audit}, webhook {webhook}), the oldest for {}",
                short_duration(self.now.duration_since(oldest))
            );
            return Stage { name, progress: Progress::Active, at: Some(oldest), detail };
        }
        match (
            self.condition(ConditionType::Delivered, ConditionStatus::True),
            self.condition(ConditionType::Delivered, ConditionStatus::False),
        ) {
            (Some((at, detail)), _) => Stage { name, progress: Progress::Done, at: Some(at), detail },
            (None, Some((at, detail))) => Stage { name, progress: Progress::Failed, at: Some(at), detail },
            (None, None) => self.not_reached(name),
        }
    }

    /// A stage in progress, with the message of the condition Ready.
    fn active(&self, name: &'static str, at: Option<Timestamp>) -> Stage {
        let detail = self.status.conditions.find(ConditionType::Ready).map(|ready| ready.message.clone());
        Stage { name, progress: Progress::Active, at, detail: detail.unwrap_or_default() }
    }

    fn not_reached(&self, name: &'static str) -> Stage {
        let progress = if self.attempt.verdict.is_some() { Progress::Skipped } else { Progress::Waiting };
        let detail = if progress == Progress::Skipped { "not reached".to_owned() } else { String::new() };
        Stage { name, progress, at: None, detail }
    }

    fn condition(&self, condition_type: ConditionType, status: ConditionStatus) -> Option<(Timestamp, String)> {
        let found = self.status.conditions.find(condition_type).filter(|found| found.status == status)?;
        Some((found.last_transition_time, found.message.clone()))
    }
}
