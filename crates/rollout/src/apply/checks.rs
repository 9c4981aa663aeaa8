//! The two checks before a submit (contract, sections 1 and 2).

use crate::answer::{TraceAnswer, ValidationAnswer};
use crate::attempt;
use crate::conditions::{Tell, tell};
use crate::facts::Facts;
use crate::memory::Memory;
use crate::notice::Effects;
use api::condition::{ConditionType, truncate};
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Outcome, Step};

const MOST_WARNINGS: usize = 10;
const WARNING_LIMIT: usize = 256;
const TRACE_ID_LIMIT: usize = 256;

/// What the validation said.
pub fn validation(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: ValidationAnswer,
) -> Effects {
    memory.clear_failures();
    memory.attempt.validation = Some(facts.answered());
    memory.attempt.turn.has_begun();
    // A trace that passed before the checks changed, or whose record failed, proves nothing about these.
    memory.attempt.trace_passed = false;
    memory.attempt.trace = None;
    match answer {
        ValidationAnswer::Passed { warnings, capacity_utilization } => {
            let message = passed_message(&warnings, capacity_utilization);
            tell(status, facts, Tell::yes(ConditionType::Validated, Reason::ValidationPassed, message.clone()));
            if let Some(attempt) = &mut status.attempt {
                attempt.step = Step::Tracing;
                attempt.capacity_utilization = capacity_utilization;
                attempt.warnings = bounded(warnings);
            }
            Effects::normal(Reason::ValidationPassed, message)
        }
        ValidationAnswer::Refused { errors } => {
            let message = format!("the environment cannot take this configuration: {}", listed(&errors));
            tell(status, facts, Tell::no(ConditionType::Validated, Reason::ValidationRefused, message.clone()));
            attempt::conclude(status, facts, Outcome::Failed, Reason::ValidationRefused, message)
        }
    }
}

/// What the synthetic trace said. Any conflict, and any status but `passed`, stops the deployment.
pub fn trace(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: TraceAnswer,
) -> Effects {
    memory.clear_failures();
    memory.attempt.trace = Some(facts.answered());
    if let Some(attempt) = &mut status.attempt {
        attempt.trace_id = answer.trace_id.map(|mut trace_id| {
            truncate(&mut trace_id, TRACE_ID_LIMIT);
            trace_id
        });
    }
    if answer.status == "passed" && answer.conflicts.is_empty() {
        memory.attempt.trace_passed = true;
        tell(status, facts, Tell::yes(ConditionType::TracePassed, Reason::TracePassed, "no conflict was found"));
        return Effects::normal(Reason::TracePassed, "the synthetic trace found no conflict");
    }
    let message = match answer.conflicts.is_empty() {
        true => format!("the synthetic trace did not pass: its status is {}", answer.status),
        false => format!("the synthetic trace found conflicts: {}", listed(&answer.conflicts)),
    };
    tell(status, facts, Tell::no(ConditionType::TracePassed, Reason::TraceNotPassed, message.clone()));
    attempt::conclude(status, facts, Outcome::Failed, Reason::TraceNotPassed, message)
}

fn passed_message(warnings: &[String], capacity_utilization: Option<f64>) -> String {
    let used = capacity_utilization.map(|used| format!(", {:.0} % of its capacity in use", used * 100.0));
    let warned = (!warnings.is_empty()).then(|| format!("; warnings: {}", listed(warnings)));
    format!("the environment can take this configuration{}{}", used.unwrap_or_default(), warned.unwrap_or_default())
}

fn listed(texts: &[String]) -> String {
    match texts {
        [] => "no reason was given".to_owned(),
        texts => texts.join("; "),
    }
}

fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    warnings.truncate(MOST_WARNINGS);
    for warning in &mut warnings {
        truncate(warning, WARNING_LIMIT);
    }
    warnings
}
