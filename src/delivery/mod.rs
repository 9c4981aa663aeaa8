//! The outbox: audit records and webhook events, kept in status until their receivers have taken them.
//!
//! Delivery is at least once, in order for each receiver, with an id that stays the same; the receiver can tell a repeat.

pub mod outbox;
mod outbox_sender;

pub use outbox_sender::{OutboxSender, Refused};
