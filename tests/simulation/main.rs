//! The operator's real reconcile in a world of virtual time, where each single request can go wrong.
//!
//! `docs/simulation.md` tells how to read a story, and how to play one again.

#![allow(clippy::panic, clippy::print_stdout)]

mod director;
mod end;
mod fault;
mod gate;
mod kubernetes;
mod log;
mod model;
mod process;
mod promises;
mod record;
mod scenario;
mod services;
mod stage;
mod stories;
mod story;
mod time;
mod trials;

use std::time::Instant;

/// The stories that a person wants to look at: those whose name holds this text, or all.
fn wanted() -> Vec<scenario::Scenario> {
    let part = std::env::var("SIMULATION_STORY").unwrap_or_default();
    stories::all().into_iter().filter(|story| story.name.contains(&part)).collect()
}

#[test]
fn every_story_ends_as_it_should_when_nothing_goes_wrong() {
    let mut report = trials::for_all(&wanted(), |scenario| trials::rehearse(scenario).1);
    assert!(report.failures.is_empty(), "{}", report.told(3));
}

#[test]
fn every_promise_holds_whatever_goes_wrong_at_any_one_request() {
    let began = Instant::now();
    let mut report = trials::for_all(&wanted(), trials::every_single_fault);
    println!("{} runs, {} faults, {} requests in {:?}", report.runs, report.faults, report.requests, began.elapsed());
    assert!(report.failures.is_empty(), "{}", report.told(3));
}
