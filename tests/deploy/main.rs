//! `cognigy-operator deploy` as a process, against the simulator over HTTP. It needs no API server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crashes;
mod examples;
mod faults;
mod journals;
mod manifests;
mod outcomes;
mod secrets;
mod signals;
mod stage;
