//! A call that is accepted and never answered. During the call, users see the events of the steps before it. They also
//! see that the first try has failed, long before the last try fails.

use std::time::Duration;

use api::condition::{ConditionSet, ConditionType};
use api::status::Outcome;
use jiff::Timestamp;
use simulator::Call;

use super::cell::{breaks, faults_removed};
use super::kind::Kind;
use crate::director::{Run, run};
use crate::fault::Plan;
use crate::promises;
use crate::record::Record;
use crate::scenario::Scenario;
use crate::story::Happening;
use crate::time::time_of_day;

const MENDED_AT: u64 = 400;
/// The time after which a call that hangs lets earlier events be published, plus a second.
const SOON: Duration = Duration::from_secs(11);
/// The time limit of one try, plus a second.
const FIRST_TRY: Duration = Duration::from_secs(31);

struct PublishedEvent<'r> {
    published: Duration,
    at: Option<Timestamp>,
    warning: bool,
    note: &'r str,
}

fn play(call: Call) -> Run {
    let environment = if call == Call::Rollback { "    deploymentsAreUnhealthy: true\n" } else { "" };
    let scenario = Scenario::new("a call that hangs", environment)
        .at(0, breaks(call, Kind::TimeOut))
        .creating(|_| {})
        .at(MENDED_AT, faults_removed())
        .ending(&[], "");
    let run = run(&scenario, &Plan::new());
    assert_eq!(promises::broken(&scenario, &run), [], "{call:?}");
    assert!(run.rests, "{call:?}");
    run
}

fn story(run: &Run) -> String {
    run.story.iter().map(|entry| format!("{entry}\n")).collect()
}

/// When the platform first got this call.
fn first_received(run: &Run, call: Call) -> Duration {
    Record::of(run).calls(call).map(|request| request.at).next().unwrap_or_default()
}

fn events_with<'r>(run: &'r Run, words: &str) -> Vec<PublishedEvent<'r>> {
    let events = run.story.iter().filter_map(|entry| match &entry.what {
        Happening::EventPublished { at, warning, note, .. } if note.contains(words) => {
            Some(PublishedEvent { published: entry.at, at: *at, warning: *warning, note })
        }
        _ => None,
    });
    events.collect()
}

#[test]
fn a_first_try_that_is_not_answered_is_shown_before_the_next_one_ends() {
    for (call, words, message, warning) in [
        (Call::Validate, "did not answer the validation within 30 s", "; try 2 of 3", false),
        (Call::Trace, "did not answer the synthetic trace within 30 s", "; try 2 of 3", false),
        (Call::Submit, "did not answer the submit within 30 s", "; try 2 of 3", false),
        (Call::Rollback, "no answer within 30 s", "; the bad release is still live in env;", true),
    ] {
        let run = play(call);
        let by = first_received(&run, call) + FIRST_TRY;
        let record = Record::of(&run);
        let shown = record.operator_writes().find(|write| {
            let ready = write.status().and_then(|status| status.conditions.find(ConditionType::Ready));
            ready.is_some_and(|ready| ready.message.contains(words) && ready.message.contains(message))
        });
        assert!(shown.is_some_and(|write| write.at <= by), "{call:?}: the condition\n{}", story(&run));
        let events = events_with(&run, words);
        let [event] = &events[..] else { panic!("{call:?}: {} events instead of one\n{}", events.len(), story(&run)) };
        assert!(event.published <= by && event.warning == warning, "{call:?}: {}\n{}", event.note, story(&run));
        assert!(run.log.contains(words), "{call:?}: the log");
    }
}

/// The events before a call that hangs are published while it hangs, each with its own time. This includes deliveries.
#[test]
fn events_before_a_call_that_hangs_are_published_during_the_call_with_their_own_times() {
    for (call, words) in [
        (Call::Validate, "attempt 1 has started"),
        (Call::Submit, "the synthetic trace found no conflict"),
        (Call::Rollback, "health is bad, 3 of 3 times in a row"),
        (Call::Audit, "attempt 1 succeeded"),
        (Call::Webhook, "attempt 1 succeeded"),
    ] {
        let run = play(call);
        let received_at = first_received(&run, call);
        let events = events_with(&run, words);
        let [event] = &events[..] else { panic!("{call:?}: {} events instead of one\n{}", events.len(), story(&run)) };
        assert!(event.published <= received_at + SOON, "{call:?}: {:?}\n{}", event.published, story(&run));
        assert!(event.at.is_some_and(|at| at <= time_of_day(received_at)), "{call:?}: {:?}\n{}", event.at, story(&run));
    }
}

#[test]
fn a_rollback_that_hangs_causes_one_warning_and_one_write_for_all_its_tries() {
    let run = play(Call::Rollback);
    let record = Record::of(&run);
    let tries = record.calls(Call::Rollback).filter(|request| request.at < Duration::from_secs(MENDED_AT)).count();
    assert!(tries >= 6, "{tries} tries");
    let warnings = events_with(&run, "is not accepted");
    assert_eq!(warnings.len(), 1, "{}", story(&run));
    let shows = |message: &str| message.contains("is not accepted");
    let writes = record.operator_writes().filter(|write| {
        let ready = write.status().and_then(|status| status.conditions.find(ConditionType::Ready));
        ready.is_some_and(|ready| shows(&ready.message))
    });
    assert_eq!(writes.count(), 1, "{}", story(&run));
    assert_eq!(
        record.verdicts().iter().map(|judged| judged.verdict.outcome).collect::<Vec<_>>(),
        [Outcome::RolledBack]
    );
}
