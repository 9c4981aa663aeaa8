//! The request budgets: how full they are at the scrape, and how long requests wait in their queues.
//!
//! Each client of the API has a budget, and there are as many clients as tenants. So the budgets are summed up. Two
//! more gauges show what a sum would hide: the fullest budget, and the longest pause.

use super::buckets;
use super::resources::gauges;
use platform::{BudgetError, BudgetUsage, Budgets, Priority};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The waiting times of requests, and the refused requests.
pub(super) struct Waits {
    waits: Family<Rank, Histogram, fn() -> Histogram>,
    refusals: Family<Refusal, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rank {
    priority: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    priority: &'static str,
    reason: &'static str,
}

impl Waits {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let waits = Family::new_with_constructor(buckets::of_a_wait as fn() -> Histogram);
        let refusals = Family::<Refusal, Counter>::default();
        for priority in Priority::ALL.map(Priority::name) {
            drop(waits.get_or_create(&Rank { priority }));
            for reason in BudgetError::METRIC_LABELS {
                drop(refusals.get_or_create(&Refusal { priority, reason }));
            }
        }
        registry.register_with_unit(
            "budget_wait",
            "Time that requests waited in the budget's queue until they were sent",
            Unit::Seconds,
            waits.clone(),
        );
        registry.register("budget_refusals", "Requests that the budget refused, by reason", refusals.clone());
        Self { waits, refusals }
    }

    pub(super) fn waited(&self, priority: Priority, outcome: &'static str, waited: Duration) {
        let priority = priority.name();
        match BudgetError::METRIC_LABELS.contains(&outcome) {
            true => drop(self.refusals.get_or_create(&Refusal { priority, reason: outcome }).inc()),
            false => self.waits.get_or_create(&Rank { priority }).observe(waited.as_secs_f64()),
        }
    }
}

/// The used part of each budget.
#[derive(Debug)]
pub(super) struct Fullness {
    budgets: Arc<Budgets>,
}

impl Fullness {
    pub(super) fn of(budgets: Arc<Budgets>) -> Self {
        Self { budgets }
    }
}

impl Collector for Fullness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usages = self.budgets.usages();
        let sum = |of: fn(&BudgetUsage) -> u32| -> u64 { usages.iter().map(|usage| u64::from(of(usage))).sum() };
        let help = "Clients of Cognigy.AI that have a request budget";
        gauge(&mut encoder, "budget_clients", help, None, usages.len())?;
        let help = "Configured requests per minute, summed over all clients";
        gauge(&mut encoder, "budget_limit_requests", help, None, sum(|usage| usage.limit.get()))?;
        let help =
            "Current maximum of requests per minute, summed over all clients; below the limit after an unexpected 429";
        let effective = sum(|usage| usage.effective_limit.get());
        gauge(&mut encoder, "budget_effective_limit_requests", help, None, effective)?;
        let help =
            "Requests that count against the limit, because they are in progress or ended within the last minute";
        gauge(&mut encoder, "budget_used_requests", help, None, sum(|usage| usage.used))?;
        let help = "Requests per minute that are reserved for rollbacks, summed over all clients";
        gauge(&mut encoder, "budget_reserve_requests", help, None, sum(|usage| usage.reserve))?;
        let help = "Unused part of the reserve for rollbacks, summed over all clients";
        gauge(&mut encoder, "budget_reserve_free_requests", help, None, sum(|usage| usage.reserve_free))?;
        let help = "Used part of the effective limit; the highest value of all clients";
        let fullest = usages.iter().map(used_ratio).fold(0.0, f64::max);
        gauge(&mut encoder, "budget_fullest_used_ratio", help, None, fullest)?;
        let help = "Remaining pause that Cognigy.AI has requested; the longest of all clients";
        let paused = usages.iter().map(|usage| usage.paused_for).max().unwrap_or_default();
        gauge(&mut encoder, "budget_longest_pause", help, Some(&Unit::Seconds), paused.as_secs_f64())?;
        let waiting = Priority::ALL.map(|priority| {
            let count: usize = usages.iter().filter_map(|usage| usage.waiting.get(&priority)).sum();
            (priority.name(), count)
        });
        let name = ("budget_waiting_requests", "Requests that wait in the budget's queue", None);
        gauges(&mut encoder, name, "priority", waiting)
    }
}

fn used_ratio(usage: &BudgetUsage) -> f64 {
    f64::from(usage.used) / f64::from(usage.effective_limit.get())
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let metric = encoder.encode_descriptor(name, help, unit, gauge.metric_type())?;
    gauge.encode(metric)
}
