//! The operator as its users see it: the real binary, against a real API server and a simulated Cognigy.AI over HTTP.
//!
//! One control plane serves all tests; each test has a namespace, an operator process and a simulated platform of its own
//! (see [`stage`]). Nothing is waited for by sleeping: the resource is watched, and the platform tells of each request.
//!
//! `COGNIGY_TEST_KILLS` and `COGNIGY_TEST_SEED` repeat `crashes::random` for longer, or as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod stage;

mod budget;
mod canaries;
mod checks;
mod crashes;
mod credentials;
mod deletion;
mod deliveries;
mod edits;
mod fairness;
mod flags;
mod gitops;
mod kubectl;
mod kubectl_reading;
mod log;
mod manifests;
mod metrics;
mod ownership;
mod policies;
mod proxies;
mod queue;
mod refusals;
mod requests;
mod rest;
mod rights;
mod rollbacks;
mod snapshots;
mod submits;
mod success;
#[cfg(feature = "otlp")]
mod traces;
mod writes;
