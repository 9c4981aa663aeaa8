//! `cognigy-operator deploy` as a process, against the simulator over HTTP. It needs no API server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod canaries;
mod crashes;
mod examples;
mod faults;
mod journals;
mod outcomes;
mod signals;
mod stage;
