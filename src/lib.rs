//! x
pub mod cognigy;
