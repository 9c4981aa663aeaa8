//! Metrics, in the OpenMetrics format. Every label takes its values from a fixed set: no resource's name, no error's text.
//! Each series with a fixed set of labels is there from the start, at nothing, so that its first event is seen as a rise.
//!
//! Counters and histograms are told what happens; gauges are read at the scrape from what is true then. `docs/metrics.md`
//! lists all of them, and a test holds the page to what is registered.

mod buckets;
mod budget;
mod process;
mod requests;
mod resources;
mod rollouts;
mod work;

use crate::controller::census::Census;
use crate::controller::error::Error;
use budget::{Fullness, Waits};
use platform::{Budgets, Operation, Priority, RequestObserver};
use process::Process;
use prometheus_client::registry::Registry;
use requests::Requests;
use resources::Resources;
use rollout::Transition;
use rollouts::Rollouts;
use std::sync::Arc;
use std::time::Duration;
use work::Work;

/// What every name begins with, but for those of the process.
const PREFIX: &str = "cognigy_operator";

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    waits: Waits,
    rollouts: Rollouts,
    work: Work,
    census: Arc<Census>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Every metric at nothing, and no budget to read.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Arc::default(), &[])
    }

    /// Every metric at nothing, with a series for each of these operations, and these budgets to read at each scrape.
    #[must_use]
    pub fn of(budgets: Arc<Budgets>, operations: &[Operation]) -> Self {
        let census = Arc::new(Census::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::begin()));
        let own = registry.sub_registry_with_prefix(PREFIX);
        let (requests, waits) = (Requests::register(own, operations), Waits::register(own));
        let (rollouts, work) = (Rollouts::register(own), Work::register(own));
        own.register_collector(Box::new(Fullness::of(budgets)));
        own.register_collector(Box::new(Resources::of(Arc::clone(&census))));
        Self { registry, requests, waits, rollouts, work, census }
    }

    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    /// [`std::fmt::Error`], where a metric cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// What the watches show of all resources.
    #[must_use]
    pub fn census(&self) -> &Arc<Census> {
        &self.census
    }

    /// A reconcile has ended.
    pub fn reconciled(&self, error: Option<&Error>, took: Duration) {
        self.work.reconciled(error, took);
    }

    /// A write to the API server has ended.
    pub fn wrote(&self, kind: &'static str, error: Option<&Error>) {
        self.work.wrote(kind, error);
    }

    /// Something of a rollout is over, and recorded as such.
    pub fn passed(&self, passage: Transition) {
        self.rollouts.passed(passage);
    }

    /// This process acts from now on, or no longer.
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
