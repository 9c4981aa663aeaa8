//! Metrics, in the OpenMetrics format. Every label takes its values from a fixed set: no resource's name, no error's
//! text. The only exception is `resource_info`, which is off by default and has a limit. Each series with a fixed set
//! of labels exists from the start, with the value 0, so that its first event is visible as an increase.
//!
//! Counters and histograms change when something happens. Gauges are read at the scrape. `docs/metrics.md` lists all
//! metrics, and a test compares the page to the registered metrics.

mod buckets;
mod budget;
mod decisions;
mod process;
mod requests;
mod resource_infos;
mod resources;
mod rollouts;
mod work;

use api::decision::{DecisionState, Verb};
use budget::{Fullness, Waits};
use decisions::Decisions;
use platform::{Budgets, Operation, Priority, RequestObserver};
use process::Process;
use prometheus_client::registry::Registry;
use requests::Requests;
pub use resource_infos::{MAX_INFOS, ResourceInfo};
use resources::Resources;
pub use resources::{ConditionSummary, GATES, GatedCount, OutboxCount, ResourceCounts, ResourceGauges};
use rollout::Transition;
use rollouts::Rollouts;
use std::sync::Arc;
use std::time::Duration;
pub use work::ErrorKind;
use work::Work;

/// The prefix of every name, except for the metrics of the process.
const PREFIX: &str = "cognigy_operator";

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    waits: Waits,
    rollouts: Rollouts,
    decisions: Decisions,
    work: Work,
}

impl Metrics {
    /// Every metric at zero, with a series for each of these operations. The budgets and the gauges are read at each scrape.
    #[must_use]
    pub fn new(budgets: Arc<Budgets>, operations: &[Operation], gauges: Arc<dyn ResourceGauges>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::begin()));
        let own = registry.sub_registry_with_prefix(PREFIX);
        let (requests, waits) = (Requests::register(own, operations), Waits::register(own));
        let (rollouts, work) = (Rollouts::register(own), Work::register(own));
        let decisions = Decisions::register(own);
        own.register_collector(Box::new(Fullness::of(budgets)));
        own.register_collector(Box::new(Resources::of(gauges)));
        Self { registry, requests, waits, rollouts, decisions, work }
    }

    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    /// [`std::fmt::Error`] if a metric cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a reconcile that has ended.
    pub fn reconciled(&self, error: Option<ErrorKind>, took: Duration) {
        self.work.reconciled(error, took);
    }

    /// Counts a write to the API server.
    pub fn wrote(&self, kind: &'static str, error: Option<ErrorKind>) {
        self.work.wrote(kind, error);
    }

    /// Counts a rollout's transition that was recorded.
    pub fn record_transition(&self, transition: Transition) {
        self.rollouts.record_transition(transition);
    }

    /// Counts a decision, when the operator has written what became of it.
    pub fn decided(&self, verb: Verb, state: DecisionState) {
        self.decisions.decided(verb, state);
    }

    /// Sets whether this process acts.
    pub fn leads(&self, leads: bool) {
        self.work.leads(leads);
    }
}

impl RequestObserver for Metrics {
    fn observed(&self, operation: &Operation, class: &'static str, elapsed: Duration) {
        self.requests.observed(operation, class, elapsed);
    }

    fn waited(&self, priority: Priority, outcome: &'static str, waited: Duration) {
        self.waits.waited(priority, outcome, waited);
    }
}

#[cfg(test)]
mod tests;
