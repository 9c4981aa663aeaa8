//! The promises that hold at every step of every test. Their numbers are those of the design.

use super::fixture::Given;
use super::gate_promises::{self, ActedOnce};
use crate::answer::HealthAnswer;
use crate::facts::Target;
use crate::requests::Request;
use crate::rest::is_at_rest;
use crate::{Decision, Memory, OutboxMessage, decide, key, summary};
use api::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use api::spec::OnUnhealthy;
use api::status::{Attempt, CognigyDeploymentStatus, DeliveryKind, Outcome, RollbackReason, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The observations that the promises need.
#[derive(Default)]
pub(super) struct Promises {
    /// The targets of the last passed validation and of the last passed trace.
    validated: Option<Target>,
    traced: Option<Target>,
    /// In this process, a request about job or health got an answer that was not good.
    heard_no_good_answer: bool,
    /// The last health answer could not be read.
    heard_nothing: bool,
    /// The uptime of the last poll that watched a success, in this process.
    watched_at: Option<Duration>,
    /// The bad answers in a row that this process heard while it watched the success.
    bad_after_success: u32,
    /// Another resource owned the environment at the last step.
    has_other_owner: bool,
    decisions: ActedOnce,
}

impl Promises {
    /// A restart forgets the answers.
    pub(super) fn restarted(&mut self) {
        self.heard_no_good_answer = false;
        (self.watched_at, self.bad_after_success) = (None, 0);
    }

    pub(super) fn heard_after_success(&mut self, answer: &HealthAnswer) {
        match answer {
            HealthAnswer::Good => self.bad_after_success = 0,
            HealthAnswer::Bad(_) => self.bad_after_success += 1,
            HealthAnswer::Unreadable(_) => {}
        }
    }

    /// The status was recorded.
    pub(super) fn recorded(&mut self, before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus) {
        self.decisions.recorded(before, after);
    }

    pub(super) fn heard(&mut self, answer: &HealthAnswer) {
        self.heard_nothing = matches!(answer, HealthAnswer::Unreadable(_));
    }

    pub(super) fn check(
        &mut self,
        decision: &Decision,
        before: &CognigyDeploymentStatus,
        after: &CognigyDeploymentStatus,
        given: &Given,
        memory: &Memory,
        messages: &[OutboxMessage],
    ) {
        self.nothing_is_submitted_unchecked(decision, after, given);
        self.nothing_is_rolled_back_without_cause(decision, before, after, memory);
        self.a_success_is_watched_at_intervals(decision, before, given);
        self.a_watched_success_is_rolled_back_for_bad_health(decision, before, given);
        gate_promises::check(decision, before, after, given, memory);
        one_attempt_has_one_submit(before, after);
        nothing_starts_while_a_rollout_is_in_flight(decision, before);
        self.an_unreadable_answer_counts_as_nothing(decision, before, after);
        an_outcome_is_never_rewritten(before, after);
        summary_is_what_kstatus_understands(after, given);
        times_move_only_with_the_status(before, after);
        let had_other_owner = std::mem::replace(&mut self.has_other_owner, given.other_owner.is_some());
        if !had_other_owner {
            what_runs_changes_only_with_the_attempt(before, after, given);
        }
        every_message_has_its_own_id(messages);
        every_submitted_attempt_is_audited(after, messages, given);
        history_is_as_long_as_the_spec_says(before, after, given);
        a_resource_at_rest_needs_no_memory(after, given, memory);
    }

    /// S2.
    fn nothing_is_submitted_unchecked(&mut self, decision: &Decision, after: &CognigyDeploymentStatus, given: &Given) {
        let target = given.target().ok();
        let conditions = &after.conditions;
        match decision {
            Decision::Start | Decision::CheckAgain => (self.validated, self.traced) = (None, None),
            Decision::Validate => {
                self.validated = target.filter(|_| conditions.is_true(ConditionType::Validated));
                self.traced = None;
            }
            Decision::Trace => self.traced = target.filter(|_| conditions.is_true(ConditionType::TracePassed)),
            Decision::Intend => {
                assert!(target.is_some(), "an intent without a target");
                assert_eq!(self.validated, target, "S2: submitted unvalidated");
                assert_eq!(self.traced, target, "S2: submitted untraced");
            }
            Decision::Submit => {
                assert!(conditions.is_true(ConditionType::Validated), "S2: submitted unvalidated");
                assert!(conditions.is_true(ConditionType::TracePassed), "S2: submitted untraced");
            }
            _ => {}
        }
    }

    /// S5.
    fn nothing_is_rolled_back_without_cause(
        &mut self,
        decision: &Decision,
        before: &CognigyDeploymentStatus,
        after: &CognigyDeploymentStatus,
        memory: &Memory,
    ) {
        self.heard_no_good_answer |= memory.attempt.polls.no_good_answer_at_age().is_some();
        let (Some(now), Some(was)) = (&after.attempt, &before.attempt) else { return };
        if now.step != Step::RollingBack || was.step == Step::RollingBack {
            return;
        }
        match decision {
            Decision::HandleRequest(Request::Rollback) | Decision::BeginRollback(_) => {}
            Decision::Submit | Decision::ApplySubmitAnswer => {
                assert!(was.rollback.is_some(), "S5: this rollback was not requested")
            }
            Decision::PollHealth => {
                assert!(now.health.bad_streak > was.health.bad_streak, "S5: no bad answer has counted")
            }
            Decision::PollJob | Decision::CheckJob => {
                let status = after.conditions.find(ConditionType::RolledOut).map(|condition| condition.status);
                assert_eq!(status, Some(ConditionStatus::False), "S5: the job did not end badly");
            }
            Decision::DeclareTimeout => assert!(self.heard_no_good_answer, "S5: a missing answer is not a verdict"),
            other => panic!("S5: {other:?} starts a rollback"),
        }
    }

    /// At most one request an interval, and only while the environment runs what the attempt has deployed.
    fn a_success_is_watched_at_intervals(
        &mut self,
        decision: &Decision,
        before: &CognigyDeploymentStatus,
        given: &Given,
    ) {
        match decision {
            Decision::Start | Decision::HandleRequest(_) => (self.watched_at, self.bad_after_success) = (None, 0),
            Decision::WatchHealth => {
                let attempt = before.attempt.as_ref().expect("a success is watched");
                assert_eq!(attempt.outcome(), Some(Outcome::Succeeded), "watched without a success");
                assert_eq!((attempt.step, &attempt.rollback), (Step::Settled, &None), "watched after a rollback");
                assert_eq!((&given.other_owner, given.deleted_at), (&None, None), "watched what it does not own");
                let interval = given.spec.monitoring.after_success.expect("it is switched on").interval();
                let now = given.now.uptime;
                assert!(self.watched_at.is_none_or(|at| now >= at + interval), "two requests in one interval");
                self.watched_at = Some(now);
            }
            _ => {}
        }
    }

    /// S5, after a success: as many bad answers in a row as the spec says, and once.
    fn a_watched_success_is_rolled_back_for_bad_health(
        &self,
        decision: &Decision,
        before: &CognigyDeploymentStatus,
        given: &Given,
    ) {
        if *decision == Decision::BeginRollback(RollbackReason::HealthCheckFailure) {
            let attempt = before.attempt.as_ref().expect("a success is rolled back");
            assert_eq!((attempt.outcome(), &attempt.rollback), (Some(Outcome::Succeeded), &None), "S5: not once");
            assert_eq!(given.other_owner, None, "S5: another resource has deployed since");
            let watch = given.spec.monitoring.after_success.expect("it is switched on");
            assert_eq!(watch.on_unhealthy, OnUnhealthy::Rollback, "S5: not asked for");
            assert!(self.bad_after_success >= watch.threshold(), "S5: too few bad answers in a row");
        }
    }

    /// S6. Only a bad answer increases the streak of bad answers, and an unreadable answer changes neither streak.
    fn an_unreadable_answer_counts_as_nothing(
        &self,
        decision: &Decision,
        before: &CognigyDeploymentStatus,
        after: &CognigyDeploymentStatus,
    ) {
        let (Some(was), Some(now)) = (&before.attempt, &after.attempt) else { return };
        if *decision == Decision::PollHealth && self.heard_nothing {
            let streaks = |attempt: &Attempt| (attempt.health.bad_streak, attempt.health.good_streak);
            assert_eq!(streaks(was), streaks(now), "S6: an unreadable answer counted");
        }
        if now.health.bad_streak > was.health.bad_streak && now.number == was.number {
            assert_eq!(*decision, Decision::PollHealth, "S6: an answer that is not about health counted as bad");
        }
    }
}

/// S1: the key, the body and the time of an intent never change.
fn one_attempt_has_one_submit(before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus) {
    let (Some(was), Some(now)) = (&before.attempt, &after.attempt) else { return };
    if was.number == now.number && was.has_intent() {
        let identity = |attempt: &Attempt| {
            let hash = attempt.submission.as_ref().map(|submission| submission.request_hash.clone());
            (attempt.idempotency_key().cloned(), hash, attempt.intended_at(), attempt.digest.clone())
        };
        assert_eq!(identity(was), identity(now), "S1: an intent has changed");
    }
}

/// S3.
fn nothing_starts_while_a_rollout_is_in_flight(decision: &Decision, before: &CognigyDeploymentStatus) {
    if let (Decision::Start, Some(attempt)) = (decision, &before.attempt) {
        assert!(!attempt.is_in_flight(), "S3: an attempt starts while another one is in flight");
    }
}

/// S7, for the current attempt and for history.
fn an_outcome_is_never_rewritten(before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus) {
    let verdicts = |status: &CognigyDeploymentStatus| {
        let past = status.history.iter().map(|past| (past.number, past.verdict.clone()));
        let current = status.attempt.iter().filter_map(|now| Some((now.number, now.verdict.clone()?)));
        past.chain(current).collect::<BTreeMap<_, _>>()
    };
    let (was, now) = (verdicts(before), verdicts(after));
    for (number, verdict) in &was {
        assert!(now.get(number).is_none_or(|rewritten| rewritten == verdict), "S7: an outcome was rewritten");
    }
}

fn summary_is_what_kstatus_understands(after: &CognigyDeploymentStatus, given: &Given) {
    let conditions = &after.conditions;
    let ready = conditions.find(ConditionType::Ready).expect("Ready is always present");
    let [reconciling, stalled] = [ConditionType::Reconciling, ConditionType::Stalled].map(|flag| conditions.find(flag));
    for flag in [reconciling, stalled].into_iter().flatten() {
        assert_eq!(flag.status, ConditionStatus::True, "present only when True");
    }
    assert!(reconciling.is_none() || stalled.is_none(), "Reconciling and Stalled at the same time");
    match ready.status {
        ConditionStatus::True => {
            assert!(reconciling.is_none() && stalled.is_none(), "Ready is True together with Reconciling or Stalled")
        }
        ConditionStatus::Unknown => assert!(reconciling.is_some(), "Ready is Unknown without Reconciling"),
        ConditionStatus::False => assert!(reconciling.is_none(), "Ready is False together with Reconciling"),
    }
    assert_eq!(after.observed_generation, given.generation);
    assert_eq!(ready.observed_generation, given.generation);
    let has_succeeded = after.attempt.as_ref().and_then(Attempt::outcome) == Some(Outcome::Succeeded);
    assert!(ready.status != ConditionStatus::True || has_succeeded, "S10: Ready without a success");
}

fn times_move_only_with_the_status(before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus) {
    for now in &after.conditions {
        if let Some(was) = before.conditions.find(now.condition_type)
            && was.status == now.status
        {
            let time = |condition: &Condition| condition.last_transition_time;
            assert_eq!(time(was), time(now), "the time of {} moved without its status", now.condition_type);
        }
    }
}

/// So it costs no write of its own. S10: it names a configuration without a doubt only after a success.
fn what_runs_changes_only_with_the_attempt(
    before: &CognigyDeploymentStatus,
    after: &CognigyDeploymentStatus,
    given: &Given,
) {
    let is_changed =
        before.attempt != after.attempt || before.conditions != after.conditions || given.other_owner.is_some();
    assert!(is_changed || before.running == after.running, "only what runs has changed");
    let (Some(running), Some(attempt)) = (&after.running, &after.attempt) else { return };
    let is_certain = running.before.is_none() && Some(&running.configuration) == attempt.version.as_ref();
    if running.attempt == attempt.number && is_certain {
        assert_eq!(attempt.outcome(), Some(Outcome::Succeeded), "S10: it runs without a success");
    }
}

fn every_message_has_its_own_id(messages: &[OutboxMessage]) {
    let ids: BTreeSet<_> = messages.iter().map(id_of).collect();
    assert_eq!(ids.len(), messages.len(), "two messages share an id");
}

/// S8: a submitted attempt that has ended has its audit record, and one that was not submitted has none.
fn every_submitted_attempt_is_audited(after: &CognigyDeploymentStatus, messages: &[OutboxMessage], given: &Given) {
    let Some(attempt) = after.attempt.as_ref().filter(|attempt| attempt.verdict.is_some()) else { return };
    let is_rejected = attempt.verdict.as_ref().is_some_and(|verdict| verdict.reason == api::Reason::SubmitRejected);
    let id = key::outcome_message(given.facts(given.now).uid, attempt.number, attempt.started_at, DeliveryKind::Audit);
    let records = messages.iter().filter(|message| *id_of(message) == id).count();
    assert_eq!(records, usize::from(attempt.has_intent() && !is_rejected), "S8: audit records of {attempt:?}");
}

fn id_of(message: &OutboxMessage) -> &api::IdempotencyKey {
    match message {
        OutboxMessage::Audit { id, .. } | OutboxMessage::Webhook { id, .. } => id,
    }
}

fn history_is_as_long_as_the_spec_says(
    before: &CognigyDeploymentStatus,
    after: &CognigyDeploymentStatus,
    given: &Given,
) {
    let limit = usize::try_from(given.spec.history_limit).unwrap();
    assert!(after.history.len() <= limit.max(before.history.len()), "history grows over its limit");
    assert!(after.history.is_sorted_by(|newer, older| newer.number > older.number), "history is out of order");
}

/// The memory of a resource at rest may be dropped, because it leads to no action.
fn a_resource_at_rest_needs_no_memory(after: &CognigyDeploymentStatus, given: &Given, memory: &Memory) {
    let facts = given.facts(given.now);
    if is_at_rest(&facts, after) {
        assert_eq!(
            decide(&facts, after, memory),
            Decision::Wait(None),
            "there is something to do for a resource at rest"
        );
        let mut refreshed = after.clone();
        summary::refresh(&mut refreshed, &facts, memory);
        assert_eq!(refreshed, *after, "there is something to write for a resource at rest");
    }
}
