//! The requests of a rollout, without gates and with them.

use std::time::Duration;

use api::decision::Verb;
use api::status::Step;
use serde_json::json;

use super::deciding::decides;
use super::director::run;
use super::fault::{Io, IoKind, Plan};
use super::scenario::{Cue, Scenario};

/// The requests of one rollout, by kind.
#[derive(Debug, PartialEq, Eq)]
struct Requests {
    /// To the platform.
    platform: usize,
    /// Writes of the resource.
    writes: usize,
    /// Published events.
    events: usize,
    /// Writes of what became of decisions.
    decisions: usize,
    /// Reads of the API server, including dry runs.
    reads: usize,
}

fn requests(story: &Scenario) -> Requests {
    let ios = run(story, &Plan::new()).ios;
    let is_platform = |io: &&Io| io.what.contains(" /");
    let count = |kind| ios.iter().filter(|io| !is_platform(io) && io.kind == kind).count();
    Requests {
        platform: ios.iter().filter(is_platform).count(),
        writes: count(IoKind::WriteResource),
        events: count(IoKind::PublishEvent),
        decisions: count(IoKind::WriteDecision),
        reads: count(IoKind::Read),
    }
}

fn gated(required: i32) -> Scenario {
    let story = Scenario::new("gated", "");
    story.creating(move |object| object["spec"]["approval"] = json!({"required": required}))
}

#[test]
fn an_approval_costs_one_more_write_of_the_resource_and_none_of_the_platform() {
    let without = requests(&Scenario::new("without gates", "").creating(|_| {}));
    let with = requests(&gated(1).after(Cue::Written(Step::Tracing), 60, decides("anna", Verb::Approve)));
    println!("without gates: {without:?}\nwith one approval: {with:?}");
    assert_eq!(with.platform, without.platform);
    assert_eq!(with.writes, without.writes + 1, "that it waits; the approval is recorded together with the intent");
    // The check of the admission policy, as a dry run.
    assert_eq!(with.reads, without.reads + 1);
    assert_eq!((without.decisions, with.decisions), (0, 1));
}

#[test]
fn a_rollout_that_waits_sends_no_request() {
    let hour = Duration::from_secs(3600);
    let waiting = |hours: u32| requests(&gated(1).lasting(hour * hours));
    assert_eq!(waiting(1), waiting(100));
}
