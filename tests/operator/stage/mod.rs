//! What every test stands on: a control plane, an operator process, a simulated platform, and words to speak of them.

mod account;
mod chronicle;
mod cluster;
mod platform;
mod resource;
mod sample;
mod world;

use std::path::Path;
use testkit::OperatorCommand;

pub(crate) use account::Right;
pub(crate) use cluster::{Cluster, client, installed, kubeconfig, kubeconfig_of, namespace, operators_kubeconfig};
pub(crate) use resource::Reading;
pub(crate) use sample::{Sample, sample};
pub(crate) use world::{Plan, World};

pub(crate) use api::condition::ConditionStatus::{False, True, Unknown};
pub(crate) use api::status::{Outcome, Phase, RollbackReason, Step};
pub(crate) use api::{CognigyDeployment, ConditionType, Reason};
pub(crate) use serde_json::{Value, json};
pub(crate) use simulator::Call;
pub(crate) use testkit::{DEADLINE, OperatorProcess, certified};

/// The environment of the sample.
pub(crate) const ENVIRONMENT: &str = "env_prod_us_01";

/// How the binary under test is started, watching what the flags say.
pub(crate) fn operator_command(kubeconfig: &Path, flags: &[String], variables: &[(String, String)]) -> OperatorCommand {
    OperatorCommand {
        binary: env!("CARGO_BIN_EXE_cognigy-operator").into(),
        name: "operator".to_owned(),
        kubeconfig: kubeconfig.to_owned(),
        flags: flags.to_vec(),
        variables: variables.to_vec(),
    }
}
