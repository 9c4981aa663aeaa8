//! The operator's real reconcile in a simulation with virtual time. A fault can hit each of its requests.
//!
//! `docs/simulation.md` explains how to read a story, and how to repeat one.

#![allow(clippy::panic, clippy::print_stdout)]

mod chance;
mod clients;
mod costs;
mod deciding;
mod director;
mod end;
mod fault;
mod faults;
mod gate;
mod gitops;
mod kstatus;
mod kubernetes;
mod log;
mod model;
mod other_platform;
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

use trials::Report;

/// The stories that `SIMULATION_STORY` selects: the one with this name, otherwise those whose names contain this text.
fn wanted() -> Vec<scenario::Scenario> {
    let part = std::env::var("SIMULATION_STORY").unwrap_or_default();
    let all = stories::all();
    let is_name = all.iter().any(|story| story.name == part);
    all.into_iter().filter(|story| if is_name { story.name == part } else { story.name.contains(&part) }).collect()
}

/// Only one in this many single faults is tried, spread over all. `SIMULATION_SINGLES=1` tries all.
fn share_of_singles() -> usize {
    share("SIMULATION_SINGLES", 100)
}

/// Only one in this many pairs of faults is tried, spread over all. `SIMULATION_PAIRS=1` tries all.
fn share_of_pairs() -> usize {
    share("SIMULATION_PAIRS", 4000)
}

fn share(variable: &str, default: u64) -> usize {
    usize::try_from(number(variable, default)).unwrap_or(1).max(1)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Prints what was tried. If a promise was broken, the test fails with the shortest stories.
fn judge(started_at: Instant, mut report: Report) {
    println!(
        "{} runs, {} faults, {} requests in {:?}",
        report.runs,
        report.faults,
        report.requests,
        started_at.elapsed()
    );
    assert!(report.failures.is_empty(), "{}", report.summary(3));
}

#[test]
fn every_story_ends_as_it_should_when_nothing_goes_wrong() {
    judge(Instant::now(), trials::rehearse_all(&wanted()).1);
}

#[test]
fn every_promise_holds_whatever_goes_wrong_at_any_one_request() {
    judge(Instant::now(), trials::every_single_fault(&wanted(), share_of_singles()));
}

#[test]
fn a_write_conflict_causes_no_additional_request_to_the_platform() {
    let plain = ["success", "rollback by health", "rollback by job failure", "validation refused"];
    let stories: Vec<_> = stories::all().into_iter().filter(|story| plain.contains(&story.name)).collect();
    assert_eq!(stories.len(), plain.len());
    judge(Instant::now(), trials::for_all(&stories, trials::every_write_overtaken));
}

#[test]
fn every_promise_holds_whatever_two_things_go_wrong_around_a_submit() {
    judge(Instant::now(), trials::every_pair_near(&wanted(), "/deployments", share_of_pairs()));
}

#[test]
fn every_promise_holds_whatever_two_things_go_wrong_around_a_rollback() {
    judge(Instant::now(), trials::every_pair_near(&wanted(), "/rollback", share_of_pairs()));
}

#[test]
fn every_promise_holds_in_stories_drawn_from_seeds() {
    let (first, count) = (number("SIMULATION_SEED", 0), number("SIMULATION_SEEDS", 100));
    let seeds: Vec<u64> = (first..first + count).collect();
    judge(Instant::now(), trials::for_all(&seeds, |seed| chance::play(*seed)));
}
