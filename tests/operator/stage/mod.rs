//! What every test stands on: a control plane, an operator process, a simulated platform, and words to speak of them.

mod account;
mod authority;
mod chronicle;
mod cluster;
mod operator;
mod platform;
mod resource;
mod sample;
mod world;

use std::time::Duration;

pub(crate) use account::Right;
pub(crate) use authority::certified;
pub(crate) use cluster::{Cluster, client, installed, kubeconfig, kubeconfig_of, namespace, operators_kubeconfig};
pub(crate) use operator::Operator;
pub(crate) use resource::Reading;
pub(crate) use sample::{Sample, sample};
pub(crate) use world::{Plan, World};

pub(crate) use api::condition::ConditionStatus::{False, True, Unknown};
pub(crate) use api::status::{Outcome, Phase, RollbackReason, Step};
pub(crate) use api::{CognigyDeployment, ConditionType, Reason};
pub(crate) use serde_json::{Value, json};
pub(crate) use simulator::Call;

/// How long anything may take before the test fails with a report. Generous: a wait ends as soon as it may.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The environment of the sample.
pub(crate) const ENVIRONMENT: &str = "env_prod_us_01";
