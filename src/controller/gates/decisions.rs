//! The decisions that the watch shows, by the resource that they are about.

use super::super::resources::name_of;
use super::WatchedObject;
use api::decision::{CognigyDecisionStatus, DecisionState, Verb};
use api::{CognigyDecision, DecisionUid};
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use rollout::admission::ResourceName;
use rollout::gates::DecisionRecord;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many decisions about one resource count: the newest ones. Nobody needs more, and each is looked at in each reconcile.
const MAX_COUNTED: usize = 32;

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
            reason: spec.reason.replace(char::is_control, " "),
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

    /// Whether it ends or undoes a rollout, and the operator has not dealt with it yet.
    fn is_urgent(&self) -> bool {
        let is_new = self.status.as_ref().is_none_or(|status| status.state == DecisionState::Waiting);
        matches!(self.record.verb, Verb::Rollback | Verb::Reject) && is_new
    }

    /// Whether the operator has still to find out if the name in it is proven.
    pub(super) fn is_unchecked(&self) -> bool {
        self.verified.is_none() && !self.is_over()
    }
}

/// The order of the decisions about one resource: the oldest first.
type Key = (Timestamp, DecisionUid);

/// All decisions.
#[derive(Debug, Default)]
pub(super) struct DecisionIndex {
    about: HashMap<ResourceName, BTreeMap<Key, KnownDecision>>,
    /// The resource and the key of each decision, by its name.
    by_name: HashMap<ResourceName, (ResourceName, Key)>,
}

impl DecisionIndex {
    /// Handles a change. Returns the resource that the decision is about.
    pub(super) fn observe(&mut self, event: &Event<WatchedDecision>) -> Option<ResourceName> {
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                let name = name_of(watched);
                let before = self.remove(&name);
                if let Err(problem) = &watched.content {
                    let ResourceName { namespace, name } = &name;
                    tracing::error!(%namespace, decision = %name, %problem, "a decision cannot be read and does not count");
                }
                let (about, mut known) = KnownDecision::of(watched)?;
                // The result of the check may not be written yet.
                let before =
                    before.filter(|(_, before)| before.record.uid == known.record.uid).map(|(_, before)| before);
                known.verified = known.verified.or_else(|| before.as_ref().and_then(|before| before.verified));
                known.is_reported = before.is_some_and(|before| before.is_reported);
                let key = (known.record.made_at, known.record.uid.clone());
                self.by_name.insert(name, (about.clone(), key.clone()));
                self.about.entry(about.clone()).or_default().insert(key, known);
                Some(about)
            }
            Event::Delete(watched) => self.remove(&name_of(watched)).map(|(about, _)| about),
            Event::Init | Event::InitDone => None,
        }
    }

    fn remove(&mut self, name: &ResourceName) -> Option<(ResourceName, KnownDecision)> {
        let (about, key) = self.by_name.remove(name)?;
        let known = self.about.get_mut(&about)?;
        let removed = known.remove(&key)?;
        if known.is_empty() {
            self.about.remove(&about);
        }
        Some((about, removed))
    }

    /// The decisions about a resource that count, the oldest first.
    pub(super) fn about(&self, resource: &ResourceName) -> Vec<KnownDecision> {
        let Some(known) = self.about.get(resource) else { return Vec::new() };
        known.values().skip(known.len().saturating_sub(MAX_COUNTED)).cloned().collect()
    }

    /// Whether one of the decisions may still act.
    pub(super) fn has_open(&self, resource: &ResourceName) -> bool {
        let Some(known) = self.about.get(resource) else { return false };
        let is_open = |known: &KnownDecision| match known.status.as_ref().map(|status| status.state) {
            _ if known.is_over() => false,
            None | Some(DecisionState::Waiting) => true,
            Some(DecisionState::Ignored) => !known.is_reported,
            Some(DecisionState::Acted | DecisionState::Expired) => false,
        };
        known.values().rev().take(MAX_COUNTED).any(is_open)
    }

    /// Whether there is a new decision that ends or undoes a rollout.
    pub(super) fn has_urgent(&self, resource: &ResourceName) -> bool {
        let Some(known) = self.about.get(resource) else { return false };
        known.values().rev().take(MAX_COUNTED).any(KnownDecision::is_urgent)
    }

    /// Notes whether the names in these decisions are proven.
    pub(super) fn checked(&mut self, resource: &ResourceName, decisions: &[Arc<DecisionRecord>], verified: bool) {
        let Some(known) = self.about.get_mut(resource) else { return };
        for record in decisions {
            if let Some(known) = known.get_mut(&(record.made_at, record.uid.clone())) {
                known.verified = Some(verified);
            }
        }
    }

    /// Notes that the states of these decisions are reported, with proof.
    pub(super) fn reported(&mut self, resource: &ResourceName, records: &[Arc<DecisionRecord>]) {
        let Some(known) = self.about.get_mut(resource) else { return };
        for record in records {
            if let Some(known) = known.get_mut(&(record.made_at, record.uid.clone())) {
                known.is_reported = true;
            }
        }
    }

    /// Notes what the operator has just written about a decision.
    pub(super) fn wrote(&mut self, resource: &ResourceName, record: &DecisionRecord, status: CognigyDecisionStatus) {
        let key = (record.made_at, record.uid.clone());
        if let Some(known) = self.about.get_mut(resource).and_then(|known| known.get_mut(&key)) {
            known.status = Some(status);
        }
    }

    /// The decisions about each resource, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&ResourceName, &BTreeMap<Key, KnownDecision>)> {
        self.about.iter()
    }
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
                "reason": "one\ntwo"
            },
            "status": status,
        }))
        .unwrap()
    }

    fn bot() -> ResourceName {
        ResourceName { namespace: "bots".into(), name: "bot".into() }
    }

    fn only(index: &DecisionIndex) -> KnownDecision {
        let mut known = index.about(&bot());
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
        assert!(index.about(&bot()).is_empty());
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
    fn a_new_rollback_or_rejection_is_urgent_and_a_reason_is_one_line() {
        for (verb, is_urgent) in
            [("Rollback", true), ("Reject", true), ("Approve", false), ("Retry", false), ("Override", false)]
        {
            let mut index = DecisionIndex::default();
            index.observe(&Event::Apply(decision("one", "1", verb, &json!(null))));
            assert_eq!(index.has_urgent(&bot()), is_urgent, "{verb}");
            assert_eq!(only(&index).record.reason, "one two");
            let acted = json!({"state": "Acted", "verified": true, "at": "2026-01-01T00:00:00Z"});
            index.observe(&Event::Apply(decision("one", "1", verb, &acted)));
            assert!(!index.has_urgent(&bot()) && !index.has_open(&bot()));
        }
    }
}
