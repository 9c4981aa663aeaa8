//! The operator at work: reconciles, writes to the API server, who leads, which version.

use super::buckets;
use crate::controller::error::Error;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// What is written of a resource.
const KINDS: [&str; 2] = ["status", "finalizer"];

pub(super) struct Work {
    reconciles: Family<Ended, Counter>,
    reconcile_durations: Histogram,
    kubernetes_writes: Family<Written, Counter>,
    leader: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    kind: &'static str,
    result: &'static str,
}

/// How a write can end, by the answer of the API server.
const WRITTEN: [&str; 5] = ["success", "conflict", "gone", "api_server", "no_answer"];

impl Work {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let reconciles = Family::<Ended, Counter>::default();
        let kubernetes_writes = Family::<Written, Counter>::default();
        for result in ["success"].into_iter().chain(Error::METRIC_LABELS) {
            drop(reconciles.get_or_create(&Ended { result }));
        }
        for kind in KINDS {
            for result in WRITTEN {
                drop(kubernetes_writes.get_or_create(&Written { kind, result }));
            }
        }
        let (reconcile_durations, leader) = (buckets::of_a_call(), Gauge::default());
        registry.register("reconciles", "Reconciles, by result", reconciles.clone());
        registry.register_with_unit(
            "reconcile_duration",
            "How long reconciles took, with all the answers that they waited for",
            Unit::Seconds,
            reconcile_durations.clone(),
        );
        registry.register(
            "kubernetes_writes",
            "Writes to the API server, by kind and result",
            kubernetes_writes.clone(),
        );
        registry.register("leader", "Whether this process is the one that acts", leader.clone());
        registry.register("build", "The operator's version", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        Self { reconciles, reconcile_durations, kubernetes_writes, leader }
    }

    pub(super) fn reconciled(&self, error: Option<&Error>, took: Duration) {
        self.reconciles.get_or_create(&Ended { result: error.map_or("success", Error::metric_label) }).inc();
        self.reconcile_durations.observe(took.as_secs_f64());
    }

    pub(super) fn wrote(&self, kind: &'static str, error: Option<&Error>) {
        let result = error.map_or("success", Error::metric_label);
        self.kubernetes_writes.get_or_create(&Written { kind, result }).inc();
    }

    pub(super) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}
