//! The client over a scripted transport, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod cancellations;
mod scripted;
mod submits;
mod tokens;
mod wire;
