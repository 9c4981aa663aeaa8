//! Which other resource owns the environment, by the statuses that the caller has read.

use api::CognigyDeployment;
use api::identifier::ApiOrigin;
use jiff::Timestamp;
use rollout::claim;
use std::fmt;

/// Another resource that owns the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    name: String,
    origin: ApiOrigin,
    /// Whether this resource uses the same Cognigy.AI for certain.
    pub(super) is_certain: bool,
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CognigyDeployment {} (at {})", self.name, self.origin)
    }
}

/// The place of an object in the operator's order.
fn rank(object: &CognigyDeployment, deployed_at: Option<Timestamp>) -> impl Ord + use<'_> {
    let in_flight = object.status.as_ref().is_some_and(claim::is_in_flight);
    let created_at = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    claim::rank(in_flight, deployed_at, created_at, namespace, name)
}

/// The other resource that owns the environment, or may own it.
pub(super) fn find(
    live: Option<&CognigyDeployment>,
    desired: &CognigyDeployment,
    others: &[CognigyDeployment],
) -> Option<Owner> {
    let own = live.and_then(|live| Some((live, claim::recorded(live.status.as_ref()?)?)));
    let is_self = |other: &CognigyDeployment| {
        other.metadata.name == desired.metadata.name && other.metadata.namespace == desired.metadata.namespace
    };
    let claims = others
        .iter()
        .filter(|other| other.spec.environment_id == desired.spec.environment_id && !is_self(other))
        .filter_map(|other| Some((other, claim::recorded(other.status.as_ref()?)?)))
        .filter(|(other, claim)| match &own {
            Some((live, own)) => {
                own.api_origin == claim.api_origin && rank(other, claim.deployed_at) < rank(live, own.deployed_at)
            }
            None => true,
        });
    let owner =
        claims.min_by_key(|(other, claim)| (!uses_same_secret(other, desired), rank(other, claim.deployed_at)))?;
    let (other, claim) = owner;
    let name = format!(
        "{}/{}",
        other.metadata.namespace.as_deref().unwrap_or_default(),
        other.metadata.name.as_deref().unwrap_or_default()
    );
    let is_certain = own.is_some() || uses_same_secret(other, desired);
    Some(Owner { name, origin: claim.api_origin, is_certain })
}

/// Whether both get their credentials, and so their Cognigy.AI, from the same place.
fn uses_same_secret(other: &CognigyDeployment, desired: &CognigyDeployment) -> bool {
    let secret = |object: &CognigyDeployment| {
        let namespace = object.spec.credentials_ref.as_ref().and(object.metadata.namespace.clone());
        (namespace, object.spec.credentials_ref.clone())
    };
    secret(other) == secret(desired)
}
