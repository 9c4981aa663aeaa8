//! The gauges over all resources. The registry keeps the counted values of each watched resource, in a few dozen bytes,
//! so that the counts stay correct when resources are deleted.

use super::ResourceRegistry;
use super::infos::Infos;
use crate::controller::watched::Watched;
use crate::metrics::{ConditionSummary, ResourceCounts, ResourceGauges, ResourceInfo};
use api::condition::{ConditionSet, ConditionType};
use api::status::{Attempt, DeliveryKind, Step};
use api::{CognigyDeployment, Reason};
use jiff::Timestamp;
use rollout::time::between;

/// The values of one resource that the gauges count.
#[derive(Debug)]
pub(super) struct Gauge {
    summary: ConditionSummary,
    step: Option<Step>,
    /// In a box, because most resources wait for nothing.
    waits: Option<Box<Waits>>,
}

/// What a resource waits for, and since when.
#[derive(Debug)]
struct Waits {
    /// The reason of the closed gate at which the attempt waits.
    gate: Option<(Reason, Timestamp)>,
    /// Messages that their receiver has not accepted.
    messages: Vec<(DeliveryKind, Timestamp)>,
}

impl Gauge {
    /// The values of a watched resource. `None` if the object was already pruned.
    pub(super) fn of(watched: &Watched) -> Option<Self> {
        match watched {
            Watched::Whole(object) => Some(Self::of_whole(object)),
            Watched::AtRest(_) => None,
            Watched::Unreadable(_) => Some(Self { summary: ConditionSummary::Unreadable, step: None, waits: None }),
        }
    }

    fn of_whole(object: &CognigyDeployment) -> Self {
        let status = object.status.as_ref();
        let attempt = status.and_then(|status| status.attempt.as_ref());
        let outbox = status.into_iter().flat_map(|status| &status.outbox);
        let waits = Waits {
            gate: attempt.and_then(gated),
            messages: outbox.map(|entry| (entry.kind, entry.created_at)).collect(),
        };
        Self {
            summary: summary(object),
            step: attempt.map(|attempt| attempt.step).filter(|step| *step != Step::Settled),
            waits: (waits.gate.is_some() || !waits.messages.is_empty()).then(|| Box::new(waits)),
        }
    }

    fn add_to(&self, counts: &mut ResourceCounts, now: Timestamp) {
        *counts.resources.entry(self.summary).or_default() += 1;
        if let Some(step) = self.step {
            *counts.in_progress.entry(step).or_default() += 1;
        }
        let Some(Waits { gate, messages }) = self.waits.as_deref() else { return };
        if let Some((reason, since)) = *gate {
            let gated = counts.gated.entry(reason).or_default();
            gated.attempts += 1;
            gated.longest = gated.longest.max(between(since, now));
        }
        for (kind, created_at) in messages {
            let waiting = counts.outbox.entry(*kind).or_default();
            waiting.messages += 1;
            waiting.oldest = waiting.oldest.max(between(*created_at, now));
        }
    }
}

/// The first closed gate of an attempt that was not submitted.
fn gated(attempt: &Attempt) -> Option<(Reason, Timestamp)> {
    let gates = attempt.gates.as_ref().filter(|_| attempt.submission.is_none() && attempt.verdict.is_none())?;
    Some((gates.closed.first()?.reason, gates.since?))
}

pub(super) fn summary(object: &CognigyDeployment) -> ConditionSummary {
    let Some(status) = &object.status else { return ConditionSummary::Reconciling };
    match (status.conditions.find(ConditionType::Stalled), status.conditions.find(ConditionType::Ready)) {
        (Some(stalled), _) => ConditionSummary::Stalled(stalled.reason),
        _ if status.conditions.is_true(ConditionType::Ready) => ConditionSummary::Ready,
        (None, Some(ready)) if ready.reason == Reason::Suspended => ConditionSummary::Suspended,
        _ => ConditionSummary::Reconciling,
    }
}

impl ResourceGauges for ResourceRegistry {
    fn counts(&self, now: Timestamp) -> ResourceCounts {
        let mut counts = ResourceCounts::default();
        let inner = self.inner.lock();
        inner
            .entries
            .values()
            .filter_map(|entry| entry.gauge.as_ref())
            .for_each(|gauge| gauge.add_to(&mut counts, now));
        counts
    }

    fn infos(&self) -> Option<Vec<ResourceInfo>> {
        self.inner.lock().infos.as_ref().map(Infos::all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::metrics::{GatedCount, OutboxCount};
    use kube::runtime::watcher::Event;
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::time::Duration;

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

    fn counts(registry: &ResourceRegistry) -> Vec<(ConditionSummary, usize)> {
        registry.counts(noon()).resources.into_iter().collect()
    }

    #[test]
    fn a_resource_is_counted_by_the_conditions_that_tools_read() {
        let reconciling = [("Ready", "Unknown", "RollingOut"), ("Reconciling", "True", "RollingOut")];
        let table = [
            (resource("a", json!(null)), ConditionSummary::Reconciling),
            (standing("a", &reconciling), ConditionSummary::Reconciling),
            (standing("a", &[("Ready", "True", "Succeeded")]), ConditionSummary::Ready),
            (standing("a", &[("Ready", "False", "Suspended")]), ConditionSummary::Suspended),
            (stalled("a"), ConditionSummary::Stalled(Reason::RolledBack)),
            (resource("a", json!({"phase": "Invented"})), ConditionSummary::Unreadable),
        ];
        for (object, summary) in table {
            let registry = ResourceRegistry::default();
            registry.observe(&Event::Apply(object));
            assert_eq!(counts(&registry), [(summary, 1)]);
        }
    }

    #[test]
    fn attempts_at_closed_gates_are_counted_by_the_first_reason_until_they_pass() {
        let gated = |uid: &str, since: &str, reasons: &[&str]| {
            let closed: Vec<_> = reasons.iter().map(|reason| json!({"reason": reason, "message": "m"})).collect();
            let attempt = json!({
                "number": 1, "digest": "v1:a", "checks": {"digest": "v1:b"}, "generation": 1, "step": "Tracing",
                "startedAt": "2026-01-01T11:00:00Z", "gates": {"since": since, "closed": closed},
            });
            Event::Apply(resource(uid, json!({"attempt": attempt})))
        };
        let registry = ResourceRegistry::default();
        registry.observe(&gated("a", "2026-01-01T11:59:00Z", &["WindowClosed"]));
        registry.observe(&gated("b", "2026-01-01T11:58:00Z", &["WindowClosed"]));
        registry.observe(&gated("c", "2026-01-01T11:57:00Z", &["AwaitingApproval", "WindowClosed"]));
        registry.observe(&gated("d", "2026-01-01T11:56:00Z", &[]));
        let count = |attempts, seconds| GatedCount { attempts, longest: Duration::from_secs(seconds) };
        let expected =
            BTreeMap::from([(Reason::AwaitingApproval, count(1, 180)), (Reason::WindowClosed, count(2, 120))]);
        assert_eq!(registry.counts(noon()).gated, expected);
    }

    #[test]
    fn undelivered_messages_are_counted_for_each_receiver_until_their_resource_is_deleted() {
        let registry = ResourceRegistry::default();
        registry.observe(&Event::Apply(with_outbox("a", "Monitoring")));
        registry.observe(&Event::Apply(with_outbox("b", "Settled")));
        let counted = registry.counts(noon());
        let audit = OutboxCount { messages: 4, oldest: Duration::from_secs(120) };
        let webhook = OutboxCount { messages: 2, oldest: Duration::from_secs(60) };
        assert_eq!(counted.outbox, BTreeMap::from([(DeliveryKind::Audit, audit), (DeliveryKind::Webhook, webhook)]));
        assert_eq!(counted.in_progress, BTreeMap::from([(Step::Monitoring, 1)]));
        registry.observe(&Event::Delete(with_outbox("a", "Monitoring")));
        registry.observe(&Event::Delete(with_outbox("b", "Settled")));
        assert_eq!(registry.counts(noon()), ResourceCounts::default());
    }

    /// The names that have a series of their own, each with its state and reason.
    fn shown(registry: &ResourceRegistry) -> Vec<(String, &'static str, &'static str)> {
        let infos = registry.infos().unwrap_or_default().into_iter();
        infos
            .map(|info| (info.name.to_string(), info.summary.state(), info.reason.map_or("", Reason::as_str)))
            .collect()
    }

    #[test]
    fn each_resource_has_a_series_with_its_last_watched_state_until_it_is_deleted() {
        let registry = ResourceRegistry::new(true);
        registry.observe(&Event::Apply(stalled("b")));
        registry.observe(&Event::Apply(resource("a", json!(null))));
        registry.observe(&Event::Apply(resource("c", json!({"phase": "Invented"}))));
        let (b, c) = (("b".to_owned(), "stalled", "RolledBack"), ("c".to_owned(), "unreadable", "StatusUnreadable"));
        assert_eq!(shown(&registry), [("a".to_owned(), "reconciling", ""), b.clone(), c.clone()]);
        registry.observe(&Event::Apply(standing("a", &[("Ready", "True", "Succeeded")])));
        assert_eq!(shown(&registry), [("a".to_owned(), "ready", "Succeeded"), b, c]);
        registry.observe(&Event::Delete(resource("a", json!(null))));
        registry.forget("b", Duration::ZERO);
        registry.forget("c", Duration::ZERO);
        assert_eq!(shown(&registry), []);
    }

    #[test]
    fn a_name_has_one_series_after_its_resource_is_created_again() {
        let named_bot = |mut watched: Watched| {
            let Watched::Whole(object) = &mut watched else { panic!("the resource could not be read") };
            std::sync::Arc::make_mut(object).metadata.name = Some("bot".to_owned());
            watched
        };
        let registry = ResourceRegistry::new(true);
        registry.observe(&Event::Apply(named_bot(stalled("old"))));
        registry.observe(&Event::InitApply(named_bot(standing("new", &[("Ready", "True", "Succeeded")]))));
        registry.forget("old", Duration::ZERO);
        assert_eq!(shown(&registry), [("bot".to_owned(), "ready", "Succeeded")]);
        registry.forget("new", Duration::ZERO);
        assert_eq!(shown(&registry), []);
    }

    #[test]
    fn nothing_is_kept_by_name_without_resource_metrics() {
        let registry = ResourceRegistry::default();
        registry.observe(&Event::Apply(stalled("a")));
        assert_eq!(registry.infos(), None);
    }

    #[test]
    fn a_resource_is_counted_once_in_its_last_watched_state() {
        let registry = ResourceRegistry::default();
        registry.observe(&Event::InitApply(stalled("a")));
        registry.observe(&Event::Apply(standing("a", &[("Ready", "True", "Succeeded")])));
        registry.observe(&Event::InitApply(stalled("b")));
        assert_eq!(
            counts(&registry),
            [(ConditionSummary::Ready, 1), (ConditionSummary::Stalled(Reason::RolledBack), 1)]
        );
    }
}
