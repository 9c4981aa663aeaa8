//! The two checks before a submit (contract, sections 1 and 2).

use crate::answer::{TraceAnswer, ValidationAnswer};
use crate::attempt;
use crate::conditions::{ConditionUpdate, set_condition};
use crate::effects::Effects;
use crate::facts::Facts;
use crate::memory::Memory;
use api::condition::{ConditionType, truncate};
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Outcome, Step, SyntheticTrace, Validation};

const MAX_WARNINGS: usize = 10;
const WARNING_LIMIT: usize = 256;
const TRACE_ID_LIMIT: usize = 256;

/// The API at `api_origin` has answered the validation.
pub fn validation(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    api_origin: &ApiOrigin,
    answer: ValidationAnswer,
) -> Effects {
    memory.clear_failures();
    memory.attempt.checks.validation = Some(facts.answered());
    memory.attempt.checks.synthetic_trace = None;
    memory.attempt.slot.has_started();
    match answer {
        ValidationAnswer::Passed { warnings, capacity_utilization } => {
            let message = passed_message(&warnings, capacity_utilization);
            set_condition(
                status,
                facts,
                ConditionUpdate::set_true(ConditionType::Validated, Reason::ValidationPassed, message.clone()),
            );
            if let Some(attempt) = &mut status.attempt {
                attempt.step = Step::Tracing;
                attempt.checks.api_origin = Some(api_origin.clone());
                attempt.checks.validation =
                    Some(Validation { passed_at: facts.now.wall, warnings: bounded(warnings), capacity_utilization });
                // An earlier trace does not count: it may belong to another API or to other checks.
                attempt.checks.synthetic_trace = None;
            }
            Effects::normal(Reason::ValidationPassed, message)
        }
        ValidationAnswer::Refused { errors } => {
            let message = format!("the environment cannot run this configuration: {}", listed(&errors));
            set_condition(
                status,
                facts,
                ConditionUpdate::set_false(ConditionType::Validated, Reason::ValidationRefused, message.clone()),
            );
            attempt::conclude(status, facts, Outcome::Failed, Reason::ValidationRefused, message)
        }
    }
}

/// The API at `api_origin` has answered the synthetic trace. The attempt fails if the trace found a conflict, or if the
/// API says that the trace has not passed.
pub fn trace(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    api_origin: &ApiOrigin,
    answer: TraceAnswer,
) -> Effects {
    memory.clear_failures();
    if status.attempt.as_ref().is_some_and(|attempt| attempt.checks.api_origin.as_ref() != Some(api_origin)) {
        // The credentials have changed since the validation.
        return attempt::check_again(status, facts);
    }
    memory.attempt.checks.synthetic_trace = Some(facts.answered());
    let has_passed = answer.has_passed && answer.conflicts.is_empty();
    if let Some(attempt) = &mut status.attempt {
        let mut id = answer.synthetic_trace_id;
        if let Some(id) = &mut id {
            truncate(id, TRACE_ID_LIMIT);
        }
        attempt.checks.synthetic_trace = Some(SyntheticTrace { id, passed_at: has_passed.then_some(facts.now.wall) });
    }
    if has_passed {
        set_condition(
            status,
            facts,
            ConditionUpdate::set_true(ConditionType::TracePassed, Reason::TracePassed, "no conflict was found"),
        );
        return Effects::normal(Reason::TracePassed, "the synthetic trace found no conflict");
    }
    let message = match answer.conflicts.is_empty() {
        true => format!("the synthetic trace did not pass: its status is {}", answer.status),
        false => format!("the synthetic trace found conflicts: {}", listed(&answer.conflicts)),
    };
    set_condition(
        status,
        facts,
        ConditionUpdate::set_false(ConditionType::TracePassed, Reason::TraceNotPassed, message.clone()),
    );
    attempt::conclude(status, facts, Outcome::Failed, Reason::TraceNotPassed, message)
}

fn passed_message(warnings: &[String], capacity_utilization: Option<f64>) -> String {
    let used = capacity_utilization.map(|used| format!(", {:.0} % of its capacity in use", used * 100.0));
    let warned = (!warnings.is_empty()).then(|| format!("; warnings: {}", listed(warnings)));
    format!("the environment can run this configuration{}{}", used.unwrap_or_default(), warned.unwrap_or_default())
}

fn listed(texts: &[String]) -> String {
    match texts {
        [] => "no reason was given".to_owned(),
        texts => texts.join("; "),
    }
}

fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    warnings.truncate(MAX_WARNINGS);
    for warning in &mut warnings {
        truncate(warning, WARNING_LIMIT);
    }
    warnings
}
