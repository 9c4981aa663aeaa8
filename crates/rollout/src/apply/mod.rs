//! What an answer means. Each function changes the status and the memory, and returns the events to publish and the messages
//! to deliver.

pub mod after_success;
mod block;
pub mod checks;
pub mod gates;
pub mod health;
pub mod job;
pub mod requests;
pub mod rollback;
pub mod submit;

pub use block::{block, failed_try};
