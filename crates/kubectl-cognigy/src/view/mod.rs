//! What a status means, for people: pure functions over a deployment and the time.

pub mod advice;
pub mod gates;
pub mod stages;
pub mod state;
