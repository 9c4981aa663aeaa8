//! The pure core: what to do next, and what an answer means.
//!
//! [`decide()`] looks at the [`Facts`] of the moment, the recorded status and what this process remembers, and names one
//! [`Decision`]. The controller carries it out and hands the answer back to one of the functions in [`apply`], which
//! write it into the status and return what is worth telling. No clock, no I/O and no Kubernetes in here: time comes in
//! with the facts.

#![forbid(unsafe_code)]

pub mod admission;
pub mod answer;
pub mod apply;
pub mod attempt;
pub mod claim;
pub mod conditions;
pub mod decide;
pub mod durations;
pub mod facts;
pub mod key;
pub mod memory;
pub mod notice;
pub mod pace;
pub mod passage;
pub mod put_back;
pub mod requests;
pub mod rest;
pub mod standing;
pub mod trace;

#[cfg(test)]
mod tests;

pub use answer::Obstacle;
pub use decide::{Decision, decide};
pub use facts::{Facts, Now, Settings};
pub use memory::Memory;
pub use notice::{Announcement, Effects, Happened, Notice};
pub use pace::Pace;
pub use passage::Passage;
pub use trace::{RootSpanId, TraceId};
