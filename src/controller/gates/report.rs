//! Writes what became of each decision into its status, so that `kubectl get cognigydecisions` shows it. Nothing depends on it.

use super::super::error::call;
use super::super::reconcile::ReconcileRun;
use super::super::resources::name_of;
use super::decisions::KnownDecision;
use api::decision::{CognigyDecisionStatus, DecisionState};
use api::{CognigyDecision, Reason};
use kube::api::{Api, Patch, PatchParams};
use rollout::gates::{self, DecisionRecord, Proof};
use rollout::{Effects, Facts};
use serde_json::json;
use std::sync::Arc;

impl ReconcileRun<'_> {
    /// Writes the state of each decision about the resource that has changed. The first time that a decision cannot act, a Warning is
    /// published as well.
    pub(in crate::controller) async fn report_decisions(&mut self) {
        let resource = name_of(self.observed.object.as_ref());
        let known = self.context.gates.decisions.lock().about(&resource);
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, self.context.now());
        let open: Vec<KnownDecision> = known.into_iter().filter(|known| !known.is_over()).collect();
        let changed: Vec<(&KnownDecision, CognigyDecisionStatus)> = open
            .iter()
            .filter_map(|known| changed(&facts, &self.status, known).map(|status| (known, status)))
            .collect();
        let mut effects = Effects::none();
        for (known, status) in changed {
            if status.state == DecisionState::Ignored {
                let note = format!("the decision {} by {} {}", known.record.name, known.record.by, status.message);
                effects = effects.and(Effects::warning(Reason::DecisionIgnored, note));
            }
            self.write_decision(&known.record, status).await;
        }
        // Without a check of the admission policy, no decision is among the facts.
        if facts.gates.decisions.proof == Proof::Given {
            self.context.gates.decisions.lock().reported(&resource, &facts.gates.decisions.records);
        }
        self.apply_effects(effects);
        self.mark_recorded();
    }

    async fn write_decision(&self, record: &DecisionRecord, status: CognigyDecisionStatus) {
        let resource = name_of(self.observed.object.as_ref());
        let decisions: Api<CognigyDecision> = Api::namespaced(self.context.cluster.client.clone(), &resource.namespace);
        let patch = Patch::Merge(json!({"metadata": {"uid": record.uid}, "status": status}));
        let parameters = PatchParams::default();
        let write = decisions.patch_status(&record.name, &parameters, &patch);
        match call("write the state of a decision", write).await {
            Ok(_) => self.context.gates.decisions.lock().wrote(&resource, record, status),
            Err(error) => {
                tracing::debug!(decision = record.name, %error, "the state of a decision could not be written; the next reconcile tries again");
            }
        }
    }
}

/// The state of a decision, if it is not the one that is written already.
fn changed(
    facts: &Facts<'_>,
    status: &api::CognigyDeploymentStatus,
    known: &KnownDecision,
) -> Option<CognigyDecisionStatus> {
    let (state, message) = gates::state_of(facts, status, &known.record);
    let is_same = known.status.as_ref().is_some_and(|written| written.state == state && written.message == message);
    (!is_same).then(|| CognigyDecisionStatus { state, message, at: facts.now.wall })
}
