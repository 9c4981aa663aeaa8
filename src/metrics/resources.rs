//! The resources at the time of a scrape: those that need a person, those in progress, and the messages that wait for
//! delivery. Only the process that acts watches resources, so sums over all replicas are correct.

use super::resource_infos::{self, ResourceInfo};
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

/// The values of the label `state`.
const STATES: [&str; 5] = ["ready", "reconciling", "stalled", "suspended", "unreadable"];

/// Counts all resources at a scrape.
pub trait ResourceGauges: Send + Sync {
    /// The counts at this moment.
    fn counts(&self, now: Timestamp) -> ResourceCounts;

    /// Each resource at this moment, if `--resource-metrics` is set.
    fn infos(&self) -> Option<Vec<ResourceInfo>>;
}

/// All resources at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceCounts {
    /// The number of resources by summary.
    pub resources: BTreeMap<ConditionSummary, usize>,
    /// The number of attempts by recorded step. Settled attempts are not counted.
    pub in_progress: BTreeMap<Step, usize>,
    /// The attempts that wait at a closed gate, by its reason.
    pub gated: BTreeMap<Reason, GatedCount>,
    /// The messages that wait for each receiver.
    pub outbox: BTreeMap<DeliveryKind, OutboxCount>,
}

/// A summary of a resource's conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionSummary {
    /// The environment runs the desired configuration.
    Ready,
    /// The operator is working on the resource, or has not seen it yet.
    Reconciling,
    /// The resource needs a person, for this reason.
    Stalled(Reason),
    /// The spec suspends the resource.
    Suspended,
    /// This version of the operator cannot read the resource and does not act on it.
    Unreadable,
}

impl ConditionSummary {
    /// The value of the label `state`.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Reconciling => "reconciling",
            Self::Stalled(_) => "stalled",
            Self::Suspended => "suspended",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Attempts that wait at closed gates, for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatedCount {
    /// Their number.
    pub attempts: usize,
    /// How long the one has waited that waits longest.
    pub longest: Duration,
}

/// The reasons for which an attempt waits at a gate. An attempt that waits for several is counted by the first.
pub const GATES: [Reason; 8] = [
    Reason::AwaitingApproval,
    Reason::ApprovalExpired,
    Reason::ApproverUnverified,
    Reason::WindowClosed,
    Reason::AwaitingUpstream,
    Reason::UpstreamNotFound,
    Reason::UpstreamForbidden,
    Reason::UpstreamCycle,
];

/// Messages that wait for one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCount {
    /// Their number.
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
        let count = |state: &'static str| -> (&'static str, usize) {
            let in_state = counts.resources.iter().filter(|(summary, _)| summary.state() == state);
            (state, in_state.map(|(_, count)| count).sum())
        };
        let name = ("resources", "Resources, by state", None);
        gauges(&mut encoder, name, "state", STATES.map(count))?;
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
        let name = ("rollouts_in_progress", "Attempts with work left, by recorded step", None);
        gauges(&mut encoder, name, "step", in_progress)?;
        gated(&mut encoder, &counts)?;
        outbox(&mut encoder, &counts)?;
        self.gauges.infos().map_or(Ok(()), |infos| resource_infos::encode(&mut encoder, infos))
    }
}

fn gated(encoder: &mut DescriptorEncoder<'_>, counts: &ResourceCounts) -> fmt::Result {
    let waiting = GATES.map(|reason| (reason.as_str(), counts.gated.get(&reason).copied().unwrap_or_default()));
    let name = ("rollouts_gated", "Attempts that wait at a closed gate, by its reason", None);
    gauges(encoder, name, "reason", waiting.map(|(reason, waiting)| (reason, waiting.attempts)))?;
    let name = ("rollouts_gated_longest_wait", "The longest wait at a closed gate", Some(&Unit::Seconds));
    gauges(encoder, name, "reason", waiting.map(|(reason, waiting)| (reason, waiting.longest.as_secs_f64())))
}

fn outbox(encoder: &mut DescriptorEncoder<'_>, counts: &ResourceCounts) -> fmt::Result {
    let waiting =
        DeliveryKind::ALL.map(|kind| (kind.metric_label(), counts.outbox.get(&kind).copied().unwrap_or_default()));
    let name = ("outbox_messages", "Messages that their receiver has not accepted yet", None);
    gauges(encoder, name, "receiver", waiting.map(|(kind, waiting)| (kind, waiting.messages)))?;
    let name = ("outbox_oldest_message_age", "The age of the oldest message in the outbox", Some(&Unit::Seconds));
    gauges(encoder, name, "receiver", waiting.map(|(kind, waiting)| (kind, waiting.oldest.as_secs_f64())))
}

/// Writes one gauge with one value for each value of a label.
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
