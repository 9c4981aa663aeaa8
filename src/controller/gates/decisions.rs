//! The decisions that the watch shows, by the resource that they are about.

use super::super::resources::name_of;
use super::WatchedObject;
use api::decision::{CognigyDecisionStatus, DecisionState, Verb};
use api::{CognigyDecision, CognigyDeployment, DecisionUid, EnvironmentId};
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use platform::sanitize::single_line;
use rollout::admission::ResourceName;
use rollout::gates::DecisionRecord;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many decisions about one resource and its environment count: the newest ones. Nobody needs more, and each is looked at in
/// each reconcile.
const MAX_COUNTED: usize = 32;
/// How many decisions about other environments get a state in one reconcile.
const MAX_ELSEWHERE: usize = 8;
/// How many decisions that newer ones have crowded out get a state in one reconcile.
const MAX_CROWDED_OUT: usize = 8;
/// How many environments are looked at for an urgent decision about a resource at rest.
const MAX_ENVIRONMENTS: usize = 32;

/// How many decisions that cannot be read are kept, to write their status.
const MAX_UNREADABLE: usize = 256;

/// A decision as the watch shows it.
pub type WatchedDecision = WatchedObject<CognigyDecision>;

/// A decision and what the operator has written about it.
#[derive(Clone, Debug)]
pub(super) struct KnownDecision {
    pub(super) record: Arc<DecisionRecord>,
    pub(super) status: Option<CognigyDecisionStatus>,
    /// Whether the admission policy was in force when the operator first saw the decision. `None` if this is not known yet.
    pub(super) verified: Option<bool>,
    /// This process has reported its state while the names in decisions were proven. Before that, a decision that is ignored may be
    /// ignored only for want of proof.
    is_reported: bool,
    /// It has interrupted the reconcile of its resource. Each decision does so once.
    has_interrupted: bool,
    /// The API server has made its name.
    pub(super) has_generated_name: bool,
}

impl KnownDecision {
    fn of(watched: &WatchedDecision) -> Option<(ResourceName, Self)> {
        let object = watched.content.as_ref().ok()?;
        let metadata = &watched.metadata;
        let spec = &object.spec;
        let record = DecisionRecord {
            uid: DecisionUid::new(metadata.uid.as_deref()?),
            name: metadata.name.clone()?,
            verb: spec.verb,
            plan_id: spec.plan_id.clone(),
            environment_id: spec.environment_id.clone(),
            by: spec.by.clone(),
            // It becomes a part of messages, events and the log.
            reason: single_line(&spec.reason),
            made_at: metadata.creation_timestamp.as_ref()?.0,
            expires_at: spec.expires_at,
        };
        let about =
            ResourceName { namespace: metadata.namespace.as_deref()?.into(), name: spec.deployment.as_str().into() };
        let verified = object.status.as_ref().and_then(|status| status.verified);
        let known = Self {
            record: Arc::new(record),
            status: object.status.clone(),
            verified,
            is_reported: false,
            has_interrupted: false,
            has_generated_name: object.metadata.generate_name.is_some(),
        };
        Some((about, known))
    }

    /// Whether the operator has dealt with it for good.
    pub(super) fn is_over(&self) -> bool {
        self.status.as_ref().is_some_and(|status| match status.state {
            DecisionState::Acted | DecisionState::Expired => true,
            DecisionState::Ignored | DecisionState::Waiting => status.verified == Some(false),
        })
    }

    /// Whether it matters to its resource if the admission policy is in force: for a decision that is not over, and for the message
    /// about one that came before the policy.
    pub(super) fn needs_proof(&self) -> bool {
        !self.is_over() || self.verified == Some(false)
    }

    /// Whether it may still act.
    fn is_open(&self) -> bool {
        match self.status.as_ref().map(|status| status.state) {
            _ if self.is_over() => false,
            None | Some(DecisionState::Waiting) => true,
            Some(DecisionState::Ignored) => !self.is_reported,
            Some(DecisionState::Acted | DecisionState::Expired) => false,
        }
    }

    /// Whether it ends or undoes a rollout of the resource, and the operator has not dealt with it yet. Its environment and its
    /// plan must be those of the resource, if they are known.
    fn is_urgent(&self, object: Option<&CognigyDeployment>) -> bool {
        let is_new = self.status.as_ref().is_none_or(|status| status.state == DecisionState::Waiting);
        let plan_id = object
            .and_then(|object| object.status.as_ref()?.attempt.as_ref())
            .and_then(|attempt| attempt.plan_id.as_ref());
        matches!(self.record.verb, Verb::Rollback | Verb::Reject)
            && is_new
            && self.verified != Some(false)
            && object.is_none_or(|object| object.spec.environment_id == self.record.environment_id)
            && plan_id.is_none_or(|plan_id| *plan_id == self.record.plan_id)
    }

    /// Whether it has acted, has expired or is ignored.
    pub(super) fn is_dealt_with(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.state != DecisionState::Waiting)
    }

    /// Whether it may matter to an attempt that is in flight: it undoes or ends it, or starts the next one.
    pub(super) fn concerns_in_flight(&self) -> bool {
        matches!(self.record.verb, Verb::Rollback | Verb::Retry | Verb::Reject) && !self.is_over()
    }

    /// Whether the check found the name in it unproven, and its status does not say so yet.
    pub(super) fn is_unproven_unwritten(&self) -> bool {
        self.verified == Some(false) && self.status.as_ref().is_none_or(|status| status.verified != Some(false))
    }

    /// Whether the operator has still to find out if the name in it is proven.
    pub(super) fn is_unchecked(&self) -> bool {
        self.verified.is_none() && !self.is_over()
    }
}

/// The order of the decisions about one resource and environment: the oldest first.
type Key = (Timestamp, DecisionUid);

/// The decisions about one resource and environment.
pub(super) type Known = BTreeMap<Key, KnownDecision>;

/// All decisions. They are kept and counted by resource and environment, because the right to decide is granted for an
/// environment: decisions about another environment must not push those out that count.
#[derive(Debug, Default)]
pub(super) struct DecisionIndex {
    about: HashMap<ResourceName, BTreeMap<EnvironmentId, Known>>,
    /// The resource, the environment and the key of each decision, by its name.
    by_name: HashMap<ResourceName, (ResourceName, EnvironmentId, Key)>,
    /// The decisions that cannot be read, by their name.
    unreadable: HashMap<ResourceName, UnreadableDecision>,
}

/// A decision that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct UnreadableDecision {
    pub(super) uid: String,
    pub(super) problem: Arc<str>,
    /// Its status says so.
    is_reported: bool,
}

impl DecisionIndex {
    /// Handles a change. Returns the resource that the decision is about.
    pub(super) fn observe(&mut self, event: &Event<WatchedDecision>) -> Option<ResourceName> {
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                let name = name_of(watched);
                let before = self.remove(&name);
                let unreadable = self.unreadable.remove(&name);
                if let (Err(problem), Some(uid)) = (&watched.content, &watched.metadata.uid) {
                    self.note_unreadable(&name, uid, problem, unreadable);
                }
                let (about, mut known) = KnownDecision::of(watched)?;
                // The result of the check may not be written yet.
                let before =
                    before.filter(|(_, before)| before.record.uid == known.record.uid).map(|(_, before)| before);
                known.verified = known.verified.or_else(|| before.as_ref().and_then(|before| before.verified));
                known.is_reported = before.as_ref().is_some_and(|before| before.is_reported);
                known.has_interrupted = before.is_some_and(|before| before.has_interrupted);
                let environment = known.record.environment_id.clone();
                let key = (known.record.made_at, known.record.uid.clone());
                self.by_name.insert(name, (about.clone(), environment.clone(), key.clone()));
                let environments = self.about.entry(about.clone()).or_default();
                environments.entry(environment).or_default().insert(key, known);
                Some(about)
            }
            Event::Delete(watched) => {
                let name = name_of(watched);
                self.unreadable.remove(&name);
                self.remove(&name).map(|(about, _)| about)
            }
            Event::Init | Event::InitDone => None,
        }
    }

    fn note_unreadable(
        &mut self,
        decision: &ResourceName,
        uid: &str,
        problem: &Arc<str>,
        before: Option<UnreadableDecision>,
    ) {
        let is_reported = before.is_some_and(|before| before.is_reported && before.uid == uid);
        if !is_reported {
            let ResourceName { namespace, name } = decision;
            tracing::error!(%namespace, decision = %name, %problem, "a decision cannot be read and does not count; create another one");
        }
        if self.unreadable.len() < MAX_UNREADABLE {
            let unreadable = UnreadableDecision { uid: uid.to_owned(), problem: Arc::clone(problem), is_reported };
            self.unreadable.insert(decision.clone(), unreadable);
        }
    }

    /// The decisions that cannot be read and whose status does not say so yet.
    pub(super) fn unreadable(&self) -> Vec<(ResourceName, UnreadableDecision)> {
        let unreported = self.unreadable.iter().filter(|(_, unreadable)| !unreadable.is_reported);
        unreported.map(|(name, unreadable)| (name.clone(), unreadable.clone())).collect()
    }

    /// Notes that the status of a decision that cannot be read says so.
    pub(super) fn reported_unreadable(&mut self, decision: &ResourceName) {
        if let Some(unreadable) = self.unreadable.get_mut(decision) {
            unreadable.is_reported = true;
        }
    }

    fn remove(&mut self, name: &ResourceName) -> Option<(ResourceName, KnownDecision)> {
        let (about, environment, key) = self.by_name.remove(name)?;
        let environments = self.about.get_mut(&about)?;
        let known = environments.get_mut(&environment)?;
        let removed = known.remove(&key)?;
        if known.is_empty() {
            environments.remove(&environment);
        }
        if environments.is_empty() {
            self.about.remove(&about);
        }
        Some((about, removed))
    }

    /// The decisions about a resource and its environment that count, the oldest first.
    pub(super) fn about(&self, resource: &ResourceName, environment: &EnvironmentId) -> Vec<KnownDecision> {
        let known = self.about.get(resource).and_then(|environments| environments.get(environment));
        let mut counted: Vec<KnownDecision> = known.into_iter().flat_map(newest).cloned().collect();
        counted.reverse();
        counted
    }

    /// Some decisions about the resource that name another environment and have no state yet. They never act.
    pub(super) fn elsewhere(&self, resource: &ResourceName, environment: &EnvironmentId) -> Vec<KnownDecision> {
        let others = self.environments(resource).filter(|(other, _)| *other != environment);
        let open = others.flat_map(|(_, known)| newest(known)).filter(|known| known.is_open());
        open.take(MAX_ELSEWHERE).cloned().collect()
    }

    /// Some decisions about the resource that do not count, because there are too many newer ones, and whose state does not say so
    /// yet. Without a state they would never be deleted.
    pub(super) fn crowded_out(&self, resource: &ResourceName) -> Vec<KnownDecision> {
        self.environments(resource).flat_map(|(_, known)| crowded_out(known)).take(MAX_CROWDED_OUT).cloned().collect()
    }

    /// Whether one of the decisions may still act, or lacks its state. The environment of a resource at rest is not known.
    pub(super) fn has_open(&self, resource: &ResourceName) -> bool {
        self.environments(resource)
            .any(|(_, known)| newest(known).any(KnownDecision::is_open) || crowded_out(known).next().is_some())
    }

    /// Whether there is a new decision that ends or undoes a rollout. `object` is the resource, if it is known.
    pub(super) fn has_urgent(&self, resource: &ResourceName, object: Option<&CognigyDeployment>) -> bool {
        let Some(environments) = self.about.get(resource) else { return false };
        let is_urgent = |known: &Known| newest(known).any(|known| known.is_urgent(object));
        match object {
            Some(object) => environments.get(&object.spec.environment_id).is_some_and(is_urgent),
            // The queue asks often. A decision that this misses is only handled later.
            None => environments.values().take(MAX_ENVIRONMENTS).any(is_urgent),
        }
    }

    /// Whether the decision with this name interrupts the running reconcile of its resource. It does so once.
    pub(super) fn interrupts(&mut self, name: &ResourceName, object: &CognigyDeployment) -> bool {
        let Some((about, environment, key)) = self.by_name.get(name) else { return false };
        let environments = self.about.get_mut(about);
        let known = environments.and_then(|all| all.get_mut(environment)).and_then(|known| known.get_mut(key));
        let Some(known) = known.filter(|known| !known.has_interrupted && known.is_urgent(Some(object))) else {
            return false;
        };
        known.has_interrupted = true;
        true
    }

    fn environments(&self, resource: &ResourceName) -> impl Iterator<Item = (&EnvironmentId, &Known)> {
        self.about.get(resource).into_iter().flatten()
    }

    fn get_mut(&mut self, resource: &ResourceName, record: &DecisionRecord) -> Option<&mut KnownDecision> {
        let known = self.about.get_mut(resource)?.get_mut(&record.environment_id)?;
        known.get_mut(&(record.made_at, record.uid.clone()))
    }

    /// Notes whether the names in these decisions are proven.
    pub(super) fn checked(&mut self, resource: &ResourceName, decisions: &[Arc<DecisionRecord>], verified: bool) {
        for record in decisions {
            if let Some(known) = self.get_mut(resource, record) {
                known.verified = Some(verified);
            }
        }
    }

    /// Notes that the states of these decisions are reported, with proof.
    pub(super) fn reported(&mut self, resource: &ResourceName, records: &[Arc<DecisionRecord>]) {
        for record in records {
            if let Some(known) = self.get_mut(resource, record) {
                known.is_reported = true;
            }
        }
    }

    /// Notes what the operator has just written about a decision.
    pub(super) fn wrote(&mut self, resource: &ResourceName, record: &DecisionRecord, status: CognigyDecisionStatus) {
        if let Some(known) = self.get_mut(resource, record) {
            known.status = Some(status);
        }
    }

    /// The decisions about each resource and environment, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&ResourceName, &Known)> {
        self.about.iter().flat_map(|(resource, all)| all.values().map(move |known| (resource, known)))
    }
}

/// The decisions that count, the newest first.
fn newest(known: &Known) -> impl Iterator<Item = &KnownDecision> {
    known.values().rev().take(MAX_COUNTED)
}

/// The decisions that do not count and have no final state, the oldest first.
fn crowded_out(known: &Known) -> impl Iterator<Item = &KnownDecision> {
    known.values().take(known.len().saturating_sub(MAX_COUNTED)).filter(|known| !known.is_dealt_with())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decision(name: &str, uid: &str, verb: &str, status: &serde_json::Value) -> WatchedDecision {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "bots", "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "deployment": "bot", "environmentId": "env", "planId": "plan-0000000000000000", "verb": verb, "by": "ada",
                "reason": "one\n\u{202e}two"
            },
            "status": status,
        }))
        .unwrap()
    }

    fn bot() -> ResourceName {
        ResourceName { namespace: "bots".into(), name: "bot".into() }
    }

    fn env() -> EnvironmentId {
        EnvironmentId::new("env")
    }

    fn only(index: &DecisionIndex) -> KnownDecision {
        let mut known = index.about(&bot(), &env());
        assert_eq!(known.len(), 1);
        known.remove(0)
    }

    #[test]
    fn the_result_of_a_check_is_kept_until_its_status_is_seen_but_not_for_another_decision_of_that_name() {
        let mut index = DecisionIndex::default();
        let apply = |uid: &str| Event::Apply(decision("one", uid, "Approve", &serde_json::Value::Null));
        assert_eq!(index.observe(&apply("1")), Some(bot()));
        assert!(only(&index).is_unchecked());
        index.checked(&bot(), &[only(&index).record], false);
        index.observe(&apply("1"));
        assert_eq!(only(&index).verified, Some(false));
        index.observe(&apply("2"));
        assert_eq!(only(&index).verified, None);
        assert_eq!(index.observe(&Event::Delete(decision("one", "2", "Approve", &json!(null)))), Some(bot()));
        assert!(index.about(&bot(), &env()).is_empty());
    }

    #[test]
    fn an_unproven_decision_is_over_and_a_failed_check_is_not() {
        let status =
            |verified: Option<bool>| json!({"state": "Ignored", "verified": verified, "at": "2026-01-01T00:00:00Z"});
        for (verified, is_over, is_open) in [(Some(true), false, true), (Some(false), true, false), (None, false, true)]
        {
            let mut index = DecisionIndex::default();
            index.observe(&Event::Apply(decision("one", "1", "Approve", &status(verified))));
            assert_eq!((only(&index).is_over(), index.has_open(&bot())), (is_over, is_open), "{verified:?}");
            assert!(only(&index).needs_proof());
        }
    }

    #[test]
    fn a_decision_that_newer_ones_crowd_out_is_to_get_a_state_and_does_not_count() {
        let mut index = DecisionIndex::default();
        let expired = json!({"state": "Expired", "verified": true, "at": "2026-01-01T00:00:00Z"});
        for number in 0..=MAX_COUNTED {
            let status = if number == 0 { json!(null) } else { expired.clone() };
            let (name, uid) = (format!("decision-{number:02}"), format!("{number:02}"));
            index.observe(&Event::Apply(decision(&name, &uid, "Approve", &status)));
        }
        assert!(index.about(&bot(), &env()).iter().all(|known| known.record.name != "decision-00"));
        let crowded_out = index.crowded_out(&bot());
        assert_eq!(crowded_out.iter().map(|known| known.record.name.as_str()).collect::<Vec<_>>(), ["decision-00"]);
        assert!(index.has_open(&bot()), "a reconcile must write the state");
        let ignored = json!({"state": "Ignored", "at": "2026-01-01T00:00:00Z"});
        index.observe(&Event::Apply(decision("decision-00", "00", "Approve", &ignored)));
        assert!(index.crowded_out(&bot()).is_empty() && !index.has_open(&bot()));
    }

    #[test]
    fn a_new_rollback_or_rejection_is_urgent_and_a_reason_is_one_line() {
        for (verb, is_urgent) in
            [("Rollback", true), ("Reject", true), ("Approve", false), ("Retry", false), ("Override", false)]
        {
            let mut index = DecisionIndex::default();
            index.observe(&Event::Apply(decision("one", "1", verb, &json!(null))));
            assert_eq!(index.has_urgent(&bot(), None), is_urgent, "{verb}");
            assert_eq!(only(&index).record.reason, "one two");
            let acted = json!({"state": "Acted", "verified": true, "at": "2026-01-01T00:00:00Z"});
            index.observe(&Event::Apply(decision("one", "1", verb, &acted)));
            assert!(!index.has_urgent(&bot(), None) && !index.has_open(&bot()));
        }
    }
}
