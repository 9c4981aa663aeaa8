//! Shared code of tests against real processes.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;
pub mod canary;
mod client;
mod log;
mod operator;

pub use authority::certified;
pub use client::client_of;
pub use log::Log;
pub use operator::{OperatorCommand, OperatorProcess, Signal};

use std::time::Duration;

/// The maximum wait before a test fails with a report. It is generous, because a wait ends as soon as its condition
/// holds.
pub const DEADLINE: Duration = Duration::from_secs(60);
