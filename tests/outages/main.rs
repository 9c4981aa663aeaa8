//! The operator while Kubernetes itself goes wrong: the real binary, a real API server that is killed, starved and edited
//! under it, and a simulated Cognigy.AI over HTTP that counts what it is asked.
//!
//! These tests hurt the control plane, so each has one for itself while it runs (see [`support::Outage`]).
//! Nothing is waited for by sleeping where there is an event: the resource is watched, the platform tells of each request,
//! and the operator's log is read line by line.
//!
//! `cargo test --test outages -- --nocapture` prints the take-over times that it measures.
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
