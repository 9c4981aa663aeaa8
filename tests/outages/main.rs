//! The operator when Kubernetes itself fails: the real binary, a real API server that the tests kill and overload, and
//! a simulated Cognigy.AI over HTTP that counts its requests.
//!
//! These tests damage the control plane, so no two tests use the same one at the same time (see [`support::Outage`]).
//! Tests sleep only if there is no event to wait for: they watch the resource, wait for requests to the platform, and
//! read the operator's log line by line.
//!
//! `cargo test --test outages -- --nocapture` prints the measured take-over times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

mod api_server;
mod by_hand;
mod changes;
mod leadership;
mod lists;
mod memory;
mod removals;
mod startup;
