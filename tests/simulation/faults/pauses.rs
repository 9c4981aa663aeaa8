//! An API that asks for a pause of an hour. The operator still polls rollouts in flight, and rolls them back.

use std::time::Duration;

use api::status::Outcome;
use serde_json::json;
use simulator::Call;

use super::cell::{breaks, faults_removed};
use super::kind::Kind;
use crate::director::{Run, run};
use crate::end;
use crate::fault::Plan;
use crate::promises;
use crate::record::Record;
use crate::scenario::Scenario;

/// When the call works again, in seconds.
const MENDED_AT: u64 = 1200;

/// A platform whose answer to a call is 429, with an hour as `Retry-After`.
fn story(call: Call, environment: &str) -> Scenario {
    Scenario::new("an hour", environment)
        .at(0, breaks(call, Kind::TooManyRequestsWithRetryAfter))
        .creating(|object| object["spec"]["rollbackPolicy"]["timeoutSeconds"] = json!(300))
        .at(MENDED_AT, faults_removed())
        .lasting(Duration::from_secs(2 * 3600))
}

/// How many requests a call made, and the longest time between two of them.
fn longest_gap(run: &Run, call: Call) -> (usize, Duration) {
    let record = Record::of(run);
    let sent_times: Vec<Duration> = record.calls(call).map(|request| request.at).collect();
    let gap = sent_times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX);
    (sent_times.len(), gap)
}

fn played(scenario: &Scenario) -> Run {
    let run = run(scenario, &Plan::new());
    let story: String = run.story.iter().map(|entry| format!("{entry}\n")).collect();
    assert_eq!(promises::broken(scenario, &run), [], "{story}");
    let end = end::of(scenario, &run);
    assert!(end.rests, "{story}");
    assert_eq!(end.resources.get("web"), scenario.ends.first().map(|(_, ending)| ending), "{story}");
    run
}

#[test]
fn a_rollback_is_tried_again_within_a_minute_even_if_the_api_asks_for_a_longer_pause() {
    let story = story(Call::Rollback, "    deploymentsAreUnhealthy: true\n").ending(&[Outcome::RolledBack], "1");
    let (tries, gap) = longest_gap(&played(&story), Call::Rollback);
    assert!(gap <= Duration::from_secs(60) && tries > 15, "{tries} tries, {gap:?} apart");
}

#[test]
fn a_job_is_polled_again_within_minutes_and_such_a_poll_after_the_deadline_gives_the_verdict() {
    let story = story(Call::Job, "").ending(&[Outcome::RolledBack], "1");
    let (tries, gap) = longest_gap(&played(&story), Call::Job);
    assert!(gap <= Duration::from_secs(140) && tries > 2, "{tries} tries, {gap:?} apart");
}
