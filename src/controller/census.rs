//! How all resources stand, as the watches show them: for gauges that stay true when resources go, also unseen.
//!
//! A few dozen bytes for each resource; the resources themselves are kept by whoever needs them.

use super::watched::Watched;
use api::condition::{ConditionSet, ConditionType};
use api::status::{DeliveryKind, Step};
use api::{CognigyDeployment, Reason};
use jiff::Timestamp;
use kube::Resource;
use kube::runtime::watcher::Event;
use rollout::time::between;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How all resources stand, as the watches show them.
#[derive(Debug, Default)]
pub struct Census {
    watches: Mutex<Vec<Weak<Mutex<Shown>>>>,
}

/// One watch of resources, in one namespace or all; what it has shown is forgotten with it.
#[derive(Debug, Default)]
pub struct Watch {
    shown: Arc<Mutex<Shown>>,
}

/// What one watch has shown, by uid.
#[derive(Debug, Default)]
struct Shown {
    present: HashMap<Box<str>, Entry>,
    /// A list that is not complete yet. When it is, what it does not name is gone.
    listed: Option<HashMap<Box<str>, Entry>>,
}

/// What is counted of one resource.
#[derive(Debug)]
struct Entry {
    stands: Stands,
    step: Option<Step>,
    waiting: Box<[(DeliveryKind, Timestamp)]>,
}

/// How a resource stands, by the conditions that tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stands {
    /// The environment runs what the spec asks for.
    Ready,
    /// The operator is at work, or has not seen the resource yet.
    Reconciling,
    /// A person is needed, for this reason.
    Stalled(Reason),
    /// Held back by the spec.
    Suspended,
    /// This version of the operator cannot read it, and leaves it alone.
    Unreadable,
}

/// How all resources stand at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// How many resources stand so.
    pub resources: BTreeMap<Stands, usize>,
    /// How many attempts are at that step, by their records; those that are settled are not among them.
    pub in_progress: BTreeMap<Step, usize>,
    /// What waits for each receiver.
    pub outbox: BTreeMap<DeliveryKind, Waiting>,
}

/// Messages that wait for one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub messages: usize,
    /// How long the oldest has waited.
    pub oldest: Duration,
}

impl Census {
    /// Counts what another watch shows from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let watch = Watch::default();
        let mut watches = lock(&self.watches);
        watches.retain(|shown| shown.strong_count() > 0);
        watches.push(Arc::downgrade(&watch.shown));
        watch
    }

    /// How all resources stand.
    #[must_use]
    pub fn standings(&self, now: Timestamp) -> Standings {
        let mut standings = Standings::default();
        let watches: Vec<_> = lock(&self.watches).iter().filter_map(Weak::upgrade).collect();
        for shown in watches {
            lock(&shown).present.values().for_each(|entry| standings.add(entry, now));
        }
        standings
    }
}

impl Watch {
    /// Takes up what the watch shows, while it is whole.
    pub fn show(&self, event: &Event<Watched>) {
        let mut shown = lock(&self.shown);
        match event {
            Event::Init => shown.listed = Some(HashMap::new()),
            Event::InitApply(watched) => {
                if let (Some(listed), Some((uid, entry))) = (&mut shown.listed, entry(watched)) {
                    listed.insert(uid, entry);
                }
            }
            Event::InitDone => {
                if let Some(listed) = shown.listed.take() {
                    shown.present = listed;
                }
            }
            Event::Apply(watched) => {
                if let Some((uid, entry)) = entry(watched) {
                    shown.present.insert(uid, entry);
                }
            }
            Event::Delete(watched) => {
                if let Some(uid) = watched.meta().uid.as_deref() {
                    shown.present.remove(uid);
                }
            }
        }
    }
}

/// What is at rest is counted before it is pruned.
fn entry(watched: &Watched) -> Option<(Box<str>, Entry)> {
    let entry = match watched {
        Watched::Whole(object) => Entry::of(object),
        Watched::AtRest(_) => return None,
        Watched::Unreadable(_) => Entry { stands: Stands::Unreadable, step: None, waiting: Box::default() },
    };
    Some((watched.meta().uid.as_deref()?.into(), entry))
}

impl Entry {
    fn of(object: &CognigyDeployment) -> Self {
        let status = object.status.as_ref();
        let attempt = status.and_then(|status| status.attempt.as_ref());
        let waiting = status.into_iter().flat_map(|status| &status.outbox);
        Self {
            stands: Stands::of(object),
            step: attempt.map(|attempt| attempt.step).filter(|step| *step != Step::Settled),
            waiting: waiting.map(|entry| (entry.kind, entry.created_at)).collect(),
        }
    }
}

impl Stands {
    fn of(object: &CognigyDeployment) -> Self {
        let Some(status) = &object.status else { return Self::Reconciling };
        match (status.conditions.find(ConditionType::Stalled), status.conditions.find(ConditionType::Ready)) {
            (Some(stalled), _) => Self::Stalled(stalled.reason),
            _ if status.conditions.is_true(ConditionType::Ready) => Self::Ready,
            (None, Some(ready)) if ready.reason == Reason::Suspended => Self::Suspended,
            _ => Self::Reconciling,
        }
    }
}

impl Standings {
    fn add(&mut self, entry: &Entry, now: Timestamp) {
        *self.resources.entry(entry.stands).or_default() += 1;
        if let Some(step) = entry.step {
            *self.in_progress.entry(step).or_default() += 1;
        }
        for (kind, created_at) in &entry.waiting {
            let waiting = self.outbox.entry(*kind).or_default();
            waiting.messages += 1;
            waiting.oldest = waiting.oldest.max(between(*created_at, now));
        }
    }
}

/// A panic elsewhere leaves these maps whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(uid: &str, status: serde_json::Value) -> Watched {
        let object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {"name": uid, "namespace": "bots", "uid": uid},
            "spec": {
                "environmentId": "env_1",
                "configurationSnapshot": {"botVersion": "1"},
                "dependencyLocks": [],
            },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn standing(uid: &str, conditions: &[(&str, &str, &str)]) -> Watched {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, reason)| {
                json!({"type": kind, "status": status, "reason": reason, "lastTransitionTime": "2026-01-01T12:00:00Z"})
            })
            .collect();
        resource(uid, json!({"conditions": conditions}))
    }

    fn stalled(uid: &str) -> Watched {
        standing(uid, &[("Ready", "False", "RolledBack"), ("Stalled", "True", "RolledBack")])
    }

    fn with_outbox(uid: &str, step: &str) -> Watched {
        let entry = |id: &str, kind: &str, at: &str| json!({"id": id, "kind": kind, "body": "{}", "createdAt": at});
        let attempt = json!({
            "number": 1, "digest": "v1:a", "checks": {"digest": "v1:b"}, "generation": 1, "step": step,
            "startedAt": "2026-01-01T11:00:00Z",
        });
        let outbox = [
            entry("1", "Audit", "2026-01-01T11:58:00Z"),
            entry("2", "Webhook", "2026-01-01T11:59:00Z"),
            entry("3", "Audit", "2026-01-01T11:59:30Z"),
        ];
        resource(uid, json!({"attempt": attempt, "outbox": outbox}))
    }

    fn noon() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn counts(census: &Census) -> Vec<(Stands, usize)> {
        census.standings(noon()).resources.into_iter().collect()
    }

    #[test]
    fn a_resource_is_counted_by_the_conditions_that_tools_read() {
        let reconciling = [("Ready", "Unknown", "RollingOut"), ("Reconciling", "True", "RollingOut")];
        let table = [
            (resource("a", json!(null)), Stands::Reconciling),
            (standing("a", &reconciling), Stands::Reconciling),
            (standing("a", &[("Ready", "True", "Succeeded")]), Stands::Ready),
            (standing("a", &[("Ready", "False", "Suspended")]), Stands::Suspended),
            (stalled("a"), Stands::Stalled(Reason::RolledBack)),
            (resource("a", json!({"phase": "Invented"})), Stands::Unreadable),
        ];
        for (object, stands) in table {
            let census = Census::default();
            let watch = census.watch();
            watch.show(&Event::Apply(object));
            assert_eq!(counts(&census), [(stands, 1)]);
        }
    }

    #[test]
    fn what_waits_in_outboxes_is_counted_for_each_receiver_until_its_resource_goes() {
        let census = Census::default();
        let watch = census.watch();
        watch.show(&Event::Apply(with_outbox("a", "Monitoring")));
        watch.show(&Event::Apply(with_outbox("b", "Settled")));
        let standings = census.standings(noon());
        let audit = Waiting { messages: 4, oldest: Duration::from_secs(120) };
        let webhook = Waiting { messages: 2, oldest: Duration::from_secs(60) };
        assert_eq!(standings.outbox, BTreeMap::from([(DeliveryKind::Audit, audit), (DeliveryKind::Webhook, webhook)]));
        assert_eq!(standings.in_progress, BTreeMap::from([(Step::Monitoring, 1)]));
        watch.show(&Event::Delete(with_outbox("a", "Monitoring")));
        watch.show(&Event::Delete(with_outbox("b", "Settled")));
        assert_eq!(census.standings(noon()), Standings::default());
    }

    #[test]
    fn what_went_while_the_watch_was_away_is_gone_with_the_next_complete_list() {
        let census = Census::default();
        let watch = census.watch();
        watch.show(&Event::Apply(stalled("went-unseen")));
        watch.show(&Event::Apply(stalled("stays")));
        watch.show(&Event::Init);
        watch.show(&Event::InitApply(standing("stays", &[("Ready", "True", "Succeeded")])));
        assert_eq!(counts(&census), [(Stands::Stalled(Reason::RolledBack), 2)], "the list is not complete yet");
        watch.show(&Event::InitDone);
        assert_eq!(counts(&census), [(Stands::Ready, 1)]);
    }

    #[test]
    fn each_namespace_has_a_watch_of_its_own_and_what_it_showed_ends_with_it() {
        let census = Census::default();
        let (one, other) = (census.watch(), census.watch());
        one.show(&Event::Apply(stalled("a")));
        other.show(&Event::Apply(stalled("b")));
        other.show(&Event::Init);
        other.show(&Event::InitDone);
        assert_eq!(counts(&census), [(Stands::Stalled(Reason::RolledBack), 1)]);
        drop(one);
        assert_eq!(counts(&census), []);
    }
}
