//! What every test stands on: the control plane, operator processes, and a simulated platform.

mod cluster;
mod resource;
mod world;

use std::path::Path;
use testkit::OperatorCommand;

pub(crate) use cluster::{CRD_NAME, Cluster};
pub(crate) use resource::{Resource, attempt};
pub(crate) use world::{World, from, sample};

pub(crate) use api::CognigyDeployment;
pub(crate) use api::status::{Outcome, Step};
pub(crate) use serde_json::{Value, json};
pub(crate) use simulator::Call;
pub(crate) use testkit::{DEADLINE, OperatorProcess, Signal, client_of};

/// The flags of an election with short terms: a test need not wait 15 seconds for a lease.
pub(crate) const SHORT_TERMS: [&str; 3] = ["--lease-duration=3s", "--renew-deadline=2s", "--retry-period=500ms"];

/// How the binary under test is started. The platform of the tests listens on this machine.
pub(crate) fn operator_command(name: &str, kubeconfig: &Path, flags: &[String]) -> OperatorCommand {
    let local = "--egress-allow=127.0.0.1".to_owned();
    OperatorCommand {
        binary: env!("CARGO_BIN_EXE_cognigy-operator").into(),
        name: name.to_owned(),
        kubeconfig: kubeconfig.to_owned(),
        flags: [local].iter().chain(flags).cloned().collect(),
        variables: Vec::new(),
    }
}
