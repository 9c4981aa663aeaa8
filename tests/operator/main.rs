//! The operator as its users see it: the real binary, against a real API server and a simulated Cognigy.AI over HTTP.
//!
//! All tests share one control plane. Each test has its own namespace, operator process and simulated platform (see
//! [`support`]). Tests do not sleep: they watch the resource, and wait for requests to the platform.
//!
//! `COGNIGY_TEST_KILLS` sets how often `crashes::random` kills the operator, and `COGNIGY_TEST_SEED` repeats one of its runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

mod after_success;
mod budget;

mod checks;
mod crashes;
mod credentials;
mod decisions;
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
mod promotion;
mod proxies;
mod queue;
mod refusals;
mod refused_gates;
mod requests;
mod rest;
mod rights;
mod rollbacks;
mod secrets;
mod snapshots;
mod submits;
mod success;
#[cfg(feature = "otlp")]
mod traces;
mod windows;
mod writes;
