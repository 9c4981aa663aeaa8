//! The custom resource: the spec that a user writes, the status that the operator writes, and the names that both share.
//!
//! The types are the only definition. The CRD in `crds/` is generated from them. `kubectl explain` shows their doc comments. The
//! CEL rules that the API server enforces also run offline, through [`CognigyDeployment::validate_cel`].

#![forbid(unsafe_code)]

/// In the CRD these types are plain strings. With an enumeration in an older CRD, the API server would refuse the values that a
/// newer operator writes, and every later write to an object that has such a value.
macro_rules! plain_string_in_the_crd {
    ($($name:ident),*) => {$(
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "maxLength": 64})
            }
        }
    )*};
}

pub mod change_window;
pub mod claim;
pub mod condition;
pub mod crd;
pub mod decision;
pub mod digest;
pub mod identifier;
pub mod plan_id;
pub mod reason;
mod schedule_rules;
pub mod snapshot;
pub mod spec;
pub mod status;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use change_window::ChangeWindow;
pub use claim::EnvironmentClaim;
pub use condition::ConditionType;
pub use decision::CognigyDecision;
pub use digest::Digest;
pub use identifier::{DecisionUid, EnvironmentId, IdempotencyKey, JobId};
pub use plan_id::PlanId;
pub use reason::Reason;
pub use snapshot::{Snapshot, SnapshotProblem};
pub use spec::{CognigyDeployment, CognigyDeploymentSpec};
pub use status::CognigyDeploymentStatus;
pub use verdict::{Finding, Wait, finding};

/// The finalizer that keeps a deleted resource until its rollout in flight is settled.
pub const FINALIZER: &str = "deploy.cognigy.ai/rollout";

/// Annotation: each new value requests one more attempt to deploy the configuration.
pub const RETRY_ANNOTATION: &str = "deploy.cognigy.ai/retry";

/// Annotation: each new value requests a rollback. Before the submit, it stops the attempt.
pub const ROLLBACK_ANNOTATION: &str = "deploy.cognigy.ai/rollback";

/// Annotation: who suspended the deployment, when and why. `kubectl cognigy suspend` writes it; the operator does not read it.
pub const SUSPENDED_BY_ANNOTATION: &str = "deploy.cognigy.ai/suspended-by";

/// Label: the version of the configuration for people, if `spec.displayVersion` is not set.
pub const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// Label: a ConfigMap with the value `true` is watched. A ConfigMap without it is read again every five minutes.
pub const WATCH_LABEL: &str = "deploy.cognigy.ai/watch";
