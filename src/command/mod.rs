//! The subcommands of `cognigy-operator`, but the simulator's.

mod confidential;
pub mod connection;
pub mod crd;
pub mod logging;
pub mod probe;
pub mod run;
pub mod settings;
