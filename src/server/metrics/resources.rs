//! How the resources stand at the scrape: who needs a person, what is in progress, what waits to be delivered. Only the
//! process that acts watches resources, so that sums over replicas are right.

use crate::controller::census::{Census, Standings, Stands};
use api::status::{DeliveryKind, Step};
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Resources {
    census: Arc<Census>,
}

impl Resources {
    pub(super) fn of(census: Arc<Census>) -> Self {
        Self { census }
    }
}

impl Collector for Resources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let standings = self.census.standings(Timestamp::now());
        let count = |is_it: fn(Stands) -> bool| -> usize {
            standings.resources.iter().filter(|(stands, _)| is_it(**stands)).map(|(_, count)| count).sum()
        };
        gauges(
            &mut encoder,
            ("resources", "Resources, by how they stand", None),
            "state",
            [
                ("ready", count(|stands| stands == Stands::Ready)),
                ("reconciling", count(|stands| stands == Stands::Reconciling)),
                ("stalled", count(|stands| matches!(stands, Stands::Stalled(_)))),
                ("suspended", count(|stands| stands == Stands::Suspended)),
                ("unreadable", count(|stands| stands == Stands::Unreadable)),
            ],
        )?;
        let stalled = standings.resources.iter().filter_map(|(stands, count)| match stands {
            Stands::Stalled(reason) => Some((reason.as_str(), *count)),
            _ => None,
        });
        gauges(
            &mut encoder,
            ("resources_stalled", "Resources that need a person, by reason", None),
            "reason",
            stalled,
        )?;
        let steps = Step::ALL.into_iter().filter(|step| *step != Step::Settled);
        let in_progress = steps.map(|step| (step.as_str(), standings.in_progress.get(&step).copied().unwrap_or(0)));
        let name = ("rollouts_in_progress", "Attempts that something is still to be done for, by recorded step", None);
        gauges(&mut encoder, name, "step", in_progress)?;
        outbox(&mut encoder, &standings)
    }
}

fn outbox(encoder: &mut DescriptorEncoder<'_>, standings: &Standings) -> fmt::Result {
    let waiting =
        DeliveryKind::ALL.map(|kind| (kind.metric_label(), standings.outbox.get(&kind).copied().unwrap_or_default()));
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
