//! The subcommands of `cognigy-operator`, but the simulator's.

pub mod crd;
pub mod logging;
pub mod probe;
pub mod run;
pub mod settings;
