//! What every test stands on: the control plane, operator processes, and a simulated platform.

mod cluster;
mod operator;
mod resource;
mod world;

use std::time::Duration;

pub(crate) use cluster::{CRD_NAME, Cluster, client_of};
pub(crate) use operator::{Operator, Signal};
pub(crate) use resource::{Resource, attempt};
pub(crate) use world::{World, from, sample};

pub(crate) use api::CognigyDeployment;
pub(crate) use api::status::{Outcome, Step};
pub(crate) use serde_json::{Value, json};
pub(crate) use simulator::Call;

/// How long anything may take before the test fails with a report. Generous: a wait ends as soon as it may.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The flags of an election with short terms: a test need not wait 15 seconds for a lease.
pub(crate) const SHORT_TERMS: [&str; 3] = ["--lease-duration=3s", "--renew-deadline=2s", "--retry-period=500ms"];
