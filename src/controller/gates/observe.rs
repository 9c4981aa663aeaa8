//! The part of a reconcile that observes the gates of its resource.

use super::super::error::Error;
use super::super::reconcile::ReconcileRun;
use super::super::resources::name_of;
use super::decisions::KnownDecision;
use api::status::{Attempt, ClosedGate, CognigyDeploymentStatus, Step};
use api::{CognigyDeployment, DecisionUid, Reason};
use rollout::Facts;
use rollout::apply::submit::used_decisions;
use rollout::gates::{Decisions, GateFacts, Proof};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl ReconcileRun<'_> {
    /// Observes what takes a request to the API server: whether the names in decisions are proven, and the deployments in
    /// `spec.requires`.
    pub(in crate::controller) async fn observe_gates(&mut self) -> Result<(), Error> {
        self.check_policy().await;
        self.observed.upstream = match self.is_at_gates() && !self.observed.object.spec.requires.is_empty() {
            true => self.closed_upstream().await?,
            false => None,
        };
        Ok(())
    }

    /// Stops waiting for other deployments, unless the attempt is at its gates.
    pub(in crate::controller) fn leave_gates(&self) {
        if !self.is_at_gates() || self.observed.object.spec.requires.is_empty() {
            self.context.gates.forget_waiting(&name_of(self.observed.object.as_ref()));
        }
    }

    /// Checks the admission policy before anything is decided, if a decision can matter now.
    async fn check_policy(&mut self) {
        let object = &self.observed.object;
        let environment = &object.spec.environment_id;
        let known = self.context.gates.decisions.lock().about(&name_of(object.as_ref()), environment);
        if can_matter(self.status.attempt.as_ref(), &known) {
            self.check_decisions().await;
        }
    }

    /// Checks the decisions that did not matter at the beginning of the reconcile: a decision that was created without the policy must
    /// not become proven later.
    pub(super) async fn check_late_decisions(&mut self) {
        let has_proven = self.check_decisions().await;
        if has_proven && self.is_at_gates() {
            let resource = name_of(self.observed.object.as_ref());
            self.context.resources.requeue(vec![resource]);
        }
    }

    /// Checks the admission policy, if there are decisions that it must prove. Returns whether it has proven a new one.
    async fn check_decisions(&mut self) -> bool {
        let gates = &self.context.gates;
        let object = &self.observed.object;
        let resource = name_of(object.as_ref());
        let mut known = self.known_decisions(&resource);
        known.retain(KnownDecision::needs_proof);
        if known.is_empty() {
            return false;
        }
        let new = known.into_iter().filter(KnownDecision::is_unchecked).map(|known| known.record).collect::<Vec<_>>();
        let uptime = self.context.now().uptime;
        let mut has_proven = false;
        if gates.policy.is_due(&resource.namespace, !new.is_empty(), uptime) {
            let client = &self.context.cluster.client;
            let state = gates.policy.check(client, &resource.namespace, &object.spec, uptime).await;
            if let Some(verified) = state.is_verified() {
                gates.decisions.lock().checked(&resource, &new, verified);
                has_proven = verified && !new.is_empty();
            }
        }
        self.record_unproven().await;
        has_proven
    }

    /// When to check the admission policy again, if the last check of a decision failed, or if the attempt waits for the policy.
    pub(in crate::controller) fn policy_checked_again(&self) -> Option<Duration> {
        let object = &self.observed.object;
        let resource = name_of(object.as_ref());
        let gates = &self.context.gates;
        let known = gates.decisions.lock().about(&resource, &object.spec.environment_id);
        let is_missing = || matches!(gates.policy.last(&resource.namespace), Some(Proof::Missing(_)));
        let waits = || self.is_at_gates() && known.iter().any(KnownDecision::needs_proof) && is_missing();
        (known.iter().any(KnownDecision::is_unchecked) || waits())
            .then(|| gates.policy.checked_again_in(&resource.namespace))
    }

    /// Whether the attempt has passed its checks and is not submitted: only then gates are evaluated.
    fn is_at_gates(&self) -> bool {
        self.status.attempt.as_ref().is_some_and(is_at_gates)
    }

    /// Whether the gates still let the intent be recorded on top of a newer version of the resource: they are open, for the same
    /// decisions, and nobody has stopped the attempt. A conflict may have taken long.
    pub(in crate::controller) fn gates_still_allow_intent(&self, newer: &CognigyDeployment) -> bool {
        let facts = Facts { gates: self.gate_facts_of(newer, true), ..self.facts(newer, self.context.now()) };
        let recorded = self.observed.object.status.clone().unwrap_or_default();
        let mut before = CognigyDeploymentStatus {
            acted_decisions: recorded.acted_decisions,
            decisions_ignored_until: recorded.decisions_ignored_until,
            ..self.status.clone()
        };
        let Some(attempt) = &mut before.attempt else { return false };
        (attempt.submission, attempt.step) = (None, Step::Tracing);
        let gates = attempt.gates.as_ref();
        let counted = gates.into_iter().flat_map(|gates| gates.approvals.iter().chain(&gates.overridden_by));
        let ours: BTreeSet<DecisionUid> = counted.map(|decision| decision.uid.clone()).collect();
        used_decisions(&before, &facts)
            .is_some_and(|used| used.iter().map(|record| record.uid.clone()).collect::<BTreeSet<_>>() == ours)
    }

    /// What is known about the gates now.
    pub(in crate::controller) fn gate_facts(&self) -> GateFacts {
        self.gate_facts_of(&self.observed.object, self.is_at_gates())
    }

    fn gate_facts_of(&self, object: &CognigyDeployment, is_at_gates: bool) -> GateFacts {
        let gates = &self.context.gates;
        if gates.is_listing.load(Ordering::Relaxed) {
            return GateFacts { window: is_at_gates.then(not_listed), ..GateFacts::default() };
        }
        let resource = name_of(object);
        let now = self.context.now().wall;
        // Without a result of the check, decisions are not looked at. The check is made at the beginning of a reconcile, and each
        // new decision triggers one.
        let decisions = match gates.policy.last(&resource.namespace) {
            Some(proof) => {
                let mut known = gates.decisions.lock().about(&resource, &object.spec.environment_id);
                // A decision that came before the policy, or after the last check, is not proven.
                known.retain(|known| proof != Proof::Given || known.verified == Some(true));
                Arc::new(Decisions { records: known.into_iter().map(|known| known.record).collect(), proof })
            }
            None => Arc::default(),
        };
        let window = is_at_gates.then(|| gates.windows.lock().closed(object, &gates.operator_namespace, now)).flatten();
        GateFacts { decisions, window, upstream: self.observed.upstream.clone() }
    }
}

/// The gate until the first lists are complete.
fn not_listed() -> ClosedGate {
    let message = "the operator has not read the change windows and decisions yet; if this lasts, its log says why: it may lack the                    right to list them, or their CRDs are not installed";
    ClosedGate { reason: Reason::WindowClosed, message: message.to_owned(), opens_at: None }
}

/// Whether an attempt has passed its checks and is not submitted.
#[must_use]
pub(in crate::controller) fn is_at_gates(attempt: &Attempt) -> bool {
    attempt.submission.is_none() && attempt.verdict.is_none() && attempt.checks.passed_at().is_some()
}

/// Whether one of the decisions can matter to the attempt now. What is in flight does not wait for the check of a decision that is
/// about the next attempt.
pub(super) fn can_matter(attempt: Option<&Attempt>, known: &[KnownDecision]) -> bool {
    !attempt.is_some_and(Attempt::is_in_flight) || known.iter().any(KnownDecision::concerns_in_flight)
}
