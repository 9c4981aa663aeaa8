//! Properties that must hold in every state, and states that must be reachable.

use super::protocol::{HORIZON, Protocol, job_number};
use super::world::{Phase, World};
use api::Reason;
use api::status::Outcome;
use stateright::{Model, Property};

/// S1, if the API supports keys.
pub(super) const AT_MOST_ONE_JOB: &str = "an attempt has at most one job";
pub(super) const INTENT_FIRST: &str = "no submit arrives without a recorded intent";
pub(super) const ROLLBACK_INTENT_FIRST: &str = "no rollback arrives without a recorded intent";
/// S7.
pub(super) const NEVER_REWRITTEN: &str = "a verdict is never rewritten";
pub(super) const REJECTED_HAS_NO_JOB: &str = "a rejected attempt has no job";
/// G1.
pub(super) const APPROVED: &str = "no intent without an approval of its plan that is valid";
/// G5.
pub(super) const GOES_ON: &str = "an approval that a process can see lets the rollout go on";
pub(super) const NEWEST_LAST: &str = "no job starts after a job of a later attempt";

/// The promises and the stories that are checked in this model.
pub(super) fn of(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let further = [
        Property::always(REJECTED_HAS_NO_JOB, rejected_has_no_job),
        Property::always(NEWEST_LAST, |_, world: &World| !world.violations.job_too_late),
    ];
    let mut properties = always();
    properties.extend(further.into_iter().filter(|property| protocol.promised.contains(&property.name)));
    properties.extend(stories().into_iter().filter(|property| protocol.required_states.contains(&property.name)));
    properties
}

fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always(AT_MOST_ONE_JOB, |_, world: &World| {
            let jobs = &world.platform.jobs;
            jobs.iter().enumerate().all(|(n, job)| jobs[..n].iter().all(|other| other.attempt != job.attempt))
        }),
        Property::always(INTENT_FIRST, |_, world: &World| !world.violations.submit_without_intent),
        // S3.
        Property::always(
            "no job starts before the previous one has ended or its deadline has passed",
            |_, world: &World| !world.violations.job_too_early,
        ),
        Property::always(ROLLBACK_INTENT_FIRST, |_, world: &World| !world.violations.rollback_without_intent),
        // S5.
        Property::always("no rollback without a bad answer, a deadline or a request", |_, world: &World| {
            !world.violations.rollback_without_cause
        }),
        Property::always(NEVER_REWRITTEN, |_, world: &World| !world.violations.verdict_rewritten),
        Property::always(
            "an attempt that may have been submitted is never dropped, and its job is never replaced",
            |_, world: &World| !world.violations.attempt_dropped,
        ),
        Property::always(APPROVED, |_, world: &World| !world.violations.intent_unapproved),
        Property::always(GOES_ON, |_, world: &World| !world.violations.open_gate_unused),
        // G6.
        Property::always("no approval is used twice", |_, world: &World| !world.violations.approval_used_twice),
        Property::always("a recorded rollback has happened", a_recorded_rollback_has_happened),
        // L1 and L2: a state without successors is settled, after any faults.
        Property::always(
            "if nothing more can happen, the last request is settled",
            |protocol: &Protocol, world: &World| {
                let mut actions = Vec::new();
                protocol.is_final(world)
                    || world.tick < HORIZON && {
                        protocol.actions(world, &mut actions);
                        !actions.is_empty()
                    }
            },
        ),
    ]
}

fn stories() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("success", |_, world: &World| has_come_to(world, 1, Outcome::Succeeded)),
        Property::sometimes("unknown", |_, world: &World| has_come_to(world, 1, Outcome::Unknown)),
        Property::sometimes("rejected", |_, world: &World| has_come_to(world, 1, Outcome::Failed)),
        Property::sometimes("waits for ever", |_, world: &World| {
            world.waits_at_gate() == Some(false) && world.left.approvals == 0
        }),
        Property::sometimes("second success", |_, world: &World| has_come_to(world, 2, Outcome::Succeeded)),
        Property::sometimes("rollback after a crash", |_, world: &World| {
            world.has_crashed && has_come_to(world, 1, Outcome::RolledBack)
        }),
    ]
}

fn has_come_to(world: &World, number: i64, outcome: Outcome) -> bool {
    world.is_settled() && world.outcome_of(number) == Some(outcome)
}

fn rejected_has_no_job(_: &Protocol, world: &World) -> bool {
    let status = &world.resource.status;
    let current = status.attempt.iter().filter_map(|attempt| Some((attempt.number, attempt.verdict.as_ref()?)));
    let past = status.history.iter().map(|past| (past.number, &past.verdict));
    let mut rejected = current.chain(past).filter(|(_, verdict)| verdict.reason == Reason::SubmitRejected);
    rejected.all(|(number, _)| world.platform.jobs.iter().all(|job| job.attempt != number))
}

fn a_recorded_rollback_has_happened(_: &Protocol, world: &World) -> bool {
    let rolled_back = world.attempt().filter(|attempt| attempt.outcome() == Some(Outcome::RolledBack));
    let job = rolled_back.and_then(|attempt| attempt.job_id()).and_then(job_number);
    job.is_none_or(|job| world.platform.jobs[job].phase == Phase::RolledBack)
}
