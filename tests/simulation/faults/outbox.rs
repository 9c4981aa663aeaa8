//! Receivers that are down for a long time or refuse every message: which messages the outbox keeps, in which order it
//! delivers them, and which ones it gives up.

use std::collections::BTreeMap;
use std::time::Duration;

use api::status::DeliveryKind::{self, Audit, Webhook};
use api::status::{OutboxEntry, Outcome};
use rollout::key;
use serde_json::json;
use simulator::Call;

use super::cell::{breaks, faults_removed};
use super::kind::Kind;
use crate::director::{Run, run};
use crate::end;
use crate::fault::Plan;
use crate::promises;
use crate::record::{Record, Write};
use crate::scenario::{Scenario, create, deploy, operator_down};
use crate::story::Happening;

const HOUR: u64 = 3600;
/// The maximum number of messages in a status (docs/fields.md).
const MOST: usize = 40;

fn play(scenario: &Scenario) -> Run {
    let run = run(scenario, &Plan::new());
    assert_eq!(promises::broken(scenario, &run), []);
    assert!(run.rests, "the operator comes to rest");
    for (name, ending) in &scenario.ends {
        assert_eq!(end::of(scenario, &run).resources.get(name), Some(ending), "{name}");
    }
    run
}

/// The writes of the resource, in order.
fn writes<'r>(record: &'r Record<'_>, name: &'r str) -> impl DoubleEndedIterator<Item = &'r Write> {
    record.writes.iter().filter(move |write| write.object.metadata.name.as_deref() == Some(name))
}

fn uid(run: &Run, name: &str) -> String {
    writes(&Record::of(run), name).next().map(Write::uid).unwrap_or_default()
}

/// The ids of the messages about the attempts of a resource, from the first attempt to this number.
fn ids(run: &Run, name: &str, kind: DeliveryKind, attempts: i64) -> Vec<String> {
    let (uid, known) = (uid(run, name), Record::of(run).attempts());
    let started_at = |number| known.get(&(uid.clone(), number)).map(|attempt| attempt.started_at).unwrap_or_default();
    (1..=attempts)
        .map(|number| key::outcome_message(&uid, number, started_at(number), kind).as_str().to_owned())
        .collect()
}

/// The ids of the messages that the receiver accepted with a 2xx that the operator received, in order.
fn taken(run: &Run, kind: DeliveryKind) -> Vec<String> {
    let call = if kind == Audit { Call::Audit } else { Call::Webhook };
    let record = Record::of(run);
    let taken = record.calls(call).filter(|request| request.answer_place.is_some() && request.exchange.status < 300);
    taken.filter_map(|request| request.exchange.key.clone()).collect()
}

/// Every message that was ever in the outbox of a resource, by its id.
fn kept(run: &Run, name: &str) -> BTreeMap<String, OutboxEntry> {
    let record = Record::of(run);
    let entries = writes(&record, name).filter_map(Write::status).flat_map(|status| status.outbox.clone());
    entries.map(|entry| (entry.id.as_str().to_owned(), entry)).collect()
}

/// The Warnings about messages that were given up, with their times.
fn warnings(run: &Run) -> Vec<(Duration, &str)> {
    let warned = run.story.iter().filter_map(|entry| match &entry.what {
        Happening::EventPublished { warning: true, reason, note, .. } if reason == "DeliveryGivenUp" => {
            Some((entry.at, note.as_str()))
        }
        _ => None,
    });
    warned.collect()
}

/// The log's lines about messages that were given up, in order.
fn given_up(run: &Run) -> Vec<&str> {
    run.log.lines().filter(|line| line.contains("given up:")).collect()
}

#[test]
fn receivers_down_for_an_hour_get_every_message_once_and_in_order_through_three_operators() {
    let scenario = Scenario::new("receivers down, operators replaced", "")
        .at(0, breaks(Call::Audit, Kind::Unavailable))
        .at(0, breaks(Call::Webhook, Kind::Reset))
        .creating(|_| {})
        .at(
            5,
            create("zweb", |object| {
                object["spec"]["environmentId"] = json!("env2");
            }),
        )
        .at(500, operator_down(5))
        .at(600, deploy("3"))
        .at(1500, operator_down(20))
        .at(1800, deploy("4"))
        .at(2700, operator_down(60))
        .at(HOUR, faults_removed())
        .lasting(Duration::from_secs(3 * HOUR))
        .ending(&[Outcome::Succeeded; 3], "4");
    let run = play(&scenario);
    let operators = run.story.iter().filter(|entry| matches!(entry.what, Happening::Started(_))).count();
    assert_eq!(operators, 4, "the first, and three after it");
    for kind in [Audit, Webhook] {
        let taken = taken(&run, kind);
        for (name, attempts) in [("web", 3), ("zweb", 1)] {
            let ids = ids(&run, name, kind, attempts);
            let of_this: Vec<String> = taken.iter().filter(|id| ids.contains(*id)).cloned().collect();
            assert_eq!(of_this, ids, "{name}: {kind:?} messages, each once and in order");
        }
        assert_eq!(taken.len(), 4, "{kind:?}: nothing else was sent");
    }
    assert_eq!(given_up(&run), Vec::<&str>::new());
}

#[test]
fn a_refused_message_is_given_up_after_72_hours_with_a_warning_and_a_log_line_and_blocks_no_rollout() {
    for (call, kind, refuses) in [(Call::Audit, Audit, Kind::Unprocessable), (Call::Webhook, Webhook, Kind::NotFound)] {
        let scenario = Scenario::new("a receiver that refuses for good", "")
            .at(0, breaks(call, refuses))
            .creating(|_| {})
            .at(HOUR, deploy("3"))
            .at(30 * HOUR, operator_down(30))
            .lasting(Duration::from_secs(80 * HOUR))
            .ending(&[Outcome::Succeeded; 2], "3");
        let run = play(&scenario);
        let record = Record::of(&run);
        let second = record.verdicts().iter().find(|judged| judged.number == 2).map(|judged| judged.write.at);
        assert!(second.is_some_and(|at| at < Duration::from_secs(HOUR + 120)), "the next rollout is not kept waiting");
        let kept = kept(&run, "web");
        let (lines, warnings) = (given_up(&run), warnings(&run));
        let ids = ids(&run, "web", kind, 2);
        assert_eq!((lines.len(), warnings.len()), (2, 2), "{lines:?} {warnings:?}");
        for (((id, line), (at, note)), started_at) in ids.iter().zip(&lines).zip(&warnings).zip([0, HOUR]) {
            let entry = kept.get(id).map(|entry| entry.body.clone()).unwrap_or_default();
            assert!(!entry.is_empty() && line.contains(&entry), "the log holds the record {entry}: {line}");
            assert!(line.contains(id) && note.contains(id), "{line} {note}");
            let (soonest, latest) = (72 * HOUR + started_at, 72 * HOUR + started_at + 900);
            assert!((soonest..=latest).contains(&at.as_secs()), "given up after {} s", at.as_secs());
        }
        let outbox = writes(&record, "web").next_back().and_then(Write::status).map(|status| status.outbox.len());
        assert_eq!(outbox, Some(0));
    }
}

#[test]
fn a_full_outbox_moves_its_oldest_messages_to_the_log() {
    const VERSIONS: u64 = 25;
    let mut scenario = Scenario::new("more messages than the outbox holds", "")
        .at(0, breaks(Call::Audit, Kind::Unavailable))
        .at(0, breaks(Call::Webhook, Kind::Unavailable))
        .creating(|_| {});
    for version in 1..VERSIONS {
        scenario = scenario.at(version * 120, deploy(version + 2));
    }
    let runs = (VERSIONS + 1).to_string();
    let scenario = scenario.at(VERSIONS * 120 + 300, faults_removed()).lasting(Duration::from_secs(3 * HOUR));
    let run = run(&scenario, &Plan::new());
    assert_eq!(promises::broken(&scenario, &run), [], "a promise was broken");
    assert!(run.rests);
    let environment =
        run.platform.environments().find(|(id, _)| id.as_str() == "env").map(|(_, env)| env.deployed().clone());
    let deployed = environment.and_then(|deployed| deployed.configuration_snapshot.clone()).unwrap_or_default();
    assert_eq!(deployed["botVersion"], json!(runs), "no rollout was held up");

    let record = Record::of(&run);
    let sizes = writes(&record, "web").filter_map(Write::status).map(|status| status.outbox.len());
    assert_eq!(sizes.max(), Some(MOST), "the outbox holds its maximum, and no more");
    let attempts = i64::try_from(VERSIONS).unwrap_or_default();
    // For each attempt, the audit record enters the outbox first, then the event for the webhook.
    let in_order: Vec<String> = ids(&run, "web", Audit, attempts)
        .into_iter()
        .zip(ids(&run, "web", Webhook, attempts))
        .flat_map(<[String; 2]>::from)
        .collect();
    let (dropped, rest) = in_order.split_at(in_order.len() - MOST);
    let lines = given_up(&run);
    assert_eq!(lines.len(), dropped.len());
    for (id, line) in dropped.iter().zip(&lines) {
        assert!(line.contains(id), "the oldest first: {line}");
    }
    for kind in [Audit, Webhook] {
        let wanted: Vec<String> = ids(&run, "web", kind, attempts).into_iter().filter(|id| rest.contains(id)).collect();
        assert_eq!(taken(&run, kind), wanted, "{kind:?}: the others arrive, in order");
    }
}
