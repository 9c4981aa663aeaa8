//! Resources at the scrape: who needs a person, what is in progress, what waits to be delivered. Only the process that acts
//! watches resources, so that sums over replicas are right.

use api::Reason;
use api::status::{DeliveryKind, Step};
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Counts all resources at a scrape.
pub trait ResourceGauges: Send + Sync {
    /// The counts at this moment.
    fn counts(&self, now: Timestamp) -> ResourceCounts;
}

/// All resources at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceCounts {
    /// How many resources have which summary.
    pub resources: BTreeMap<ConditionSummary, usize>,
    /// How many attempts are at which step, by their records. Settled attempts are not counted.
    pub in_progress: BTreeMap<Step, usize>,
    /// What waits for each receiver.
    pub outbox: BTreeMap<DeliveryKind, OutboxCount>,
}

/// A resource by the conditions that tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionSummary {
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

/// Messages that wait for one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCount {
    /// How many.
    pub messages: usize,
    /// How long the oldest has waited.
    pub oldest: Duration,
}

pub(super) struct Resources {
    gauges: Arc<dyn ResourceGauges>,
}

impl fmt::Debug for Resources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Resources")
    }
}

impl Resources {
    pub(super) fn of(gauges: Arc<dyn ResourceGauges>) -> Self {
        Self { gauges }
    }
}

impl Collector for Resources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.gauges.counts(Timestamp::now());
        let count = |is_it: fn(ConditionSummary) -> bool| -> usize {
            counts.resources.iter().filter(|(summary, _)| is_it(**summary)).map(|(_, count)| count).sum()
        };
        gauges(
            &mut encoder,
            ("resources", "Resources, by how they stand", None),
            "state",
            [
                ("ready", count(|summary| summary == ConditionSummary::Ready)),
                ("reconciling", count(|summary| summary == ConditionSummary::Reconciling)),
                ("stalled", count(|summary| matches!(summary, ConditionSummary::Stalled(_)))),
                ("suspended", count(|summary| summary == ConditionSummary::Suspended)),
                ("unreadable", count(|summary| summary == ConditionSummary::Unreadable)),
            ],
        )?;
        let stalled = counts.resources.iter().filter_map(|(summary, count)| match summary {
            ConditionSummary::Stalled(reason) => Some((reason.as_str(), *count)),
            _ => None,
        });
        gauges(
            &mut encoder,
            ("resources_stalled", "Resources that need a person, by reason", None),
            "reason",
            stalled,
        )?;
        let steps = Step::ALL.into_iter().filter(|step| *step != Step::Settled);
        let in_progress = steps.map(|step| (step.as_str(), counts.in_progress.get(&step).copied().unwrap_or(0)));
        let name = ("rollouts_in_progress", "Attempts that something is still to be done for, by recorded step", None);
        gauges(&mut encoder, name, "step", in_progress)?;
        outbox(&mut encoder, &counts)
    }
}

fn outbox(encoder: &mut DescriptorEncoder<'_>, counts: &ResourceCounts) -> fmt::Result {
    let waiting =
        DeliveryKind::ALL.map(|kind| (kind.metric_label(), counts.outbox.get(&kind).copied().unwrap_or_default()));
    let name = ("outbox_messages", "Messages that wait for their receiver to take them", None);
    gauges(encoder, name, "receiver", waiting.map(|(kind, waiting)| (kind, waiting.messages)))?;
    let name = ("outbox_oldest_message_age", "How long the oldest of them has waited", Some(&Unit::Seconds));
    gauges(encoder, name, "receiver", waiting.map(|(kind, waiting)| (kind, waiting.oldest.as_secs_f64())))
}

/// Writes one gauge, a value for each of a label's.
pub(super) fn gauges<N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, N)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (word, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&[(label, word)])?)?;
    }
    Ok(())
}
