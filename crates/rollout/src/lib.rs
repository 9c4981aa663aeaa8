//! The pure core: it decides what to do next, and what an answer means.
//!
//! [`decide()`] looks at the [`Facts`] of the moment, the recorded status and the memory of this process, and returns one
//! [`Decision`]. The controller carries it out, and passes the answer to one of the functions in [`apply`]. These change the
//! status, and return what to tell people. The core has no clock, no I/O and no Kubernetes: the time is one of the facts.

#![forbid(unsafe_code)]

pub mod admission;
pub mod after_success;
pub mod answer;
pub mod apply;
pub mod attempt;
pub mod attempt_memory;
pub mod checks_validity;
pub mod claim;
pub mod conditions;
pub mod deadline;
pub mod decide;
mod delivery_summary;
pub mod durations;
pub mod effects;
pub mod facts;
pub mod gates;
pub mod key;
pub mod memory;
pub mod next_poll;
pub mod polling;
pub mod put_back;
pub mod requests;
pub mod rest;
pub mod summary;
pub mod time;
pub mod trace;
pub mod transition;

#[cfg(test)]
mod tests;

pub use answer::{Cause, Obstacle};
pub use decide::{Decision, decide};
pub use effects::{Effects, EventText, OutboxMessage, TimedEvent};
pub use facts::{Facts, Settings};
pub use memory::Memory;
pub use polling::PollTuning;
pub use time::Now;
pub use trace::{RootSpanId, TraceId};
pub use transition::Transition;
