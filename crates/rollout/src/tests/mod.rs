//! Tests that play rollouts, by topic. [`fixture`] plays each of them and checks every step against the promises.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod after_success;
mod before_submit;
mod deadline;
mod deletion;
mod durations;
mod edits;
mod fixture;
mod gate_promises;
mod gates;
mod health;
mod job;
mod outbox_messages;
mod owners;
mod polling;
mod promises;
mod put_back;
mod random_stories;
mod requests;
mod rest;
mod rollback;
mod submit;
mod summary;
mod suspend;
mod transitions;
mod upstream;
