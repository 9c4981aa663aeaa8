//! The custom resource: what a user writes, what the operator answers in status, and the names both share.
//!
//! The types are the only definition. The CRD in `crds/` is generated from them, its doc comments are what
//! `kubectl explain` shows, and the CEL rules that the API server enforces run offline through
//! [`CognigyDeployment::validate_cel`].

#![forbid(unsafe_code)]

/// In the CRD these are plain strings. An enumeration would make the API server refuse what a newer operator writes while
/// the definition is still an older one, and every later write to an object that holds such a value.
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

pub mod claim;
pub mod condition;
pub mod crd;
pub mod digest;
pub mod identifier;
pub mod reason;
pub mod snapshot;
pub mod spec;
pub mod status;

#[cfg(test)]
mod tests;

pub use claim::EnvironmentClaim;
pub use condition::ConditionType;
pub use digest::Digest;
pub use identifier::{EnvironmentId, IdempotencyKey, JobId};
pub use reason::Reason;
pub use snapshot::{Snapshot, SnapshotProblem};
pub use spec::{CognigyDeployment, CognigyDeploymentSpec};
pub use status::CognigyDeploymentStatus;

/// The finalizer that keeps a deleted resource until what it has in flight is settled.
pub const FINALIZER: &str = "deploy.cognigy.ai/rollout";

/// Annotation: any new value asks for a new attempt at the desired configuration, once.
pub const RETRY_ANNOTATION: &str = "deploy.cognigy.ai/retry";

/// Annotation: any new value asks for a rollback (or, before anything is submitted, for a stop), once.
pub const ROLLBACK_ANNOTATION: &str = "deploy.cognigy.ai/rollback";

/// Label: a ConfigMap with the value `true` is watched; one without it is read again every five minutes.
pub const WATCH_LABEL: &str = "deploy.cognigy.ai/watch";
