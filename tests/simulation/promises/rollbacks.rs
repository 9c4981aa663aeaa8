//! S4: a bad verdict is followed by a rollback. S5: no rollback without a bad verdict, a deadline or a request.
//! S6: an unreadable answer never counts as bad.

use std::ops::Range;
use std::time::Duration;

use api::status::{Attempt, CognigyDeploymentStatus, Outcome};
use api::{ROLLBACK_ANNOTATION, Reason};
use simulator::Call;

use super::Broken;
use crate::record::{Record, RecordedRequest, Write};
use crate::story::{Author, Happening, is_deployment};

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for write in record.operator_writes() {
        bad_verdicts(write, broken);
        patience(record, write, broken);
        streaks(record, write, broken);
    }
    for rollback in record.calls(Call::Rollback) {
        reasons(record, rollback, broken);
    }
    unfinished(record, broken);
}

/// The write that records the last bad answer of a streak also decides on the rollback.
fn bad_verdicts(write: &Write, broken: &mut Vec<Broken>) {
    let Some((before, attempt)) = write.same_attempt() else { return };
    let policy = &write.object.spec.rollback_policy;
    let is_condemned =
        attempt.health.bad_streak > before.health.bad_streak && attempt.health.bad_streak >= policy.health_threshold;
    if is_condemned && policy.auto_trigger && attempt.rollback.is_none() {
        broken.push(Broken::new(
            "S4",
            format!("a streak of {} is written without a rollback", attempt.health.bad_streak),
        ));
    }
}

/// The bad answer that reaches the threshold leads to the verdict, even if the operator is interrupted. Each
/// interruption may lose one more bad answer.
fn patience(record: &Record<'_>, write: &Write, broken: &mut Vec<Broken>) {
    let Some((before, attempt)) = write.same_attempt() else { return };
    let intent = attempt.idempotency_key().and_then(|key| record.intent(key.as_str()));
    let (Some(intent), None, None) = (intent, &before.rollback, &before.verdict) else { return };
    let part = intent.place..write.place;
    let counted = longest_row(record, write, part.clone());
    let lost = record.run.story[part].iter().filter(|entry| is_interruption(&entry.what)).count();
    let threshold = usize::try_from(write.object.spec.rollback_policy.health_threshold).unwrap_or(usize::MAX);
    if counted > threshold.saturating_add(lost) {
        let how =
            format!("{counted} bad answers in a row were received before a verdict, but the threshold is {threshold}");
        broken.push(Broken::new("S4", how));
    }
}

/// The number of bad answers since the last good one that count, because they are far enough apart.
fn longest_row(record: &Record<'_>, write: &Write, part: Range<usize>) -> usize {
    let interval = Duration::from_secs(u64::try_from(write.object.spec.monitoring.interval_seconds).unwrap_or(0));
    let (mut count, mut last) = (0, None);
    for request in record.answered(Call::Health, part).filter(|request| is_taken_up(record, request)) {
        if is_good(request) {
            (count, last) = (0, None);
        } else if is_bad(request, write) && last.is_none_or(|last| request.at >= last + interval.mul_f64(0.9)) {
            (count, last) = (count + 1, Some(request.at));
        }
    }
    count
}

/// Whether the operator wrote something after the answer and before the next interruption.
fn is_taken_up(record: &Record<'_>, request: &RecordedRequest<'_>) -> bool {
    let later = request.answer_place.and_then(|place| record.run.story.get(place..)).unwrap_or_default();
    let next = later.iter().map(|entry| &entry.what).find(|what| is_write(what) || is_interruption(what));
    next.is_some_and(is_write)
}

fn is_write(what: &Happening) -> bool {
    matches!(what, Happening::Changed { by: Author::Operator(_), name, .. } if is_deployment(name))
}

fn is_interruption(what: &Happening) -> bool {
    matches!(what, Happening::Crashed(_) | Happening::Paused(_) | Happening::Failed(_))
}

/// If the operator came to rest, the last rollback that it decided on was accepted or refused.
fn unfinished(record: &Record<'_>, broken: &mut Vec<Broken>) {
    if !record.run.rests {
        return;
    }
    for ((uid, number), attempt) in record.attempts() {
        let Some(rollback) = &attempt.rollback else { continue };
        if is_released(record, &uid, number) {
            continue;
        }
        let is_answered = rollback.accepted_at.is_some() || rollback.refused_at.is_some();
        // The resource was deleted, the job is unknown, or the answer was recorded in the write that starts the next
        // attempt.
        let is_ended = !matches!(attempt.outcome(), None | Some(Outcome::Succeeded));
        if !is_answered && !is_ended {
            broken.push(Broken::new("S4", format!("the rollback of attempt {number} was never accepted or refused")));
        }
    }
}

/// Whether a deleted resource was removed with a warning before its rollback was answered, because its grace period was
/// over or its Secret was deleted (L4 comes before L2).
fn is_released(record: &Record<'_>, uid: &str, number: i64) -> bool {
    record.operator_writes().any(|write| {
        let says_so = |status: &CognigyDeploymentStatus| {
            status.conditions.iter().any(|condition| condition.reason == Reason::DeletionGraceExpired)
        };
        write.uid() == uid
            && write.object.metadata.deletion_timestamp.is_some()
            && write.attempt().is_some_and(|attempt| attempt.number == number)
            && write.status().is_some_and(says_so)
    })
}

/// The streak grows by at most the number of bad answers that were received since it was last written.
fn streaks(record: &Record<'_>, write: &Write, broken: &mut Vec<Broken>) {
    let Some(attempt) = write.attempt() else { return };
    let before = write.same_attempt().map_or(0, |(before, _)| before.health.bad_streak);
    let grown = attempt.health.bad_streak - before;
    if grown <= 0 {
        return;
    }
    let since = last_growth(record, write);
    let answers = record.answered(Call::Health, since..write.place).filter(|request| is_bad(request, write)).count();
    if usize::try_from(grown).is_ok_and(|grown| grown > answers) {
        broken.push(Broken::new("S6", format!("the streak grew by {grown}, but {answers} bad answers were received")));
    }
}

/// The place of the last write before this one that changed the streak of this attempt.
fn last_growth(record: &Record<'_>, write: &Write) -> usize {
    let is_earlier = |other: &&Write| {
        other.place < write.place
            && other.uid() == write.uid()
            && other.same_attempt().is_some_and(|(before, after)| after.health.bad_streak != before.health.bad_streak)
            && other.attempt().map(|attempt| attempt.number) == write.attempt().map(|attempt| attempt.number)
    };
    record.writes.iter().filter(is_earlier).map(|other| other.place).next_back().unwrap_or(0)
}

fn is_bad(request: &RecordedRequest<'_>, write: &Write) -> bool {
    let answer = &request.exchange.answer;
    let limit = write.object.spec.monitoring.max_error_rate;
    request.exchange.status == 200
        && answer["status"]
            .as_str()
            .is_some_and(|status| status != "healthy" || answer["errorRate"].as_f64().is_some_and(|rate| rate >= limit))
}

/// Every rollback request was decided in a write, and that write has a valid reason for it.
fn reasons(record: &Record<'_>, rollback: &RecordedRequest<'_>, broken: &mut Vec<Broken>) {
    let number = rollback.exchange.number;
    let key = rollback.exchange.key.as_deref().unwrap_or_default();
    let decided = record.writes.iter().find(|write| decides(write, key)).filter(|write| write.place < rollback.place);
    let Some(write) = decided else {
        broken.push(Broken::new("S5", format!("rollback #{number} was requested before the decision was written")));
        return;
    };
    let Some(attempt) = write.attempt() else { return };
    let reason = rollback.exchange.body["reason"].as_str().unwrap_or_default();
    if !is_justified(record, write, attempt, reason) {
        broken.push(Broken::new("S5", format!("rollback #{number} has the reason {reason}, which is not justified")));
    }
}

fn decides(write: &Write, key: &str) -> bool {
    let rollback = write.attempt().and_then(|attempt| attempt.rollback.as_ref());
    rollback.is_some_and(|rollback| rollback.key.as_str() == key)
}

fn is_justified(record: &Record<'_>, write: &Write, attempt: &Attempt, reason: &str) -> bool {
    let Some(intent) = attempt.idempotency_key().and_then(|key| record.intent(key.as_str())) else {
        return false;
    };
    let part = intent.place..write.place;
    match reason {
        "health_check_failure" => {
            let (threshold, spacing, part) = match success_before(record, write, attempt) {
                Some(success) => {
                    let Some(watch) = write.object.spec.monitoring.after_success else { return false };
                    (watch.health_threshold, watch.interval(), success..write.place)
                }
                None => {
                    let spacing = shortest_interval(record, write, part.clone());
                    (write.object.spec.rollback_policy.health_threshold, spacing, part)
                }
            };
            let threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
            let answers: Vec<_> = record.answered(Call::Health, part).collect();
            let since_good = answers.iter().rposition(|request| is_good(request)).map_or(0, |good| good + 1);
            let bad: Vec<_> = answers[since_good..].iter().filter(|request| is_bad(request, write)).collect();
            let span = bad.first().zip(bad.last()).map_or(Duration::ZERO, |(first, last)| last.at - first.at);
            let least = spacing.mul_f64(0.9 * f64::from(u32::try_from(threshold.saturating_sub(1)).unwrap_or(0)));
            bad.len() >= threshold && span + Duration::from_secs(1) >= least
        }
        "deployment_failed" => {
            let answers: Vec<_> = record.answered(Call::Job, part).collect();
            let gone = answers.iter().filter(|request| request.exchange.status == 404).count();
            let ended = |request: &&RecordedRequest<'_>| {
                ["failed", "error", "cancelled", "canceled"]
                    .contains(&request.exchange.answer["status"].as_str().unwrap_or_default())
            };
            gone >= 2 || answers.iter().copied().any(|request| ended(&request))
        }
        "timeout" => {
            let timeout =
                Duration::from_secs(u64::try_from(write.object.spec.rollback_policy.timeout_seconds).unwrap_or(0));
            let deadline = intent.at + timeout;
            let last = record.answered(Call::Health, part.clone()).last();
            let was_good_before = last.is_some_and(|request| is_good(request) && request.at >= deadline);
            polls_had_no_good_answer(record, write, attempt, part, deadline) && !was_good_before
        }
        "manual" => is_new_request(record, write) || super::gates::acts_by_rollback_decision(record, write),
        "resource_deleted" => write.object.metadata.deletion_timestamp.is_some(),
        _ => false,
    }
}

/// The place of the write in which the attempt succeeded, if it succeeded before its rollback.
fn success_before(record: &Record<'_>, write: &Write, attempt: &Attempt) -> Option<usize> {
    let verdicts = record.verdicts();
    let success = verdicts.iter().find(|judged| {
        judged.verdict.outcome == Outcome::Succeeded
            && judged.number == attempt.number
            && judged.write.uid() == write.uid()
    })?;
    Some(success.write.place)
}

/// Whether the process that decides has polled the job or health after the deadline, and got no good answer. Only
/// requests that reached the platform count.
fn polls_had_no_good_answer(
    record: &Record<'_>,
    write: &Write,
    attempt: &Attempt,
    part: Range<usize>,
    deadline: Duration,
) -> bool {
    let is_start = |what: &Happening| matches!(what, Happening::Started(id) if write.by == Author::Operator(*id));
    let started = record.run.story.iter().position(|entry| is_start(&entry.what)).unwrap_or(0);
    let is_after = |request: &&RecordedRequest<'_>| {
        part.contains(&request.place) && request.place >= started && request.at + Duration::from_millis(500) >= deadline
    };
    let is_lost = |request: &RecordedRequest<'_>| request.answer_place.is_none_or(|place| place > write.place);
    let job = attempt.job_id().map(|job| job.as_str());
    let is_of_job = |request: &&RecordedRequest<'_>| request.exchange.job.as_ref().map(|job| job.as_str()) == job;
    let jobs = record.calls(Call::Job).filter(is_after).filter(is_of_job);
    let mut without_good_job =
        jobs.filter(|request| is_lost(request) || request.exchange.answer["status"] != "completed");
    let health = record.calls(Call::Health).filter(is_after);
    let mut without_good_health = health.filter(|request| is_lost(request) || !is_good(request));
    without_good_job.next().is_some() || without_good_health.next().is_some()
}

/// Whether the write handles a new value of the annotation.
fn is_new_request(record: &Record<'_>, write: &Write) -> bool {
    let handled = |status: Option<&CognigyDeploymentStatus>| status?.handled_requests.as_ref()?.rollback.clone();
    let (before, after) = (handled(write.status_before.as_ref()), handled(write.status()));
    let was_set = |value: &String| {
        let mut earlier = record.writes.iter().filter(|other| other.place <= write.place && other.uid() == write.uid());
        earlier.any(|other| {
            let annotations = other.object.metadata.annotations.as_ref();
            annotations.and_then(|set| set.get(ROLLBACK_ANNOTATION)) == Some(value)
        })
    };
    after != before && after.as_ref().is_some_and(was_set)
}

/// The shortest interval of the spec in this part of the story, because each answer counts by the interval of its time.
fn shortest_interval(record: &Record<'_>, write: &Write, part: Range<usize>) -> Duration {
    let of_part = record.writes.iter().filter(|other| other.uid() == write.uid() && part.contains(&other.place));
    let intervals = of_part.chain([write]).map(|other| other.object.spec.monitoring.interval_seconds);
    Duration::from_secs(intervals.min().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0))
}

fn is_good(request: &RecordedRequest<'_>) -> bool {
    let answer = &request.exchange.answer;
    request.exchange.status == 200
        && answer["status"] == "healthy"
        && answer["errorRate"].as_f64().is_some_and(|rate| rate < 0.05)
}
