//! cognigy-operator: rolls out Cognigy.AI environments that are kept in Git, watches their health, and rolls back if an
//! environment is unhealthy.
//!
//! Data flows one way: observe (I/O), decide (pure), act (I/O), record (I/O). [`api`] is the custom resource,
//! [`rollout`] the pure core. `docs/architecture.md` is the map.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod command;
pub mod controller;
pub mod delivery;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod hostile;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod server;
