//! The commands, one file each.

mod act;
mod apply;
mod completion;
mod confirm;
mod decide;
mod deployments;
mod doctor;
mod events;
mod explain;
mod gate_objects;
mod history;
mod list;
mod manifests;
mod plan;
mod promote;
mod status;
mod wait;
mod windows;

use crate::arguments::Arguments;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::Terminal;
use api::decision::Verb;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the fleet: what runs, since when, and what waits for what.
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Show one deployment, stage by stage, with its deadline and what happens next.
    Status(status::Arguments),
    /// Show the attempts of a deployment and how they ended.
    History(history::Arguments),
    /// Explain the state of a deployment, and say what to do.
    Explain(explain::Arguments),
    /// Show the events of deployments.
    Events(events::Arguments),
    /// Check whether everything is in place: cluster, operator, rights, Secrets and egress rules.
    Doctor(doctor::Arguments),
    /// Approve the plan that waits, or one that will.
    #[command(after_help = decide::APPROVE_EXAMPLES)]
    Approve(decide::Arguments),
    /// Reject the plan that waits: its attempt ends, and nothing is submitted.
    #[command(after_help = decide::REJECT_EXAMPLES)]
    Reject(decide::Arguments),
    /// Let the plan that waits start although a change window is closed. For emergencies.
    #[command(after_help = decide::OVERRIDE_EXAMPLES)]
    Override(decide::Arguments),
    /// Show the change windows: which are active, what changes next, and which rollouts wait for them.
    #[command(after_help = windows::EXAMPLES)]
    Windows(windows::Arguments),
    /// Request another attempt to deploy the same configuration.
    Retry(act::RetryArguments),
    /// Request a rollback. Before the submit, this stops the attempt.
    Rollback(act::RollbackArguments),
    /// Hold new configurations back. A rollout in flight is still watched, and rolled back if it fails.
    Suspend(act::SuspendArguments),
    /// Let new configurations start again.
    Resume(act::ResumeArguments),
    /// Apply manifests, and wait for the verdict on exactly what they contain.
    Apply(apply::Arguments),
    /// Wait for a verdict, or until a deployment is ready or submitted.
    Wait(wait::Arguments),
    /// Show what applying manifests would change and start. Reads only.
    Plan(plan::Arguments),
    /// Copy the release of one manifest into another one, such as from staging to production. Edits files only.
    Promote(promote::Arguments),
    /// Print the completion script of a shell, or the plugin's completion for kubectl.
    Completion(completion::Arguments),
    /// Print the man page, or write one page for each command.
    #[command(hide = true)]
    Man(completion::ManArguments),
    /// Print candidates for a command line that is being typed. The completion scripts call it.
    #[command(name = "__complete", hide = true)]
    Complete(completion::CompleteArguments),
}

/// Runs a command.
///
/// # Errors
/// [`Failure`], if it could not do its work.
pub async fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Failure> {
    // These work without a cluster.
    match &arguments.command {
        Command::Completion(command) => return completion::print(command, terminal),
        Command::Man(command) => return completion::man(command, terminal),
        Command::Promote(command) => return promote::run(command, terminal),
        Command::Complete(command) => return completion::complete(command, &arguments.global, terminal).await,
        _ => {}
    }
    if let Some((verb, command)) = decision(&arguments.command)
        && let Some(exit) = decide::offline(verb, command, arguments.global.namespace.as_deref(), terminal)?
    {
        return Ok(exit);
    }
    let connection = Connection::open(&arguments.global).await?;
    match &arguments.command {
        Command::List(command) => list::run(command, &connection, terminal).await,
        Command::Status(command) => status::run(command, &connection, terminal).await,
        Command::History(command) => history::run(command, &connection, terminal).await,
        Command::Explain(command) => explain::run(command, &connection, terminal).await,
        Command::Events(command) => events::run(command, &connection, terminal).await,
        Command::Doctor(command) => doctor::run(command, &connection, terminal).await,
        Command::Approve(command) => decide::run(Verb::Approve, command, &connection, terminal).await,
        Command::Reject(command) => decide::run(Verb::Reject, command, &connection, terminal).await,
        Command::Override(command) => decide::run(Verb::Override, command, &connection, terminal).await,
        Command::Windows(command) => windows::run(command, &connection, terminal).await,
        Command::Retry(command) => act::retry(command, &connection, terminal).await,
        Command::Rollback(command) => act::rollback(command, &connection, terminal).await,
        Command::Suspend(command) => act::suspend(command, &connection, terminal).await,
        Command::Resume(command) => act::resume(command, &connection, terminal).await,
        Command::Plan(command) => plan::run(command, &connection, terminal).await,
        Command::Apply(command) => apply::run(command, &arguments.global, &connection, terminal).await,
        Command::Wait(command) => wait::run(command, &connection, terminal).await,
        Command::Completion(_) | Command::Man(_) | Command::Complete(_) | Command::Promote(_) => Ok(Exit::Succeeded),
    }
}

/// The verb of a command that makes a decision.
fn decision(command: &Command) -> Option<(Verb, &decide::Arguments)> {
    match command {
        Command::Approve(arguments) => Some((Verb::Approve, arguments)),
        Command::Reject(arguments) => Some((Verb::Reject, arguments)),
        Command::Override(arguments) => Some((Verb::Override, arguments)),
        _ => None,
    }
}
