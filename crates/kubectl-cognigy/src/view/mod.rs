//! What a status means, for people: pure functions over a deployment and the time.

pub mod advice;
pub mod running;
pub mod stages;
pub mod state;
