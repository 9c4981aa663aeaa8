//! What the operator shows of itself over HTTP: health, readiness and metrics.

mod listener;
pub mod metrics;
pub mod probes;

pub use metrics::Metrics;
