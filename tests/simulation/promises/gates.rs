//! G1: no intent without the approvals of that very plan. G2: none in a closed change window without an override. G3: none
//! before its upstream. G5: what waits at an open gate goes on. G6: a decision acts at most once.
//!
//! Everything is computed from the objects in the API server, not with the operator's code. G4 (a rollback waits for no gate)
//! follows from S4 and from the end of each story.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::condition::ConditionSet;
use api::decision::Verb;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome};
use api::{ChangeWindow, CognigyDecision, ConditionType, DecisionUid, PlanId};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::Broken;
use crate::deciding::{POLICY_INSTALLED, POLICY_MISSING};
use crate::kubernetes::{DECISIONS, WINDOWS};
use crate::record::{Record, Write};
use crate::story::Happening;

/// A change reaches the operator's cache after this time at the latest, unless a story loses its watch for longer.
const LAG: Duration = Duration::from_secs(60);
/// The operator checks the admission policy again after this time at the latest.
const POLICY_LAG: Duration = Duration::from_secs(660);
/// A gate that has opened lets its rollout go on after this time at the latest, also if the operator is down for long.
const OPENS_AFTER: Duration = Duration::from_secs(1200 + 900);

/// An object in the API server, and when it was there.
struct Stored<T> {
    object: T,
    place: usize,
    at: Duration,
    gone_at: Option<Duration>,
}

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let decisions: Vec<Stored<CognigyDecision>> = stored(record, DECISIONS);
    let windows: Vec<Stored<ChangeWindow>> = stored(record, WINDOWS);
    let mut acted: BTreeSet<(String, DecisionUid)> = BTreeSet::new();
    for write in record.operator_writes() {
        if let Some(attempt) = new_intent(write) {
            approvals(record, &decisions, &acted, write, attempt, broken);
            closed_windows(record, &decisions, &acted, &windows, write, attempt, broken);
            upstreams(record, write, attempt, broken);
        }
        for uid in newly_acted(write) {
            if !acted.insert((write.uid(), uid.clone())) {
                broken.push(Broken::new("G6", format!("the decision {uid} acted a second time")));
            }
            if !decisions.iter().any(|decision| uid_of(decision) == uid && decision.place < write.place) {
                broken.push(Broken::new("G6", format!("the decision {uid} acted, but does not exist")));
            }
        }
    }
    goes_on(record, &decisions, &acted, &windows, broken);
}

/// Whether a decision to roll back acts in this write.
pub fn acts_by_rollback_decision(record: &Record<'_>, write: &Write) -> bool {
    let acted: Vec<DecisionUid> = newly_acted(write).collect();
    let decisions: Vec<Stored<CognigyDecision>> = stored(record, DECISIONS);
    decisions.iter().any(|decision| decision.object.spec.verb == Verb::Rollback && acted.contains(&uid_of(decision)))
}

/// Every object of a kind that was ever in the API server.
fn stored<T: for<'de> Deserialize<'de>>(record: &Record<'_>, plural: &str) -> Vec<Stored<T>> {
    let mut stored: BTreeMap<String, Stored<T>> = BTreeMap::new();
    let mut all = Vec::new();
    for (place, entry) in record.run.story.iter().enumerate() {
        let Happening::Changed { name, after, .. } = &entry.what else { continue };
        if name.plural != plural {
            continue;
        }
        match after.as_ref().map(|after| T::deserialize(after.as_ref())) {
            Some(Ok(object)) => {
                let new = || Stored { object, place, at: entry.at, gone_at: None };
                // The spec cannot change.
                stored.entry(name.name.clone()).or_insert_with(new);
            }
            Some(Err(_)) => {}
            None => all.extend(stored.remove(&name.name).map(|gone| Stored { gone_at: Some(entry.at), ..gone })),
        }
    }
    all.extend(stored.into_values());
    all
}

fn uid_of(decision: &Stored<CognigyDecision>) -> DecisionUid {
    DecisionUid::new(decision.object.metadata.uid.clone().unwrap_or_default())
}

fn made_at(decision: &Stored<CognigyDecision>) -> Timestamp {
    decision.object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0)
}

fn acted_in(status: Option<&CognigyDeploymentStatus>) -> BTreeSet<DecisionUid> {
    status.into_iter().flat_map(|status| &status.acted_decisions).map(|acted| acted.uid.clone()).collect()
}

fn newly_acted(write: &Write) -> impl Iterator<Item = DecisionUid> + use<> {
    let before = acted_in(write.status_before.as_ref());
    acted_in(write.status()).into_iter().filter(move |uid| !before.contains(uid))
}

/// The attempt whose intent this write has first.
fn new_intent(write: &Write) -> Option<&Attempt> {
    let attempt = write.attempt().filter(|attempt| attempt.has_intent())?;
    let had_intent =
        write.attempt_before().is_some_and(|before| before.number == attempt.number && before.has_intent());
    (!had_intent).then_some(attempt)
}

/// A moment by the operator's clock, and its place in the record.
#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    place: usize,
    at: Duration,
}

/// The decisions that could count for the attempt at this moment of the operator's clock.
fn valid<'d>(
    record: &'d Record<'_>,
    decisions: &'d [Stored<CognigyDecision>],
    acted: &'d BTreeSet<(String, DecisionUid)>,
    write: &'d Write,
    attempt: &'d Attempt,
    verb: Verb,
    moment: Moment,
) -> impl Iterator<Item = &'d Stored<CognigyDecision>> {
    let Moment { now, place, at } = moment;
    let running = write.status().and_then(|status| status.last_successful.as_ref());
    let running = running.filter(|last| last.rolled_back_at.is_none()).map(|last| &last.digest);
    let plan = PlanId::of(&attempt.digest, &attempt.checks.digest, running);
    let approval = write.object.spec.approval.as_ref();
    let life = match (verb, approval) {
        (Verb::Approve, Some(approval)) => i64::from(approval.expires_after_seconds),
        _ => 24 * 3600,
    };
    let is_proven = is_proven(record, place, at);
    decisions.iter().filter(move |decision| {
        let spec = &decision.object.spec;
        let by_age = made_at(decision) + SignedDuration::from_secs(life);
        let end = match spec.expires_at {
            Some(named) if verb == Verb::Approve => named.min(by_age),
            Some(named) => named,
            None => by_age,
        };
        is_proven
            && decision.place < place
            && decision.gone_at.is_none_or(|gone_at| gone_at + LAG >= at)
            && spec.verb == verb
            && Some(&spec.deployment) == write.object.metadata.name.as_ref()
            && spec.environment_id == write.object.spec.environment_id
            && spec.plan_id == plan
            && now < end
            && !acted.contains(&(write.uid(), uid_of(decision)))
    })
}

/// Whether the admission policy was in force a short time before this place.
fn is_proven(record: &Record<'_>, place: usize, at: Duration) -> bool {
    let is_change = |entry: &&crate::story::Entry| matches!(&entry.what, Happening::Acted(name) if name == POLICY_MISSING || name == POLICY_INSTALLED);
    let last = record.run.story[..place.min(record.run.story.len())].iter().rfind(is_change);
    last.is_none_or(|entry| match &entry.what {
        Happening::Acted(name) if name == POLICY_MISSING => entry.at > Duration::ZERO && at - entry.at < POLICY_LAG,
        _ => true,
    })
}

/// G1.
fn approvals(
    record: &Record<'_>,
    decisions: &[Stored<CognigyDecision>],
    acted: &BTreeSet<(String, DecisionUid)>,
    write: &Write,
    attempt: &Attempt,
    broken: &mut Vec<Broken>,
) {
    let Some(approval) = &write.object.spec.approval else { return };
    let now = attempt.intended_at().unwrap_or(Timestamp::MAX);
    let valid = valid(
        record,
        decisions,
        acted,
        write,
        attempt,
        Verb::Approve,
        Moment { now, place: write.place, at: write.at },
    );
    let valid: Vec<_> = valid.filter(|decision| !approval.not_by.contains(&decision.object.spec.by)).collect();
    let people: BTreeSet<&str> = valid.iter().map(|decision| decision.object.spec.by.as_str()).collect();
    let required = usize::try_from(approval.required).unwrap_or(usize::MAX);
    if people.len() < required {
        let how =
            format!("attempt {} is submitted with the approvals of {people:?}, not of {required}", attempt.number);
        broken.push(Broken::new("G1", how));
    }
    let used: BTreeSet<DecisionUid> = newly_acted(write).collect();
    let used = valid.iter().filter(|decision| used.contains(&uid_of(decision)));
    let used: BTreeSet<&str> = used.map(|decision| decision.object.spec.by.as_str()).collect();
    if used.len() < required {
        let how = format!("attempt {} is submitted, but only the approvals of {used:?} are used up", attempt.number);
        broken.push(Broken::new("G6", how));
    }
}

/// The windows in which this resource must not start at this moment.
fn denying<'w>(
    windows: &'w [Stored<ChangeWindow>],
    write: &'w Write,
    now: Timestamp,
    at: Duration,
) -> impl Iterator<Item = &'w Stored<ChangeWindow>> {
    let environment = write.object.spec.environment_id.as_str();
    windows.iter().filter(move |window| {
        let spec = &window.object.spec;
        let is_of_it = spec.environment_ids.is_empty() || spec.environment_ids.iter().any(|id| id == environment);
        let is_active = spec.once.as_ref().is_some_and(|once| once.from <= now && now < once.to);
        is_of_it && is_active && window.at + LAG <= at && window.gone_at.is_none_or(|gone_at| gone_at > at)
    })
}

/// G2.
fn closed_windows(
    record: &Record<'_>,
    decisions: &[Stored<CognigyDecision>],
    acted: &BTreeSet<(String, DecisionUid)>,
    windows: &[Stored<ChangeWindow>],
    write: &Write,
    attempt: &Attempt,
    broken: &mut Vec<Broken>,
) {
    let now = attempt.intended_at().unwrap_or(Timestamp::MAX);
    if denying(windows, write, now, write.at).next().is_none() {
        return;
    }
    let used: BTreeSet<DecisionUid> = newly_acted(write).collect();
    let mut overriding = valid(
        record,
        decisions,
        acted,
        write,
        attempt,
        Verb::Override,
        Moment { now, place: write.place, at: write.at },
    );
    if !overriding.any(|decision| used.contains(&uid_of(decision))) {
        broken.push(Broken::new("G2", format!("attempt {} is submitted in a closed change window", attempt.number)));
    }
}

/// G3: each required resource has succeeded, with the same release if that is asked for, by its last status before this write.
fn upstreams(record: &Record<'_>, write: &Write, attempt: &Attempt, broken: &mut Vec<Broken>) {
    for requirement in &write.object.spec.requires {
        let is_it = |other: &&Write| {
            let metadata = &other.object.metadata;
            let own = write.object.metadata.namespace.as_deref().unwrap_or_default();
            metadata.name.as_deref() == Some(&requirement.name)
                && metadata.namespace.as_deref() == Some(requirement.namespace_from(own))
        };
        let before = record.writes.iter().filter(is_it).filter(|other| other.place < write.place);
        let is_good = |upstream: &Attempt| {
            upstream.outcome() == Some(Outcome::Succeeded)
                && (!requirement.same_release || upstream.release == attempt.release)
        };
        // The operator may have read it a short time before.
        let mut recent = before.rev().scan(None, |since: &mut Option<Duration>, other| {
            let was_current = since.is_none_or(|replaced_at| replaced_at + LAG >= write.at);
            *since = Some(other.at);
            was_current.then_some(other)
        });
        if !recent.any(|upstream| upstream.attempt().is_some_and(is_good)) {
            let how = format!("attempt {} is submitted before {} has succeeded", attempt.number, requirement.name);
            broken.push(Broken::new("G3", how));
        }
    }
}

/// G5: at the end of the story, nothing waits that could have gone on long ago.
fn goes_on(
    record: &Record<'_>,
    decisions: &[Stored<CognigyDecision>],
    acted: &BTreeSet<(String, DecisionUid)>,
    windows: &[Stored<ChangeWindow>],
    broken: &mut Vec<Broken>,
) {
    let Some(end) = record.run.story.last().map(|entry| entry.at) else { return };
    let Some(soon) = end.checked_sub(OPENS_AFTER) else { return };
    let mut last: BTreeMap<String, &Write> = BTreeMap::new();
    for write in &record.writes {
        last.insert(write.uid(), write);
    }
    for write in last.into_values().filter(|write| !write.object.spec.suspend && write.at < soon) {
        let waits = |attempt: &&Attempt| attempt.gates.as_ref().is_some_and(|gates| !gates.closed.is_empty());
        let Some(attempt) = write.attempt().filter(waits).filter(|attempt| attempt.verdict.is_none()) else { continue };
        let ready = write.status().and_then(|status| status.conditions.find(ConditionType::Ready));
        let of_upstream = ready.is_some_and(|ready| ready.reason.as_str().contains("Upstream"));
        let is_gone = record.run.story[write.place..].iter().any(|entry| match &entry.what {
            Happening::Changed { name, after: None, .. } => Some(&name.name) == write.object.metadata.name.as_ref(),
            _ => false,
        });
        let begin = made_at_of(write);
        let now = begin + SignedDuration::try_from(end).unwrap_or_default();
        let place = record.run.story.len();
        let approvals = valid(record, decisions, acted, write, attempt, Verb::Approve, Moment { now, place, at: end });
        let people: BTreeSet<&str> = approvals
            .filter(|decision| decision.at < soon && decision.gone_at.is_none())
            .map(|decision| decision.object.spec.by.as_str())
            .collect();
        let required = write.object.spec.approval.as_ref().map_or(0, |approval| approval.required);
        let is_approved = people.len() >= usize::try_from(required).unwrap_or(usize::MAX);
        let is_open = windows.iter().all(|window| {
            window.gone_at.is_some_and(|gone_at| gone_at < soon)
                || window
                    .object
                    .spec
                    .once
                    .as_ref()
                    .is_some_and(|once| once.to + SignedDuration::try_from(OPENS_AFTER).unwrap_or_default() < now)
        });
        if is_approved && is_open && !of_upstream && !is_gone && is_proven(record, place, end) {
            let how = format!("attempt {} still waits, although its gates are open since {soon:?}", attempt.number);
            broken.push(Broken::new("G5", how));
        }
    }
}

/// The wall clock at the begin of the story.
fn made_at_of(write: &Write) -> Timestamp {
    let created = write.object.metadata.creation_timestamp.as_ref();
    created.map_or(Timestamp::MIN, |time| time.0)
}
