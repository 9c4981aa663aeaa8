//! Writes what became of each decision into its status, so that `kubectl get cognigydecisions` shows it. Nothing depends on it.

use super::super::error::{Error, call};
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

/// What became of a decision that the admission policy did not check, as the end of a sentence that begins with the decision.
const UNVERIFIED: &str = "never counts: the admission policy decisions.deploy.cognigy.ai was not in force when it was created, so \
                          anybody could have written it; install the policy (docs/security.md), then create another decision";

impl ReconcileRun<'_> {
    /// Writes the state of each decision about the resource that has changed. When a decision becomes one that cannot act, a Warning
    /// is published as well.
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
            let was_ignored = known.status.as_ref().is_some_and(|written| written.state == DecisionState::Ignored);
            if status.state == DecisionState::Ignored && !was_ignored {
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
        let written = call("write the state of a decision", write).await;
        self.context.metrics.wrote("decision", written.as_ref().err().map(Error::kind));
        match written {
            Ok(_) => {
                self.context.metrics.decided(record.verb, status.state);
                self.context.gates.decisions.lock().wrote(&resource, record, status);
            }
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
    let (state, message) = match (known.verified, &facts.gates.decisions.proof) {
        (Some(false), _) => (DecisionState::Ignored, UNVERIFIED.to_owned()),
        // It came after the check of this reconcile. The next one, which it has triggered, reports it.
        (None, Proof::Given) => return None,
        (Some(true), _) | (None, Proof::Missing(_)) => gates::state_of(facts, status, &known.record),
    };
    let verified = known.verified;
    let is_same = known
        .status
        .as_ref()
        .is_some_and(|written| written.state == state && written.message == message && written.verified == verified);
    (!is_same).then_some(CognigyDecisionStatus { state, verified, message, at: facts.now.wall })
}
