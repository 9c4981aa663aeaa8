//! x

pub mod simulator;
