//! Metrics, in the OpenMetrics format. Every label takes its values from a fixed set: no resource's name, no error's text.

use crate::api::status::Outcome;
use crate::cognigy::{Call, CallObserver};
use crate::controller::error::Error;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_durations: Family<CallLabel, Histogram, fn() -> Histogram>,
    reconciles: Family<ResultLabel, Counter>,
    reconcile_durations: Histogram,
    kubernetes_writes: Family<WriteLabels, Counter>,
    rollouts: Family<OutcomeLabel, Counter>,
    leader: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    call: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Every metric at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("cognigy_operator");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register(
            "requests",
            "Requests to Cognigy.AI and to webhooks, by call and class of answer",
            requests.clone(),
        );
        let request_durations = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "request_duration",
            "How long requests took",
            Unit::Seconds,
            request_durations.clone(),
        );
        let reconciles = Family::<ResultLabel, Counter>::default();
        registry.register("reconciles", "Reconciles, by result", reconciles.clone());
        let reconcile_durations = seconds();
        registry.register_with_unit(
            "reconcile_duration",
            "How long reconciles took",
            Unit::Seconds,
            reconcile_durations.clone(),
        );
        let kubernetes_writes = Family::<WriteLabels, Counter>::default();
        registry.register(
            "kubernetes_writes",
            "Writes to the API server, by kind and result",
            kubernetes_writes.clone(),
        );
        let rollouts = Family::<OutcomeLabel, Counter>::default();
        registry.register("rollouts", "Attempts that have ended, by outcome", rollouts.clone());
        let leader = Gauge::default();
        registry.register("leader", "Whether this process is the one that acts", leader.clone());
        registry.register("build", "The operator's version", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            registry,
            requests,
            request_durations,
            reconciles,
            reconcile_durations,
            kubernetes_writes,
            rollouts,
            leader,
        }
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

    /// A reconcile has ended.
    pub fn reconciled(&self, error: Option<&Error>, took: Duration) {
        self.reconciles.get_or_create(&ResultLabel { result: error.map_or("success", Error::metric_label) }).inc();
        self.reconcile_durations.observe(took.as_secs_f64());
    }

    /// A write to the API server has ended.
    pub fn wrote(&self, kind: &'static str, error: Option<&Error>) {
        let result = error.map_or("success", Error::metric_label);
        self.kubernetes_writes.get_or_create(&WriteLabels { kind, result }).inc();
    }

    /// An attempt has ended.
    pub fn concluded(&self, outcome: Outcome) {
        self.rollouts.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// This process acts from now on, or no longer.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}

impl CallObserver for Metrics {
    fn observed(&self, call: Call, class: &'static str, elapsed: Duration) {
        self.requests.get_or_create(&RequestLabels { call: call.name(), class }).inc();
        self.request_durations.get_or_create(&CallLabel { call: call.name() }).observe(elapsed.as_secs_f64());
    }
}

/// From milliseconds to the longest deadline of a call.
fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}
