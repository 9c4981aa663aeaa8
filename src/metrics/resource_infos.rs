//! One series for each resource, if `--resource-metrics` is set. It follows kube-state-metrics and Flux
//! (`gotk_resource_info`): the value is 1, and the labels hold the state.
//!
//! The label is `exported_namespace`, as with Flux. Prometheus sets `namespace` itself, to the namespace of the scraped pod,
//! and would rename ours, depending on its configuration.

use super::resources::ConditionSummary;
use api::Reason;
use api::status::Phase;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The largest number of resources with a series of their own.
pub const MAX_INFOS: usize = 10_000;

/// The longest value of a label, in bytes. Kubernetes' own limit for a name is the same.
const MAX_VALUE_BYTES: usize = 253;

/// The labels of the series of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceInfo {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The Cognigy.AI environment that it deploys to. Empty if it cannot be read.
    pub environment: Arc<str>,
    /// The summary of its conditions.
    pub summary: ConditionSummary,
    /// The reason of its condition Ready.
    pub reason: Option<Reason>,
    /// The phase of its attempt.
    pub phase: Option<Phase>,
}

/// Writes the series of each resource, and the number of resources that have none because of the limit.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, infos: Vec<ResourceInfo>) -> fmt::Result {
    let (infos, left_out) = limited(infos, MAX_INFOS);
    let help = "Each resource with its state. The value is always 1";
    let mut family = encoder.encode_descriptor("resource", help, None, MetricType::Info)?;
    for info in &infos {
        family.encode_info(&[
            ("exported_namespace", &*sanitized(&info.namespace)),
            ("name", &*sanitized(&info.name)),
            ("environment", &*sanitized(&info.environment)),
            ("state", info.summary.state()),
            ("reason", info.reason.map_or("", Reason::as_str)),
            ("phase", info.phase.map_or("", Phase::as_str)),
        ])?;
    }
    let help = "Resources without a series of their own, because there are too many";
    let mut family = encoder.encode_descriptor("resource_infos_left_out", help, None, MetricType::Gauge)?;
    family.encode_gauge(&i64::try_from(left_out).unwrap_or(i64::MAX))
}

/// The resources that get a series, and the number of the others. Those that need a person come first. The order depends on
/// the resources only, so that the same ones are shown at each scrape.
fn limited(mut infos: Vec<ResourceInfo>, limit: usize) -> (Vec<ResourceInfo>, usize) {
    let left_out = infos.len().saturating_sub(limit);
    if left_out > 0 {
        infos.sort_unstable_by(|one, other| order(one).cmp(&order(other)));
        infos.truncate(limit);
    }
    (infos, left_out)
}

fn order(info: &ResourceInfo) -> (u8, &str, &str) {
    let rank = match info.summary {
        ConditionSummary::Stalled(_) => 0,
        ConditionSummary::Unreadable => 1,
        ConditionSummary::Reconciling => 2,
        ConditionSummary::Suspended => 3,
        ConditionSummary::Ready => 4,
    };
    (rank, &info.namespace, &info.name)
}

/// The text, as short as a label may be and without characters that are not in any valid name. The API server checks names
/// and environments, but an object may be older than that check.
fn sanitized(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_VALUE_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Cow::Borrowed(text);
    }
    let replaced = text.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' });
    Cow::Owned(replaced.take(MAX_VALUE_BYTES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, summary: ConditionSummary) -> ResourceInfo {
        ResourceInfo {
            namespace: "bots".into(),
            name: name.into(),
            environment: "env_1".into(),
            summary,
            reason: None,
            phase: None,
        }
    }

    #[test]
    fn if_there_are_too_many_resources_those_that_need_a_person_are_shown_first() {
        let all = [
            info("a", ConditionSummary::Ready),
            info("b", ConditionSummary::Suspended),
            info("c", ConditionSummary::Reconciling),
            info("d", ConditionSummary::Unreadable),
            info("f", ConditionSummary::Stalled(Reason::RolledBack)),
            info("e", ConditionSummary::Stalled(Reason::HealthCheckFailed)),
        ];
        let shown = |limit: usize| {
            let (shown, left_out) = limited(all.to_vec(), limit);
            (shown.iter().map(|info| &*info.name).collect::<Vec<_>>().concat(), left_out)
        };
        assert_eq!(shown(3), ("efd".to_owned(), 3));
        assert_eq!(shown(5), ("efdcb".to_owned(), 1));
        assert_eq!(shown(6), ("abcdfe".to_owned(), 0));
    }

    #[test]
    fn the_value_of_a_label_is_short_and_one_word() {
        assert_eq!(sanitized("env_prod_us_01"), "env_prod_us_01");
        assert_eq!(sanitized("a b\n\u{202e}ü"), "a_b___");
        assert_eq!(sanitized(&"ä".repeat(500)), "_".repeat(253));
    }
}
