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
    /// This process has reported its state while the admission policy was in force. Before that, a decision that is ignored may
    /// be ignored only for want of proof.
    is_reported: bool,
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
            reason: spec.reason.clone(),
            made_at: metadata.creation_timestamp.as_ref()?.0,
            expires_at: spec.expires_at,
        };
        let about =
            ResourceName { namespace: metadata.namespace.as_deref()?.into(), name: spec.deployment.as_str().into() };
        Some((about, Self { record: Arc::new(record), status: object.status.clone(), is_reported: false }))
    }

    /// Whether the operator has dealt with it for good.
    pub(super) fn is_over(&self) -> bool {
        self.status.as_ref().is_some_and(|status| match status.state {
            DecisionState::Acted | DecisionState::Expired => true,
            DecisionState::Ignored | DecisionState::Waiting => false,
        })
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
                let before =
                    self.known(&name).filter(|before| before.is_reported).map(|before| before.record.uid.clone());
                self.remove(&name);
                if let Err(problem) = &watched.content {
                    let ResourceName { namespace, name } = &name;
                    tracing::error!(%namespace, decision = %name, %problem, "a decision cannot be read and does not count");
                }
                let (about, mut known) = KnownDecision::of(watched)?;
                known.is_reported = before.is_some_and(|uid| uid == known.record.uid);
                let key = (known.record.made_at, known.record.uid.clone());
                self.by_name.insert(name, (about.clone(), key.clone()));
                self.about.entry(about.clone()).or_default().insert(key, known);
                Some(about)
            }
            Event::Delete(watched) => self.remove(&name_of(watched)),
            Event::Init | Event::InitDone => None,
        }
    }

    fn known(&self, name: &ResourceName) -> Option<&KnownDecision> {
        let (about, key) = self.by_name.get(name)?;
        self.about.get(about)?.get(key)
    }

    fn remove(&mut self, name: &ResourceName) -> Option<ResourceName> {
        let (about, key) = self.by_name.remove(name)?;
        if let Some(known) = self.about.get_mut(&about) {
            known.remove(&key);
            if known.is_empty() {
                self.about.remove(&about);
            }
        }
        Some(about)
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
            None | Some(DecisionState::Waiting) => true,
            Some(DecisionState::Ignored) => !known.is_reported,
            Some(DecisionState::Acted | DecisionState::Expired) => false,
        };
        known.values().rev().take(MAX_COUNTED).any(is_open)
    }

    /// Whether somebody has decided to roll back, and the operator has not dealt with it.
    pub(super) fn asks_for_rollback(&self, resource: &ResourceName) -> bool {
        let Some(known) = self.about.get(resource) else { return false };
        let is_new =
            |known: &KnownDecision| known.status.as_ref().is_none_or(|status| status.state == DecisionState::Waiting);
        known.values().any(|known| known.record.verb == Verb::Rollback && is_new(known))
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
