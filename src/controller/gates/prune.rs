//! Deletes old decisions, and reports those that cannot be read. docs/security.md tells people the rule.
//!
//! A decision with a name of its own is never deleted, and neither is a new one that has no state yet. So pruning does not limit how
//! many decisions there are: a ResourceQuota for `count/cognigydecisions.deploy.cognigy.ai` in the namespace does.

use super::super::context::Context;
use super::super::error::{Error, call};
use super::decisions::UnreadableDecision;
use super::{GateRegistry, WatchedDecision};
use api::CognigyDecision;
use api::decision::{CognigyDecisionStatus, DecisionState};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use platform::sanitize::single_line;
use rollout::admission::ResourceName;
use rollout::gates::{DecisionRecord, LONGEST_LIFE};
use rollout::time::between;
use serde_json::json;
use std::sync::Arc;

/// How many decisions about one resource and environment are kept.
const KEPT: usize = 100;
/// How many decisions are deleted in one pass.
const MAX_DELETED: usize = 200;

impl Context {
    /// Deletes decisions that are older than 90 days: none counts longer. If a resource has more than 100 about one environment, the oldest
    /// ones that cannot act any more are deleted as well.
    pub async fn prune_decisions(&self) {
        if self.report_unreadable_decisions().await.is_err() {
            return;
        }
        for (resource, record) in self.gates.prunable(self.now().wall) {
            if self.cluster.must_lead().is_err() {
                return;
            }
            let decisions: Api<CognigyDecision> = Api::namespaced(self.cluster.client.clone(), &resource.namespace);
            let same = Preconditions { uid: Some(record.uid.as_str().to_owned()), resource_version: None };
            let parameters = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
            match call("delete an old decision", decisions.delete(&record.name, &parameters)).await {
                Ok(_) => tracing::info!(
                    namespace = &*resource.namespace,
                    decision = record.name,
                    "an old decision was deleted"
                ),
                Err(error) => tracing::debug!(decision = record.name, %error, "an old decision could not be deleted"),
            }
        }
    }

    /// Writes into the status of decisions that they cannot be read. Nobody knows which resource they are about, so no reconcile does it.
    async fn report_unreadable_decisions(&self) -> Result<(), Error> {
        let unreadable = self.gates.decisions.lock().unreadable();
        for (decision, UnreadableDecision { uid, problem, .. }) in unreadable {
            self.cluster.must_lead()?;
            // The answer contains the decision, which cannot be read as a CognigyDecision.
            let decisions: Api<WatchedDecision> = Api::namespaced(self.cluster.client.clone(), &decision.namespace);
            let status = CognigyDecisionStatus {
                state: DecisionState::Ignored,
                verified: None,
                message: single_line(&format!("cannot be read and does not count; create another one: {problem}")),
                at: self.now().wall,
            };
            let patch = Patch::Merge(json!({"metadata": {"uid": uid}, "status": status}));
            let parameters = PatchParams::default();
            let write = decisions.patch_status(&decision.name, &parameters, &patch);
            let written = call("write the state of a decision", write).await;
            self.metrics.wrote("decision", written.as_ref().err().map(Error::kind));
            match written {
                Ok(_) => self.gates.decisions.lock().reported_unreadable(&decision),
                Err(error) => {
                    tracing::debug!(decision = &*decision.name, %error, "the state of a decision could not be written");
                }
            }
        }
        Ok(())
    }
}

impl GateRegistry {
    pub(super) fn prunable(&self, now: Timestamp) -> Vec<(ResourceName, Arc<DecisionRecord>)> {
        let decisions = self.decisions.lock();
        let mut prunable = Vec::new();
        for (resource, known) in decisions.all() {
            let surplus = known.len().saturating_sub(KEPT);
            for (position, decision) in known.values().enumerate() {
                let record = &decision.record;
                let is_old = between(record.made_at, now) > LONGEST_LIFE;
                let is_surplus = position < surplus && decision.is_dealt_with();
                // A decision with a name of its own may be in Git, and its tool would create it again.
                if decision.has_generated_name && (is_old || is_surplus) {
                    prunable.push((resource.clone(), Arc::clone(&decision.record)));
                }
            }
            if prunable.len() >= MAX_DELETED {
                break;
            }
        }
        prunable.truncate(MAX_DELETED);
        prunable
    }
}
