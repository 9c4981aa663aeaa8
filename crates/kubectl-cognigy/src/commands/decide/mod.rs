//! `approve`, `reject` and `override`: the decision of a person about one plan, as an object of its own.
//!
//! Whoever decides needs no right to edit deployments. The API server proves who they are and what they may decide.

mod create;
mod object;
mod subject;

pub use create::{create, username};
pub use object::Draft;

use super::act::full_name;
use super::confirm::confirm;
use super::{deployments, gate_objects};
use crate::arguments::duration;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{ObjectFormat, Style, Terminal, paragraph};
use api::decision::Verb;
use api::{CognigyDecision, EnvironmentId, PlanId};
use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use std::time::Duration;
use subject::{Question, Subject};

/// The longest reason of a decision, in characters, as the CRD has it.
const LONGEST_REASON: usize = 1024;
/// The width of the headings of what is decided about.
const HEADING: usize = 12;

/// The examples of `approve`.
pub const APPROVE_EXAMPLES: &str = "\
Examples:
  kubectl cognigy approve bot --reason 'tested in staging, CHG-4711'  the plan that waits now
  kubectl cognigy approve bot --plan plan-7a2934b468d32a1c --reason 'reviewed' --expires-in 4h
  kubectl cognigy approve bot --reason 'reviewed' -o yaml > approval.yaml  for Git; nothing is created

The approval counts for one plan: this configuration, these checks, and what runs now. `kubectl cognigy plan` prints the id of a
plan before it is applied. For Git, spec.by must be the user who applies the file, such as the service account of Argo CD: --by.

Exit codes:
  0 created   2 nothing was created   4 created, but the operator does not count it";

/// The examples of `reject`.
pub const REJECT_EXAMPLES: &str = "\
Examples:
  kubectl cognigy reject bot --reason 'the greeting is wrong, CHG-4711'  the attempt that waits now ends

Nothing is submitted, and nothing that runs changes. After the submit, use `rollback`.

Exit codes:
  0 created   2 nothing was created   4 created, but the operator does not count it";

/// The examples of `override`.
pub const OVERRIDE_EXAMPLES: &str = "\
Examples:
  kubectl cognigy override bot --reason 'INC-4711: customers cannot log in'  start although a change window is closed

It opens change windows only, for one plan. Approvals and required deployments are still waited for.

Exit codes:
  0 created   2 nothing was created   4 created, but the operator does not count it";

/// `approve`, `reject` and `override`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The deployment.
    #[arg(value_name = "NAME")]
    name: String,

    /// Why. Everybody who can read decisions sees it, with your name.
    #[arg(long, value_parser = reason)]
    reason: String,

    /// The id of the plan, as `status` and `plan` show it. Without it: the plan of the attempt that waits.
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanId>,

    /// When the decision stops to count.
    #[command(flatten)]
    expiry: Expiry,

    /// Print the object in this format, with a name, and create nothing. For Git.
    #[arg(long, short, value_name = "FORMAT", value_enum, conflicts_with = "dry_run")]
    output: Option<ObjectFormat>,

    /// With -o: the user who will create the object. Without it: you.
    #[arg(long, value_name = "USER", requires = "output", value_parser = user)]
    by: Option<String>,

    /// With -o: the environment. With --plan and --by as well, no cluster is needed.
    #[arg(long, value_name = "ID", requires = "output", value_parser = environment)]
    environment: Option<EnvironmentId>,

    /// Show what would happen, and let the API server check the decision, but create nothing.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

/// When a decision stops to count.
#[derive(Args, Clone, Debug)]
pub struct Expiry {
    /// The decision stops to count after this time, for example 4h. An approval never counts longer than the deployment allows.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,

    /// The same as a moment, for example 2026-12-24T18:00:00+01:00.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
}

impl Expiry {
    fn at(&self, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        match (self.expires_in, self.expires_at) {
            (Some(after), _) if after.is_zero() => {
                Err(Failure::Usage("--expires-in is 0: name a time, for example 4h".to_owned()))
            }
            (Some(after), _) => now
                .checked_add(after)
                .map(|at| Timestamp::from_second(at.as_second()).ok())
                .map_err(|_| Failure::Usage("--expires-in is too long; write for example 4h".to_owned())),
            (None, Some(at)) if at <= now => {
                Err(Failure::Usage(format!("--expires-at {at} has passed: the decision would never count")))
            }
            (None, at) => Ok(at),
        }
    }
}

/// Reads a reason of a decision.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("write why, for example --reason 'tested in staging, CHG-4711'".to_owned()),
        length if length > LONGEST_REASON => Err(format!(
            "the reason has {length} characters; write at most {LONGEST_REASON}, and the details elsewhere"
        )),
        _ if text.chars().any(char::is_control) => {
            Err("write the reason in one line, without control characters".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

fn user(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=253 if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err("write a user name as `kubectl auth whoami` shows it, for example system:serviceaccount:argocd:argocd-application-controller".to_owned()),
    }
}

fn environment(text: &str) -> Result<EnvironmentId, String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "._~-".contains(letter);
    match text.chars().all(is_allowed) && !["", ".", ".."].contains(&text) && text.len() <= 253 {
        true => Ok(EnvironmentId::new(text)),
        false => Err(format!("`{text}` is no environment; write spec.environmentId, for example env_prod_us_01")),
    }
}

/// Prints a decision without a cluster, if the flags say everything that is in it.
///
/// # Errors
/// Stdout cannot be written.
pub fn offline(
    verb: Verb,
    arguments: &Arguments,
    namespace: Option<&str>,
    terminal: &Terminal,
) -> Result<Option<Exit>, Failure> {
    let (Some(format), Some(plan_id), Some(by), Some(environment_id)) =
        (arguments.output, &arguments.plan, &arguments.by, &arguments.environment)
    else {
        return Ok(None);
    };
    let draft = Draft {
        namespace: namespace.map(str::to_owned),
        deployment: arguments.name.clone(),
        environment_id: environment_id.clone(),
        plan_id: plan_id.clone(),
        verb,
        by: by.clone(),
        reason: arguments.reason.clone(),
        expires_at: arguments.expiry.at(Timestamp::now())?,
    };
    print(&draft, format, terminal).map(Some)
}

/// Creates or prints a decision.
///
/// # Errors
/// [`Failure`], if nothing was created.
pub async fn run(
    verb: Verb,
    arguments: &Arguments,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let seen = deployments::get(connection, &arguments.name).await?;
    let me = match &arguments.by {
        Some(by) => by.clone(),
        None => username(connection).await?,
    };
    // Whoever may create decisions may not be allowed to read them.
    let known = gate_objects::decisions(connection, &connection.namespace).await.unwrap_or_default();
    let question = Question { verb, deployment: &seen, plan: arguments.plan.as_ref(), me: &me, known: &known, now };
    let subject = question.subject().map_err(Failure::Refused)?;
    let environment_id = arguments.environment.clone().unwrap_or_else(|| seen.spec.environment_id.clone());
    if environment_id != seen.spec.environment_id {
        return Err(Failure::Usage(format!(
            "{} has the environment {}, and not {environment_id}: correct --environment, or leave it out",
            full_name(&seen),
            seen.spec.environment_id
        )));
    }
    let draft = Draft {
        namespace: seen.namespace(),
        deployment: seen.name_any(),
        environment_id,
        plan_id: subject.plan_id.clone(),
        verb,
        by: me,
        reason: arguments.reason.clone(),
        expires_at: arguments.expiry.at(now)?,
    };
    show(&draft, &subject, terminal);
    if let Some(format) = arguments.output {
        return print(&draft, format, terminal);
    }
    let name = full_name(&seen);
    if !arguments.dry_run && !confirm(arguments.yes, &name, &draft.question(), terminal)? {
        terminal.note("nothing was requested");
        return Ok(Exit::Usage);
    }
    let created = create(&draft, arguments.dry_run, connection).await?;
    if arguments.dry_run {
        terminal.line(&format!("{name}: this would {} (dry run: nothing was created)", draft.question()))?;
        return Ok(Exit::Succeeded);
    }
    terminal.line(&format!("{name}: {} (decision {})", draft.done(), created.name_any()))?;
    tell_what_is_next(&subject, &draft, &created, connection, terminal).await
}

/// Shows what is decided about.
fn show(draft: &Draft, subject: &Subject, terminal: &Terminal) {
    let plan_id = draft.plan_id.to_string();
    let rows = [("environment", draft.environment_id.as_str()), ("plan", plan_id.as_str())].into_iter();
    let rows = rows.chain(subject.facts.iter().map(|(heading, text)| (*heading, text.as_str())));
    rows.flat_map(|(heading, text)| paragraph(heading, HEADING, text, terminal)).for_each(|line| terminal.note(&line));
    for warning in &subject.warnings {
        terminal.note(&format!("{} {warning}", terminal.paint(Style::Attention, "note:")));
    }
}

/// Prints the object.
fn print(draft: &Draft, format: ObjectFormat, terminal: &Terminal) -> Result<Exit, Failure> {
    terminal.line(&format.write(&draft.named())?)?;
    terminal.note(&format!(
        "nothing was created; it counts if the user {} creates it: the API server refuses it from everybody else",
        draft.by
    ));
    Ok(Exit::Succeeded)
}

/// Says what happens next. If the operator says within a moment that the decision does not count, that is said as well.
async fn tell_what_is_next(
    subject: &Subject,
    draft: &Draft,
    created: &CognigyDecision,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let answer = match subject.is_ahead {
        true => None,
        false => create::ignored(created, connection).await,
    };
    if let Some(why) = answer {
        let name = created.name_any();
        terminal.note(&format!("{} the decision {name} {why}", terminal.paint(Style::Bad, "warning:")));
        return Ok(Exit::NeedsPerson);
    }
    terminal.note(&subject.next);
    let (name, namespace) = (&draft.deployment, &connection.namespace);
    terminal.note(&format!("follow it: kubectl cognigy status {name} -n {namespace} --watch"));
    Ok(Exit::Succeeded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_a_decision_is_one_line() {
        assert_eq!(reason(" tested "), Ok("tested".to_owned()));
        assert!(reason(&"ü".repeat(LONGEST_REASON)).is_ok());
        for text in ["", "  ", "two\nlines", "a\u{1b}[2J", &"x".repeat(LONGEST_REASON + 1)] {
            assert!(reason(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_expiry_is_in_the_future() {
        let now: Timestamp = "2026-12-24T12:00:00.5Z".parse().unwrap();
        let expiry = |expires_in: Option<u64>, expires_at: Option<&str>| Expiry {
            expires_in: expires_in.map(Duration::from_secs),
            expires_at: expires_at.map(|at| at.parse().unwrap()),
        };
        let at = expiry(Some(4 * 3600), None).at(now).unwrap().unwrap();
        assert_eq!(at.to_string(), "2026-12-24T16:00:00Z", "the CRD has whole seconds");
        let named = expiry(None, Some("2026-12-24T18:00:00+01:00")).at(now).unwrap().unwrap();
        assert_eq!(named.to_string(), "2026-12-24T17:00:00Z");
        assert_eq!(expiry(None, None).at(now).unwrap(), None);
        assert!(expiry(Some(0), None).at(now).is_err());
        assert!(expiry(None, Some("2026-12-24T12:00:00Z")).at(now).is_err());
    }

    #[test]
    fn only_a_path_segment_is_an_environment() {
        assert!(environment("env_prod_us_01").is_ok());
        for text in ["", ".", "..", "a/b", "a b"] {
            assert!(environment(text).is_err(), "{text:?}");
        }
    }
}
