//! The subcommands of `cognigy-operator`, except the simulator.

pub mod arguments;
mod confidential;
pub mod connection;
pub mod crd;
pub mod deploy;
pub mod environment;
pub mod logging;
pub mod manifests;
mod namespace;
pub mod own_client;
mod own_webhook;
pub mod platform;
pub mod probe;
pub mod run;
pub mod settings;
pub mod validate;
