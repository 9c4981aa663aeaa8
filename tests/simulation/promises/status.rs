//! S7: a recorded outcome never changes. S10: the status never claims what was not observed.

use api::condition::ConditionSet;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, Verdict};
use api::{self, ConditionType};
use simulator::{self, Call};
use std::collections::BTreeMap;

use super::Broken;
use crate::record::{Judged, Record, Write};
use crate::story::Happening;

/// The maximum size of a status in bytes.
const LARGEST: usize = 64 * 1024;

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    outcomes(record, broken);
    verdicts(record, broken);
    events(record, broken);
    for write in record.operator_writes() {
        forms(write, broken);
        claims(record, write, broken);
    }
}

fn outcomes(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut known: BTreeMap<(String, i64), Verdict> = BTreeMap::new();
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    for write in &record.writes {
        let Some(status) = write.status() else { continue };
        let current = status.attempt.iter().filter_map(|attempt| Some((attempt.number, attempt.verdict.clone()?)));
        let past = status.history.iter().map(|past| (past.number, past.verdict.clone()));
        for (number, verdict) in current.chain(past) {
            let first = known.entry((write.uid(), number)).or_insert_with(|| verdict.clone());
            if *first != verdict {
                broken.push(Broken::new("S7", format!("attempt {number} ended as {first:?}, and then as {verdict:?}")));
            }
        }
        if let Some(attempt) = &status.attempt {
            let newest = newest.entry(write.uid()).or_insert(attempt.number);
            if attempt.number < *newest {
                broken.push(Broken::new("S7", format!("attempt {} follows attempt {newest}", attempt.number)));
            }
            *newest = attempt.number;
            let lost = known.get(&(write.uid(), attempt.number)).is_some_and(|_| attempt.verdict.is_none());
            if lost {
                broken.push(Broken::new("S7", format!("the outcome of attempt {} was taken back", attempt.number)));
            }
        }
    }
}

/// The conventions for every status.
fn forms(write: &Write, broken: &mut Vec<Broken>) {
    let Some(status) = write.status() else { return };
    let conditions = &status.conditions;
    if conditions.is_true(ConditionType::Reconciling) && conditions.is_true(ConditionType::Stalled) {
        broken.push(Broken::new("S10", "Reconciling and Stalled are both True"));
    }
    if Some(status.observed_generation) > write.object.metadata.generation {
        broken.push(Broken::new("S10", "a generation was observed that does not exist"));
    }
    let size = serde_json::to_vec(status).map_or(0, |bytes| bytes.len());
    if size > LARGEST {
        broken.push(Broken::new("S10", format!("the status is {size} bytes long")));
    }
    running(status, broken);
    if let Some((_, attempt)) = write.same_attempt()
        && conditions.is_true(ConditionType::Ready)
        && attempt.outcome() != Some(Outcome::Succeeded)
    {
        broken.push(Broken::new("S10", "Ready is True without a success"));
    }
}

/// A configuration of the current attempt runs for certain only after its success.
fn running(status: &CognigyDeploymentStatus, broken: &mut Vec<Broken>) {
    let (Some(running), Some(attempt)) = (&status.running, &status.attempt) else { return };
    let is_certain = running.before.is_none() && Some(&running.configuration) == attempt.version.as_ref();
    let is_undone = attempt.rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some());
    let has_succeeded = attempt.outcome() == Some(Outcome::Succeeded) && !is_undone;
    if running.attempt == attempt.number && is_certain && !has_succeeded {
        broken
            .push(Broken::new("S10", format!("the status says that {} runs without a success", running.configuration)));
    }
}

/// Every claim of the attempt was received in an answer before it was written.
fn claims(record: &Record<'_>, write: &Write, broken: &mut Vec<Broken>) {
    let Some(attempt) = write.attempt() else { return };
    let before = write.same_attempt().map(|(before, _)| before);
    let is_new = |now: bool, then: fn(&Attempt) -> bool| now && !before.is_some_and(then);
    if is_new(attempt.job.is_some(), |attempt| attempt.job.is_some()) && !job_is_its_own(record, attempt) {
        broken.push(Broken::new("S10", format!("{:?} is not the job of attempt {}", attempt.job, attempt.number)));
    }
    if is_new(attempt.job_completed_at().is_some(), |attempt| attempt.job_completed_at().is_some())
        && !heard_job(record, write.place, attempt.job_id(), "completed")
    {
        broken.push(Broken::new("S10", "the status says that the job has completed, but no answer said so"));
    }
}

fn verdicts(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for judged in record.verdicts() {
        match judged.verdict.outcome {
            Outcome::Succeeded => success(record, &judged, broken),
            Outcome::RolledBack => {
                let place = judged.write.place;
                let accepted = record.answered(Call::Rollback, 0..place).any(|request| {
                    is_it(&request.exchange.job, judged.job) && (200..300).contains(&request.exchange.status)
                });
                if !accepted && !heard_job(record, place, judged.job, "rolled_back") {
                    broken.push(Broken::new("S10", "the status says RolledBack, but no answer said so"));
                }
            }
            _ => {}
        }
    }
}

/// Health was good, and the healthy version was the one of this attempt.
fn success(record: &Record<'_>, judged: &Judged<'_>, broken: &mut Vec<Broken>) {
    let place = judged.write.place;
    if !heard_job(record, place, judged.job, "completed") {
        broken.push(Broken::new("S10", "the status says that the attempt succeeded, but the job never completed"));
    }
    let last = record.answered(Call::Health, 0..place).last();
    if !last.is_some_and(|request| request.exchange.answer["status"] == "healthy") {
        broken.push(Broken::new("S10", "the status says that the attempt succeeded, but health was not good"));
    }
    if !last.is_some_and(|request| is_it(&request.exchange.deployed, judged.job)) {
        broken.push(Broken::new(
            "S10",
            "the status says that the attempt succeeded, but another snapshot ran when health was good",
        ));
    }
}

fn job_is_its_own(record: &Record<'_>, attempt: &Attempt) -> bool {
    let jobs = record.run.platform.environments().flat_map(|(_, environment)| environment.jobs());
    let mut own = jobs.filter(|job| is_it(&Some(job.id.clone()), attempt.job_id()));
    own.any(|job| job.idempotency_key.as_deref() == attempt.idempotency_key().map(|key| key.as_str()))
}

fn heard_job(record: &Record<'_>, before: usize, job: Option<&api::JobId>, word: &str) -> bool {
    let mut answers = record.answered(Call::Job, 0..before);
    answers.any(|request| is_it(&request.exchange.job, job) && request.exchange.answer["status"] == word)
}

fn is_it(job: &Option<simulator::JobId>, wanted: Option<&api::JobId>) -> bool {
    job.as_ref().map(|job| job.as_str()) == wanted.map(|job| job.as_str())
}

/// A process publishes one event at most about each accepted job, and none about another job.
fn events(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut accepted_events: BTreeMap<&str, usize> = BTreeMap::new();
    let mut processes = 0;
    for entry in &record.run.story {
        match &entry.what {
            Happening::Started(_) => processes += 1,
            Happening::RequestReceived(exchange) if exchange.call == Some(Call::Submit) => {
                accepted_events.extend(exchange.job.as_ref().map(|job| (job.as_str(), 0)));
            }
            Happening::EventPublished { reason, note, .. } if reason == "SubmitAccepted" => {
                let named = accepted_events.iter_mut().find(|(job, _)| note.contains(**job));
                let count = named.map(|(_, count)| {
                    *count += 1;
                    *count
                });
                if count.is_none_or(|count| count > processes) {
                    broken.push(Broken::new(
                        "S10",
                        format!("an event repeats another one, or names a job that does not exist: {note}"),
                    ));
                }
            }
            _ => {}
        }
    }
}
