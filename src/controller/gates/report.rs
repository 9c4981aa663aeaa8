//! Writes what became of each decision into its status, so that `kubectl get cognigydecisions` shows it. Nothing depends on it.

use super::super::error::{Error, call};
use super::super::reconcile::ReconcileRun;
use super::super::resources::name_of;
use super::decisions::KnownDecision;
use api::decision::{CognigyDecisionStatus, DecisionState};
use api::{CognigyDecision, Reason};
use kube::api::{Api, Patch, PatchParams};
use rollout::admission::ResourceName;
use rollout::gates::{self, Proof};
use rollout::{Effects, Facts, TimedEvent};
use serde_json::json;
use std::sync::Arc;

/// What became of a decision that newer ones have crowded out, as the end of a sentence that begins with the decision.
const CROWDED_OUT: &str =
    "does not count: only the 32 newest decisions about a resource do; if it is still needed, create it again";

/// What became of a decision that the admission policy did not check, as the end of a sentence that begins with the decision.
const UNVERIFIED: &str = "never counts: the admission policy decisions.deploy.cognigy.ai was not in force when it was created, so \
                          anybody could have written it; install the policy (docs/security.md), then create another decision";

impl ReconcileRun<'_> {
    /// Writes the state of each decision about the resource that has changed. When a decision becomes one that cannot act, a Warning
    /// is published as well.
    pub(in crate::controller) async fn report_decisions(&mut self) {
        self.check_late_decisions().await;
        let resource = name_of(self.observed.object.as_ref());
        let open: Vec<KnownDecision> =
            self.known_decisions(&resource).into_iter().filter(|known| !known.is_over()).collect();
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, self.context.now());
        let states: Vec<_> = open.iter().map(|known| (known, changed(&facts, &self.status, known))).collect();
        // Without a check of the admission policy, no decision is among the facts.
        let is_proven = facts.gates.decisions.proof == Proof::Given;
        let mut reported = Vec::new();
        for (known, changed) in states {
            if let Some(status) = changed
                && self.write_decision(&resource, known, status).await.is_err()
            {
                break;
            }
            if is_proven && known.verified == Some(true) {
                reported.push(Arc::clone(&known.record));
            }
        }
        self.context.gates.decisions.lock().reported(&resource, &reported);
        self.report_crowded_out(&resource).await;
    }

    /// Writes into their status that decisions do not count because of newer ones.
    async fn report_crowded_out(&mut self, resource: &ResourceName) {
        let crowded_out = self.context.gates.decisions.lock().crowded_out(resource);
        for known in &crowded_out {
            let (at, message) = (self.context.now().wall, CROWDED_OUT.to_owned());
            let status = CognigyDecisionStatus { state: DecisionState::Ignored, verified: known.verified, message, at };
            if self.write_decision(resource, known, status).await.is_err() {
                return;
            }
            self.context.gates.decisions_crowded_out.notify_one();
        }
    }

    /// Writes into their status that decisions are not proven, before anything acts. If the process restarted without this, the next
    /// check would take them for proven as soon as the policy is installed.
    pub(super) async fn record_unproven(&mut self) {
        let resource = name_of(self.observed.object.as_ref());
        let known = self.known_decisions(&resource);
        for known in known.iter().filter(|known| known.is_unproven_unwritten()) {
            let at = self.context.now().wall;
            let message = UNVERIFIED.to_owned();
            let status = CognigyDecisionStatus { state: DecisionState::Ignored, verified: Some(false), message, at };
            if self.write_decision(&resource, known, status).await.is_err() {
                return;
            }
        }
    }

    /// The decisions about the resource that count, and some that name another environment.
    pub(super) fn known_decisions(&self, resource: &ResourceName) -> Vec<KnownDecision> {
        let environment = &self.observed.object.spec.environment_id;
        let decisions = self.context.gates.decisions.lock();
        let mut known = decisions.about(resource, environment);
        known.extend(decisions.elsewhere(resource, environment));
        known
    }

    /// Writes the state of a decision. An error means that the next reconcile must try again: each try may take long, and the
    /// resource's own work waits for it.
    async fn write_decision(
        &mut self,
        resource: &ResourceName,
        known: &KnownDecision,
        status: CognigyDecisionStatus,
    ) -> Result<(), Error> {
        self.context.cluster.must_lead()?;
        let record = &known.record;
        let decisions: Api<CognigyDecision> = Api::namespaced(self.context.cluster.client.clone(), &resource.namespace);
        let patch = Patch::Merge(json!({"metadata": {"uid": record.uid}, "status": status}));
        let parameters = PatchParams::default();
        let write = decisions.patch_status(&record.name, &parameters, &patch);
        let written = call("write the state of a decision", write).await;
        self.context.metrics.wrote("decision", written.as_ref().err().map(Error::kind));
        if let Err(error) = written {
            tracing::debug!(decision = record.name, %error, "the state of a decision could not be written; the next reconcile tries again");
            return Err(error);
        }
        self.context.metrics.decided(record.verb, status.state);
        self.warn_if_ignored(known, &status);
        self.context.gates.decisions.lock().wrote(resource, record, status);
        Ok(())
    }

    fn warn_if_ignored(&mut self, known: &KnownDecision, status: &CognigyDecisionStatus) {
        let was_ignored = known.status.as_ref().is_some_and(|written| written.state == DecisionState::Ignored);
        if status.state != DecisionState::Ignored || was_ignored {
            return;
        }
        let at = self.context.now().wall;
        let note = format!("the decision {} by {} {}", known.record.name, known.record.by, status.message);
        let events = Effects::warning(Reason::DecisionIgnored, note).events;
        // Nothing that is not recorded yet caused it.
        self.execution.publisher.add(events.into_iter().map(|event| TimedEvent { at, event }));
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
