//! The outbox: audit records and webhook events, which stay in the status until their receivers have accepted them.
//!
//! Each receiver gets every message at least once, in order. A message keeps its id, so the receiver can recognize a
//! repeat.

pub mod outbox;
mod outbox_sender;

pub use outbox_sender::{OutboxSender, Refused};
