//! `wait`: until there is a verdict on one configuration.

use super::deployments;
use super::manifests::ManifestArguments;
use crate::arguments::duration;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Terminal};
use crate::waiting::{self, CiFormat, Options, Target, WaitFor};
use api::CognigyDeployment;
use clap::Args;
use kube::ResourceExt;
use manifest::Document;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kubectl cognigy wait customer-service-prod                         the verdict on the present spec
  kubectl cognigy wait customer-service-prod --file production.yaml  the verdict on what this file contains
  kubectl cognigy wait customer-service-prod --for=submitted         do not wait for the outcome
  kubectl cognigy wait customer-service-prod --for=approval          until people have approved it, or have rejected it

The command is bound to one configuration. An older one that is Ready, or that failed, does not end it.";

/// `wait`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The deployment.
    #[arg(value_name = "NAME")]
    name: String,

    /// The digest of the configuration, as `plan` and `status` show it. Without it: the configuration of the present spec.
    #[arg(long, value_name = "DIGEST", conflicts_with = "file")]
    digest: Option<String>,

    /// The manifest that holds the configuration.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,

    /// How to wait.
    #[command(flatten)]
    pub waiting: WaitingArguments,
}

/// How to wait: the flags of `wait` and of `apply --wait`.
#[derive(Args, Clone, Debug)]
pub struct WaitingArguments {
    /// What to wait for.
    #[arg(long = "for", value_name = "STATE", value_enum, default_value = "verdict")]
    wait_for: WaitFor,

    /// How long to wait, for example 30m.
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    timeout: Duration,

    /// How long the operator may take until it has seen the spec. After that it counts as not acting (exit code 5).
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    operator_timeout: Duration,

    /// Write the result to stdout in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,

    /// Mark the result in the log of a pipeline, so that it shows on the page of the run.
    #[arg(long, value_name = "SYSTEM", value_enum, num_args = 0..=1, default_missing_value = "auto")]
    ci: Option<CiFormat>,
}

impl WaitingArguments {
    /// The options of the wait.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            wait_for: self.wait_for,
            timeout: self.timeout,
            operator_timeout: self.operator_timeout,
            output: self.output,
            ci: self.ci.map(CiFormat::detect),
        }
    }
}

/// The configuration of a deployment in a manifest.
fn of_file(live: &CognigyDeployment, file: &Path, terminal: &Terminal) -> Result<Target, Failure> {
    let arguments = ManifestArguments { filenames: vec![file.to_owned()], recursive: false };
    let (_, manifests) = arguments.read_valid(terminal)?;
    let (namespace, name) = (live.namespace().unwrap_or_default(), live.name_any());
    let is_it = |document: &&Document| {
        document.name() == Some(&name) && document.namespace().is_none_or(|theirs| theirs == namespace)
    };
    match manifests.deployments.iter().find(is_it) {
        Some(document) => Target::of_manifest(live, document, &manifests),
        None => Err(Failure::Usage(format!(
            "{} has no CognigyDeployment {name} for the namespace {namespace}; name another file",
            file.display()
        ))),
    }
}

/// Waits for one deployment.
///
/// # Errors
/// [`Failure`], if there is no such deployment, or it cannot be watched.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let live = deployments::get(connection, &arguments.name).await?;
    let target = match (&arguments.digest, &arguments.file) {
        (Some(digest), _) => Target::of_digest(&live, digest)?,
        (None, Some(file)) => of_file(&live, file, terminal)?,
        (None, None) => Target::of_spec(&live),
    };
    waiting::run(vec![target], &arguments.waiting.options(), connection, terminal).await
}
