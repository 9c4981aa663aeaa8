//! What a person requests: retry, rollback, suspend, resume.
//!
//! Each request is one guarded write: to the object that the person saw, and not to another one of the same name.

use super::confirm::confirm;
use super::{decide, deployments};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::Terminal;
use api::decision::Verb;
use api::{CognigyDeployment, RETRY_ANNOTATION, ROLLBACK_ANNOTATION, SUSPENDED_BY_ANNOTATION};
use clap::Args;
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

/// The name of the plugin among the managers of an object's fields.
pub const FIELD_MANAGER: &str = "kubectl-cognigy";
/// The longest reason, in bytes. It is copied into the status.
const LONGEST_REASON: usize = 200;
/// How often a request is written again because the object has changed in between.
const MOST_CONFLICTS: usize = 5;

/// The flags that every request has.
#[derive(Args, Debug)]
pub struct RequestArguments {
    /// The deployment.
    #[arg(value_name = "NAME")]
    name: String,

    /// Show what would happen, and let the API server check the write, but write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

/// `retry`.
#[derive(Args, Debug)]
pub struct RetryArguments {
    #[command(flatten)]
    request: RequestArguments,

    /// Why. Everybody who can read the deployment sees it, with your name.
    #[arg(long, value_parser = reason)]
    reason: Option<String>,

    /// Create a CognigyDecision instead of editing the deployment. It needs the right `retry` on the environment.
    #[arg(long, requires = "reason")]
    decision: bool,
}

/// `rollback`.
#[derive(Args, Debug)]
pub struct RollbackArguments {
    #[command(flatten)]
    request: RequestArguments,

    /// Why. Everybody who can read the deployment sees it, with your name.
    #[arg(long, value_parser = reason)]
    reason: String,

    /// Create a CognigyDecision instead of editing the deployment. It needs the right `rollback` on the environment.
    #[arg(long)]
    decision: bool,
}

/// `suspend`.
#[derive(Args, Debug)]
pub struct SuspendArguments {
    #[command(flatten)]
    request: RequestArguments,

    /// Why. Everybody who can read the deployment sees it, with your name.
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// `resume`.
#[derive(Args, Debug)]
pub struct ResumeArguments {
    #[command(flatten)]
    request: RequestArguments,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.len() {
        0 => Err("write why, for example --reason 'wrong greeting, INC-4711'".to_owned()),
        length if length > LONGEST_REASON => {
            Err(format!("the reason has {length} bytes; write at most {LONGEST_REASON}, and the details elsewhere"))
        }
        _ if text.chars().any(char::is_control) => {
            Err("write the reason in one line, without control characters".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// Requests another attempt.
///
/// # Errors
/// [`Failure`], if nothing was requested.
pub async fn retry(arguments: &RetryArguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let seen = deployments::get(connection, &arguments.request.name).await?;
    let attempt = seen.status.as_ref().and_then(|status| status.attempt.as_ref());
    if let Some(attempt) = attempt.filter(|attempt| attempt.is_in_flight()) {
        return Err(Failure::Refused(format!(
            "attempt {} of {} is in flight ({}): a retry now would be ignored; wait for its verdict with \
             `kubectl cognigy wait {}`, or stop it with `kubectl cognigy rollback {} --reason …`",
            attempt.number,
            full_name(&seen),
            attempt.step.as_str(),
            seen.name_any(),
            seen.name_any()
        )));
    }
    if seen.spec.suspend {
        terminal.note(&format!("note: {} is suspended; the retry starts after `resume`", full_name(&seen)));
    }
    let configuration =
        attempt.map(|attempt| attempt.configuration()).unwrap_or_else(|| "its configuration".to_owned());
    let request = Request {
        question: format!("try again to deploy {configuration}"),
        done: "the retry is requested".to_owned(),
        follow: true,
        verb: Some(Verb::Retry),
    };
    if let Some(reason) = arguments.reason.as_ref().filter(|_| arguments.decision) {
        return request.decide(Verb::Retry, reason, &arguments.request, &seen, connection, terminal).await;
    }
    let value = signed(connection, arguments.reason.as_deref()).await?;
    let change = json!({"metadata": {"annotations": {RETRY_ANNOTATION: value}}});
    request.make(&arguments.request, &seen, change, connection, terminal).await
}

/// Requests a rollback.
///
/// # Errors
/// [`Failure`], if nothing was requested.
pub async fn rollback(
    arguments: &RollbackArguments,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let seen = deployments::get(connection, &arguments.request.name).await?;
    let attempt = seen.status.as_ref().and_then(|status| status.attempt.as_ref());
    let Some(attempt) = attempt else {
        return Err(Failure::Refused(format!(
            "{} has made no attempt yet: there is nothing to roll back; `kubectl cognigy suspend {} --reason …` keeps it \
             from starting",
            full_name(&seen),
            seen.name_any()
        )));
    };
    let question = match attempt.has_intent() {
        true => format!("roll back attempt {}, {}", attempt.number, attempt.configuration()),
        false => format!("stop attempt {}, {}, before it is submitted", attempt.number, attempt.configuration()),
    };
    let request =
        Request { question, done: "the rollback is requested".to_owned(), follow: true, verb: Some(Verb::Rollback) };
    if arguments.decision {
        return request
            .decide(Verb::Rollback, &arguments.reason, &arguments.request, &seen, connection, terminal)
            .await;
    }
    let value = signed(connection, Some(&arguments.reason)).await?;
    let change = json!({"metadata": {"annotations": {ROLLBACK_ANNOTATION: value}}});
    request.make(&arguments.request, &seen, change, connection, terminal).await
}

/// Suspends a deployment.
///
/// # Errors
/// [`Failure`], if nothing was written.
pub async fn suspend(
    arguments: &SuspendArguments,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let seen = deployments::get(connection, &arguments.request.name).await?;
    warn_of_git(&seen, terminal);
    let request = Request {
        question: "hold new configurations back (a rollout in flight is still watched, and rolled back if it fails)"
            .to_owned(),
        done: format!("suspended; `kubectl cognigy resume {}` ends it", seen.name_any()),
        follow: false,
        verb: None,
    };
    let value = signed(connection, Some(&arguments.reason)).await?;
    let change = json!({"metadata": {"annotations": {SUSPENDED_BY_ANNOTATION: value}}, "spec": {"suspend": true}});
    request.make(&arguments.request, &seen, change, connection, terminal).await
}

/// Ends a suspension.
///
/// # Errors
/// [`Failure`], if nothing was written.
pub async fn resume(
    arguments: &ResumeArguments,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let seen = deployments::get(connection, &arguments.request.name).await?;
    if !seen.spec.suspend {
        terminal.line(&format!("{} is not suspended", full_name(&seen)))?;
        return Ok(Exit::Succeeded);
    }
    warn_of_git(&seen, terminal);
    let by = seen.annotations().get(SUSPENDED_BY_ANNOTATION);
    let suspended = by.map(|by| format!(" (suspended {by})")).unwrap_or_default();
    let request = Request {
        question: format!("let new configurations start again{suspended}"),
        done: "resumed".to_owned(),
        follow: true,
        verb: None,
    };
    let change = json!({"metadata": {"annotations": {SUSPENDED_BY_ANNOTATION: null}}, "spec": {"suspend": false}});
    request.make(&arguments.request, &seen, change, connection, terminal).await
}

/// A request that is about to be made.
struct Request {
    /// What would happen, as the end of "This will …".
    question: String,
    /// The message after the write.
    done: String,
    /// Whether to print the command that shows the progress.
    follow: bool,
    /// The verb of a decision that requests the same.
    verb: Option<Verb>,
}

impl Request {
    async fn make(
        &self,
        arguments: &RequestArguments,
        seen: &CognigyDeployment,
        change: Value,
        connection: &Connection,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let name = full_name(seen);
        if !arguments.dry_run && !confirm(arguments.yes, &name, &self.question, terminal)? {
            terminal.note("nothing was requested");
            return Ok(Exit::Usage);
        }
        self.write(arguments, seen, change, connection).await?;
        self.tell(arguments, seen, "", connection, terminal)
    }

    /// Makes the request with a decision: it needs no right to edit the deployment.
    async fn decide(
        &self,
        verb: Verb,
        reason: &str,
        arguments: &RequestArguments,
        seen: &CognigyDeployment,
        connection: &Connection,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let name = full_name(seen);
        let attempt = seen.status.as_ref().and_then(|status| status.attempt.as_ref());
        let Some(plan_id) = attempt.and_then(|attempt| attempt.plan_id.clone()) else {
            return Err(Failure::Refused(format!(
                "no attempt of {name} has a plan id, so there is nothing to decide about; look at it with `kubectl cognigy status {}`",
                seen.name_any()
            )));
        };
        let draft = decide::Draft {
            namespace: seen.namespace(),
            deployment: seen.name_any(),
            environment_id: seen.spec.environment_id.clone(),
            plan_id,
            verb,
            by: decide::username(connection).await?,
            reason: reason.to_owned(),
            expires_at: None,
        };
        if !arguments.dry_run && !confirm(arguments.yes, &name, &self.question, terminal)? {
            terminal.note("nothing was requested");
            return Ok(Exit::Usage);
        }
        let created = decide::create(&draft, arguments.dry_run, connection).await?;
        self.tell(arguments, seen, &format!(" (decision {})", created.name_any()), connection, terminal)
    }

    /// Says what was done, or what would have been.
    fn tell(
        &self,
        arguments: &RequestArguments,
        seen: &CognigyDeployment,
        how: &str,
        connection: &Connection,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let name = full_name(seen);
        if arguments.dry_run {
            terminal.line(&format!("{name}: this would {} (dry run: nothing was written)", self.question))?;
            return Ok(Exit::Succeeded);
        }
        terminal.line(&format!("{name}: {}{how}", self.done))?;
        if self.follow {
            terminal.note(&format!(
                "follow it: kubectl cognigy status {} -n {} --watch",
                seen.name_any(),
                connection.namespace
            ));
        }
        Ok(Exit::Succeeded)
    }

    /// Whoever may not edit the deployment may be allowed to decide.
    fn hint_at_decision(&self, failure: Failure, seen: &CognigyDeployment) -> Failure {
        match (failure, self.verb) {
            (Failure::Forbidden(message), Some(verb)) => {
                let verb = verb.as_str().to_ascii_lowercase();
                Failure::Forbidden(format!(
                    "{message}; with the right `{verb}` on the environment {}, use `kubectl cognigy {verb} {} --decision --reason …`",
                    seen.spec.environment_id,
                    seen.name_any()
                ))
            }
            (failure, _) => failure,
        }
    }

    /// Writes the change, guarded by the object's uid and version. If only the status has changed in between, and the attempt
    /// is still the one that the person saw, it is written again.
    async fn write(
        &self,
        arguments: &RequestArguments,
        seen: &CognigyDeployment,
        change: Value,
        connection: &Connection,
    ) -> Result<(), Failure> {
        let name = seen.name_any();
        let api: Api<CognigyDeployment> = Api::namespaced(connection.client.clone(), &connection.namespace);
        let parameters = PatchParams {
            dry_run: arguments.dry_run,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        let mut current = seen.clone();
        for _ in 0..MOST_CONFLICTS {
            let mut guarded = change.clone();
            guarded["metadata"]["uid"] = json!(current.meta().uid);
            guarded["metadata"]["resourceVersion"] = json!(current.meta().resource_version);
            match api.patch(&name, &parameters, &Patch::Merge(guarded)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    let now = deployments::get(connection, &name).await?;
                    if identity(&now) != identity(seen) {
                        return Err(Failure::Refused(format!(
                            "{} has changed since you looked: it is at another attempt or another spec now; look again with \
                             `kubectl cognigy status {name}`, and repeat the command",
                            full_name(seen)
                        )));
                    }
                    current = now;
                }
                Err(error) => {
                    let failure = Failure::of_request(&format!("patch cognigydeployment {}", full_name(seen)), error);
                    return Err(self.hint_at_decision(failure, seen));
                }
            }
        }
        Err(Failure::Refused(format!("{} changes all the time; repeat the command", full_name(seen))))
    }
}

/// What must be the same when the request is written as when the person saw it.
fn identity(deployment: &CognigyDeployment) -> (Option<&str>, Option<i64>, Option<i64>) {
    let attempt = deployment.status.as_ref().and_then(|status| status.attempt.as_ref());
    (deployment.meta().uid.as_deref(), deployment.meta().generation, attempt.map(|attempt| attempt.number))
}

/// The value of a request: when, who and why. Each is new, and the operator acts on each new value once.
async fn signed(connection: &Connection, reason: Option<&str>) -> Result<String, Failure> {
    // An old API server or a proxy may not know this request. The API server's audit log has the name in any case.
    let user = decide::username(connection).await.unwrap_or_else(|_| "somebody".to_owned());
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    Ok(match reason {
        Some(reason) => format!("{now} by {user}: {reason}"),
        None => format!("{now} by {user}"),
    })
}

/// A GitOps tool puts spec.suspend back to what Git says.
fn warn_of_git(deployment: &CognigyDeployment, terminal: &Terminal) {
    let owner = match (deployment.labels(), deployment.annotations()) {
        (labels, _) if labels.contains_key("kustomize.toolkit.fluxcd.io/name") => "Flux",
        (labels, _) if labels.contains_key("helm.toolkit.fluxcd.io/name") => "Flux",
        (_, annotations) if annotations.contains_key("argocd.argoproj.io/tracking-id") => "Argo CD",
        (labels, _) if labels.contains_key("argocd.argoproj.io/instance") => "Argo CD",
        _ => return,
    };
    terminal.note(&format!(
        "warning: {owner} manages {} and may set spec.suspend back to what Git says; change it in Git as well",
        full_name(deployment)
    ));
}

/// The namespace and the name.
#[must_use]
pub fn full_name(deployment: &CognigyDeployment) -> String {
    format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(reason(" wrong greeting "), Ok("wrong greeting".to_owned()));
        for text in ["", "  ", "two\nlines", &"x".repeat(LONGEST_REASON + 1)] {
            assert!(reason(text).is_err(), "{text:?}");
        }
    }
}
