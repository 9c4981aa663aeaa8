//! HTTP endpoints of the operator: health, readiness and metrics.

mod listener;
pub mod probes;
