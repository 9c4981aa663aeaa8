//! The plugin as people and pipelines use it: the real binary and the real operator, against a real API server and a
//! simulated Cognigy.AI over HTTP.
//!
//! All tests share one control plane. Each test has its own namespace, operator process and simulated platform.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

mod acting;
mod completion;
mod deciding;
mod plan;
mod promote;
mod reading;
mod terminal;
mod waiting;
