//! Cancels the waiting requests of a running reconcile if its resource has changed.
//!
//! If the request budget is used up, a request may wait for a minute. By then its answer may be useless, because the
//! resource was deleted or edited, or a rollback was requested. The runner never starts a second reconcile of a
//! resource while one runs. So the running one is cancelled, and the next one decides again.

use super::state::version;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rollout::facts::Requests;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// A running reconcile: the version of the resource with which it began, and the token that cancels its waiting
/// requests.
#[derive(Debug)]
pub(super) struct Running {
    version: u64,
    generation: Option<i64>,
    requests: Requests,
    cancellation: CancellationToken,
}

impl Running {
    pub(super) fn new(resource: &ObjectMeta, cancellation: CancellationToken) -> Self {
        let (version, generation) = (version(resource), resource.generation);
        Self { version, generation, requests: requests(resource), cancellation }
    }

    /// Cancels if this version of the resource leads to another decision. The relevant inputs of the decision are the
    /// spec and the deletion, which change the generation, and the requests by annotation. The operator's own writes
    /// change none of them.
    pub(super) fn cancel_if_outdated(&self, resource: &ObjectMeta) {
        let is_newer = version(resource) > self.version;
        if is_newer && (resource.generation != self.generation || requests(resource) != self.requests) {
            self.cancel();
        }
    }

    pub(super) fn cancel(&self) {
        self.cancellation.cancel();
    }
}

fn requests(resource: &ObjectMeta) -> Requests {
    Requests::from_annotations(resource.annotations.as_ref().unwrap_or(const { &BTreeMap::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{RETRY_ANNOTATION, ROLLBACK_ANNOTATION};

    fn resource(version: u64, generation: i64, annotation: Option<(&str, &str)>) -> ObjectMeta {
        ObjectMeta {
            uid: Some("uid".to_owned()),
            resource_version: Some(version.to_string()),
            generation: Some(generation),
            annotations: annotation.map(|(name, value)| BTreeMap::from([(name.to_owned(), value.to_owned())])),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_running_reconcile_is_cancelled_only_if_the_change_leads_to_another_decision() {
        for (what, now, is_cancelled) in [
            ("its own status write", resource(8, 1, None), false),
            ("an annotation of somebody else's", resource(8, 1, Some(("argocd/tracking-id", "1"))), false),
            ("an edit or a deletion", resource(8, 2, None), true),
            ("a request to roll back", resource(8, 1, Some((ROLLBACK_ANNOTATION, "1"))), true),
            ("a request to try again", resource(8, 1, Some((RETRY_ANNOTATION, "1"))), true),
            ("an older state, from a watch that lags behind", resource(6, 0, None), false),
        ] {
            let cancellation = CancellationToken::new();
            Running::new(&resource(7, 1, None), cancellation.clone()).cancel_if_outdated(&now);
            assert_eq!(cancellation.is_cancelled(), is_cancelled, "{what}");
        }
    }
}
