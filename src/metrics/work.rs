//! The operator's work: reconciles, writes to the API server, the leader, the version.

use super::buckets;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// The parts of a resource that are written.
const KINDS: [&str; 4] = ["status", "finalizer", "decision", "change_window"];

/// The kinds of errors of reconciles and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Somebody else has written the resource.
    Conflict,
    /// The resource is gone.
    Gone,
    /// The API server failed or refused.
    ApiServer,
    /// The API server did not answer in time.
    NoAnswer,
    /// The object lacks a field that every stored object has.
    Malformed,
    /// This version cannot read the object.
    Unreadable,
    /// The reconcile panicked.
    Panicked,
    /// This process does not lead.
    NotLeading,
    /// The first list of resources is not complete.
    NotReady,
    /// The resource changed while a request waited.
    Cancelled,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Conflict,
        Self::Gone,
        Self::ApiServer,
        Self::NoAnswer,
        Self::Malformed,
        Self::Unreadable,
        Self::Panicked,
        Self::NotLeading,
        Self::NotReady,
        Self::Cancelled,
    ];
    /// The kinds of errors that a write can have.
    const OF_WRITES: [Self; 4] = [Self::Conflict, Self::Gone, Self::ApiServer, Self::NoAnswer];

    /// The value of a metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::ApiServer => "api_server",
            Self::NoAnswer => "no_answer",
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
            Self::Panicked => "panicked",
            Self::NotLeading => "not_leading",
            Self::NotReady => "not_ready",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The value of the label `result`.
const SUCCESS: &str = "success";

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

impl Work {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let reconciles = Family::<Ended, Counter>::default();
        let kubernetes_writes = Family::<Written, Counter>::default();
        for result in [SUCCESS].into_iter().chain(ErrorKind::ALL.map(ErrorKind::label)) {
            drop(reconciles.get_or_create(&Ended { result }));
        }
        for kind in KINDS {
            for result in [SUCCESS].into_iter().chain(ErrorKind::OF_WRITES.map(ErrorKind::label)) {
                drop(kubernetes_writes.get_or_create(&Written { kind, result }));
            }
        }
        let (reconcile_durations, leader) = (buckets::of_a_call(), Gauge::default());
        registry.register("reconciles", "Reconciles, by result", reconciles.clone());
        registry.register_with_unit(
            "reconcile_duration",
            "Duration of reconciles, including the wait for answers",
            Unit::Seconds,
            reconcile_durations.clone(),
        );
        registry.register(
            "kubernetes_writes",
            "Writes to the API server, by kind and result",
            kubernetes_writes.clone(),
        );
        registry.register("leader", "Whether this process acts (1) or stands by (0)", leader.clone());
        registry.register("build", "The operator's version", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        Self { reconciles, reconcile_durations, kubernetes_writes, leader }
    }

    pub(super) fn reconciled(&self, error: Option<ErrorKind>, took: Duration) {
        self.reconciles.get_or_create(&Ended { result: error.map_or(SUCCESS, ErrorKind::label) }).inc();
        self.reconcile_durations.observe(took.as_secs_f64());
    }

    pub(super) fn wrote(&self, kind: &'static str, error: Option<ErrorKind>) {
        let result = error.map_or(SUCCESS, ErrorKind::label);
        self.kubernetes_writes.get_or_create(&Written { kind, result }).inc();
    }

    pub(super) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}
