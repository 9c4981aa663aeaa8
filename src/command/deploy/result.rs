//! The result of a run: a sentence for people, or a JSON object for programs. docs/deploy.md describes each field.

use super::ending::Ending;
use api::condition::ConditionSet;
use api::{CognigyDeployment, CognigyDeploymentStatus, ConditionType, Digest, Finding, Reason};
use clap::ValueEnum;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the JSON form. It grows if a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// The form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A sentence for people.
    #[default]
    Text,
    /// One JSON object for programs.
    Json,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunResult {
    /// The environment runs the configuration, and was healthy.
    Deployed,
    /// The configuration was refused, failed or rolled back.
    Failed,
    /// A person must do something.
    NeedsPerson,
    /// `--timeout` was over before there was a verdict.
    TimedOut,
    /// `--timeout` was over before Cognigy.AI could be reached. Nothing was submitted.
    NotReached,
    /// A signal stopped the run before there was a verdict.
    Interrupted,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The version of this form.
    pub schema_version: u32,
    /// How the run ended.
    pub result: RunResult,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Why, as a word from docs/conditions.md. Missing if the run was successful or has no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The result in a sentence.
    pub message: String,
    /// The namespace of the resource.
    pub namespace: String,
    /// The name of the resource.
    pub name: String,
    /// The environment.
    pub environment_id: String,
    /// The hash of the configuration that the manifest asks for.
    pub digest: String,
    /// The version of that configuration, if its snapshot names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether an earlier run had done everything, so that this one sent nothing.
    pub was_done_before: bool,
    /// The attempt to deploy this configuration, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptReport>,
    /// The messages that their receivers have not accepted yet. They stay in the journal.
    pub owed: Vec<OwedReport>,
    /// The journal.
    pub journal: PathBuf,
}

/// The attempt to deploy the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttemptReport {
    /// Its number.
    pub number: i64,
    /// When it started.
    pub started_at: Timestamp,
    /// The job at Cognigy.AI, if one was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// How it ended, as a word from docs/conditions.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// A message that its receiver has not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwedReport {
    /// Who receives it: Audit or Webhook.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// When it was written.
    pub created_at: Timestamp,
}

impl Report {
    /// Reports how a run ended.
    pub(super) fn of(
        ending: &Ending,
        object: &CognigyDeployment,
        target: (&Digest, Option<String>),
        was_done_before: bool,
        journal: &Path,
    ) -> Self {
        let (digest, version) = target;
        let status = object.status.as_ref();
        let (result, reason, message) = told(ending, status);
        Self {
            schema_version: SCHEMA_VERSION,
            result,
            exit_code: ending.exit_code(),
            reason: reason.map(|reason| reason.to_string()),
            message,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            environment_id: object.spec.environment_id.as_str().to_owned(),
            digest: digest.to_string(),
            version,
            was_done_before,
            attempt: status.and_then(|status| attempt(status, digest)),
            owed: status.map(owed).unwrap_or_default(),
            journal: journal.to_owned(),
        }
    }

    /// The result in this form, with its line end.
    pub(super) fn text(&self, format: OutputFormat) -> String {
        match format {
            OutputFormat::Json => format!("{}\n", serde_json::to_string(self).unwrap_or_default()),
            OutputFormat::Text => format!("{}\n", self.sentence()),
        }
    }

    fn sentence(&self) -> String {
        let Self { namespace, name, message, .. } = self;
        let result = match self.result {
            RunResult::Deployed if self.was_done_before => "already deployed",
            RunResult::Deployed => "deployed",
            RunResult::Failed => "failed",
            RunResult::NeedsPerson => "needs a person",
            RunResult::TimedOut => "not done in time",
            RunResult::NotReached => "Cognigy.AI was not reached in time",
            RunResult::Interrupted => "interrupted",
        };
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let owed = match self.owed.as_slice() {
            [] => String::new(),
            owed => {
                let kinds: Vec<_> = owed.iter().map(|message| format!("{} {}", message.kind, message.id)).collect();
                format!("; not delivered yet: {}. Run the same command again to deliver", kinds.join(", "))
            }
        };
        let job = self.attempt.as_ref().and_then(|attempt| attempt.job_id.as_ref());
        let job = job.filter(|job| !message.contains(*job)).map(|job| format!(" [{job}]")).unwrap_or_default();
        format!("{namespace}/{name} {result}{reason}: {message}{job}{owed}")
    }
}

fn told(ending: &Ending, status: Option<&CognigyDeploymentStatus>) -> (RunResult, Option<Reason>, String) {
    let running = || running(status);
    match ending {
        Ending::Found(Finding::Succeeded { since, message, .. }) => {
            (RunResult::Deployed, None, format!("{message}, since {}", since.strftime("%Y-%m-%dT%H:%M:%SZ")))
        }
        Ending::Found(Finding::Failed { reason, message }) => (RunResult::Failed, Some(*reason), message.clone()),
        Ending::Found(Finding::NeedsPerson { reason, message }) => {
            (RunResult::NeedsPerson, Some(*reason), message.clone())
        }
        Ending::TimedOut | Ending::Found(Finding::Pending { .. }) => (RunResult::TimedOut, None, running()),
        Ending::NotReached => (RunResult::NotReached, Some(Reason::ApiUnavailable), running()),
        Ending::Interrupted(_) => (RunResult::Interrupted, None, running()),
    }
}

/// What is going on, and how to go on.
fn running(status: Option<&CognigyDeploymentStatus>) -> String {
    let attempt = status.and_then(|status| status.attempt.as_ref());
    let state = match attempt {
        Some(attempt) if attempt.is_in_flight() => {
            let job = attempt.job_id().map_or("its submit", |job| job.as_str());
            format!(
                "attempt {} is in progress ({}, {job}), and nobody watches it now",
                attempt.number,
                attempt.step.as_str()
            )
        }
        Some(attempt) if attempt.verdict.is_some() => format!("attempt {} has ended", attempt.number),
        Some(_) | None => "nothing was submitted".to_owned(),
    };
    let obstacle = status.and_then(|status| status.conditions.find(ConditionType::Reconciling));
    let is_failing = |reason| matches!(reason, Reason::ApiUnavailable | Reason::UnexpectedAnswer);
    let obstacle =
        obstacle.filter(|condition| is_failing(condition.reason)).map(|condition| condition.message.as_str());
    let state = obstacle.map_or_else(|| state.clone(), |obstacle| format!("{state} ({obstacle})"));
    format!("{state}; run the same command again to go on")
}

fn attempt(status: &CognigyDeploymentStatus, digest: &Digest) -> Option<AttemptReport> {
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.digest == *digest)?;
    Some(AttemptReport {
        number: attempt.number,
        started_at: attempt.started_at,
        job_id: attempt.job_id().map(ToString::to_string),
        outcome: attempt.outcome().map(|outcome| outcome.to_string()),
        ended_at: attempt.verdict.as_ref().map(|verdict| verdict.at),
    })
}

fn owed(status: &CognigyDeploymentStatus) -> Vec<OwedReport> {
    let owed = status.outbox.iter().map(|entry| OwedReport {
        kind: format!("{:?}", entry.kind),
        id: entry.id.to_string(),
        created_at: entry.created_at,
    });
    owed.collect()
}
