//! Shared code of tests against real processes.
//!
//! A [`Cluster`] is a control plane. A [`TestNamespace`] in it has a simulated platform and operators. A [`Resource`]
//! is one CognigyDeployment in it, and a [`Sample`] is the manifest that a test applies.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;

mod client;
mod cluster;
mod controller_manager;
mod log;
mod namespace;
mod operator;
mod planted_secret;
mod resource;
mod sample;
mod service_account;
mod versions;

pub use authority::certified;
pub use client::client_of;
pub use cluster::{CRD_NAME, Cluster};
pub use controller_manager::remove_deleted_namespaces;
pub use log::Log;
pub use namespace::platform::JOBS_KEEP_RUNNING;
pub use namespace::{NamespacePlan, TestNamespace};
pub use operator::{OperatorCommand, OperatorProcess, Signal};
pub use planted_secret::PlantedSecret;
pub use resource::{Resource, StatusExt};
pub use sample::{ENVIRONMENT, Sample, merge, sample};
pub use service_account::{Right, ServiceAccountAccess};
pub use versions::VersionRecorder;

use std::time::Duration;

/// The maximum wait before a test fails with a report. It is generous, because a wait ends as soon as its condition
/// holds.
pub const DEADLINE: Duration = Duration::from_secs(60);
