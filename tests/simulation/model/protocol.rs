//! What can happen in the modelled world.

use super::operator::{Core, Next, without_words};
use super::promises::{self, REJECTED_HAS_NO_JOB};
use super::world::{
    Budget, LATEST, Phase, Platform, Printed, Process, Request, Resource, UserRequests, Violations, World,
};
use api::JobId;
use api::status::{Attempt, CognigyDeploymentStatus, HandledRequests, Step};
use stateright::{Model, Property};

/// Until this tick the resource may be without any operator.
const OUTAGE_ENDS: u8 = 8;
/// The last tick. A world that has not settled by then counts as one that never settles.
pub(super) const HORIZON: u8 = 24;

/// A mistake in the protocol, which the checker must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// The submit is sent before its intent is recorded.
    NoIntent,
    /// The intent overwrites changes that were written since the decision.
    UnguardedIntent,
    /// Each POST of a submit has its own random key.
    RandomKey,
    /// The job overwrites changes that were written since the submit.
    UnguardedJob,
    /// The submit is sent again after the platform has forgotten its key.
    KeyReusedAfterExpiry,
    /// Any refusal of a submit counts as a rejection, even if another process wrote the intent.
    AnyRefusalRejects,
    /// The next attempt begins before the outcome of this one is recorded, and the answers to this one are lost.
    NextAttemptBeforeTheRecord,
    /// The rollback is sent before it is recorded.
    RollbackBeforeItsRecord,
    /// An approval is valid for ever.
    ApprovalNeverExpires,
    /// A process does not learn of approvals that are given while it runs.
    ApprovalUnseen,
}

/// The model: the number of processes that act at the same time, and the number of faults.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    pub(super) core: Core,
    operators: usize,
    budget: Budget,
    is_gated: bool,
    pub(super) mutant: Option<Mutant>,
    /// Promises that are checked in addition to those that are always checked.
    pub(super) promised: Vec<&'static str>,
    /// Stories that must occur in at least one state.
    pub(super) required_states: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A process starts, and reads the resource.
    Start(usize),
    Crash(usize),
    /// A process reads the newest version.
    Read(usize),
    /// A process writes its unrecorded status. The write is guarded by the version that it has read.
    Write(usize),
    /// The same, but its answer is lost.
    WriteWithoutAnswer(usize),
    Send(usize),
    /// The call does not leave the process.
    FailToSend(usize),
    PollJob(usize, JobReply),
    PollHealth(usize, HealthReply),
    /// A request arrives. Its sender receives the answer if it still waits.
    Deliver(usize),
    /// A request arrives and is refused with a 4xx.
    Refuse(usize),
    /// A request arrives, but its answer is lost.
    LoseAnswer(usize),
    /// A request is lost.
    Lose(usize),
    /// The sender stops waiting, but the request is still under way.
    StopWaiting(usize),
    /// Somebody edits the configuration.
    Edit,
    /// Somebody requests a rollback.
    RequestRollback,
    /// Somebody approves the plan that waits.
    Approve,
    /// Somebody deletes the last approval.
    Withdraw,
    /// The watch of a process shows the approvals.
    See(usize),
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobReply {
    Completed,
    Failed,
    RolledBack,
    Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthReply {
    Good,
    Bad,
    Unreadable,
}

impl Protocol {
    pub(super) fn new(operators: usize, budget: Budget) -> Self {
        // This promise needs a lease, or a single operator.
        let promised = if operators == 1 { vec![REJECTED_HAS_NO_JOB] } else { Vec::new() };
        let core = Core::new(None, false);
        Self { core, operators, budget, is_gated: false, mutant: None, promised, required_states: Vec::new() }
    }

    /// Each submit needs an approval.
    pub(super) fn gated(self) -> Self {
        Self { core: Core::new(self.mutant, true), is_gated: true, ..self }
    }

    pub(super) fn is_gated(&self) -> bool {
        self.is_gated
    }

    /// Also checks this promise.
    pub(super) fn promising(mut self, promise: &'static str) -> Self {
        self.promised.push(promise);
        self
    }

    /// Also checks that these stories occur.
    pub(super) fn requiring(self, stories: &[&'static str]) -> Self {
        Self { required_states: stories.to_vec(), ..self }
    }

    pub(super) fn with(self, mutant: Mutant) -> Self {
        Self { core: Core::new(Some(mutant), self.is_gated), mutant: Some(mutant), ..self }
    }

    /// The next step of each process that does not wait for an answer.
    pub(super) fn nexts(&self, world: &World) -> Vec<(usize, Next)> {
        let acting = running(world).filter(|(_, process)| !process.is_waiting);
        acting.map(|(who, process)| (who, self.core.plan(process, world.tick).next)).collect()
    }

    /// The actions that can happen without a fault and without a request of a user.
    pub(super) fn progress(&self, world: &World, nexts: &[(usize, Next)], actions: &mut Vec<Action>) {
        let outdated = running(world).filter(|(_, process)| process.is_idle() && !process.is_current);
        actions.extend(outdated.map(|(who, _)| Action::Read(who)));
        let unseen = running(world).filter(|(_, process)| process.approvals != world.approvals);
        let is_watched = self.mutant != Some(Mutant::ApprovalUnseen);
        actions.extend(unseen.filter(|_| is_watched).map(|(who, _)| Action::See(who)));
        for &(who, next) in nexts {
            match next {
                Next::Rest => {}
                Next::Write => actions.push(Action::Write(who)),
                Next::SendSubmit | Next::SendRollback => actions.push(Action::Send(who)),
                Next::PollJob | Next::CheckJob => {
                    actions.extend(job_replies(world, who).iter().map(|reply| Action::PollJob(who, *reply)));
                }
                Next::PollHealth => {
                    actions.push(Action::PollHealth(who, HealthReply::Good));
                    // After a rollback, a bad answer only changes how long health is polled.
                    if attempt_of(world, who).is_some_and(|attempt| attempt.step == Step::Monitoring) {
                        actions.push(Action::PollHealth(who, HealthReply::Bad));
                    }
                }
            }
        }
        let waited_for = world.network.iter().enumerate().filter(|(_, request)| request.asker.is_some());
        actions.extend(waited_for.map(|(number, _)| Action::Deliver(number)));
    }

    /// The faults that can happen.
    fn faults(&self, world: &World, nexts: &[(usize, Next)], actions: &mut Vec<Action>) {
        let left = &world.left;
        if left.crashes > 0 {
            actions.extend(running(world).map(|(who, _)| Action::Crash(who)));
        }
        for &(who, next) in nexts.iter().filter(|_| left.losses > 0) {
            match next {
                Next::Rest => {}
                Next::Write => actions.push(Action::WriteWithoutAnswer(who)),
                Next::SendSubmit | Next::SendRollback => actions.push(Action::FailToSend(who)),
                Next::PollJob | Next::CheckJob => actions.push(Action::PollJob(who, JobReply::Unreadable)),
                Next::PollHealth => actions.push(Action::PollHealth(who, HealthReply::Unreadable)),
            }
        }
        for (number, request) in world.network.iter().enumerate() {
            if request.asker.is_none() {
                // Nobody waits for this request, so its loss is not taken from the budget of losses.
                actions.extend([Action::Lose(number), Action::Deliver(number)]);
                continue;
            }
            if left.losses > 0 {
                actions.extend([Action::Lose(number), Action::LoseAnswer(number)]);
            }
            if left.refusals > 0 {
                actions.push(Action::Refuse(number));
            }
            if left.delays > 0 {
                actions.push(Action::StopWaiting(number));
            }
        }
    }

    /// Whether time may pass. It passes if nothing else can happen. If something else can happen, it passes only if the
    /// budget has delays left. It does not pass while a process waits for a request, or if a request has been under way
    /// for the maximum time.
    fn may_tick(&self, world: &World, could_progress: bool) -> bool {
        let holds_up = |request: &Request| request.asker.is_some() || world.tick - request.sent_at >= LATEST;
        if world.tick >= HORIZON || world.network.iter().any(holds_up) {
            return false;
        }
        let is_deserted = running(world).next().is_none();
        match (is_deserted, could_progress) {
            (true, _) => world.tick < OUTAGE_ENDS && !self.is_final(world),
            (false, true) => world.left.delays > 0,
            (false, false) => !self.is_final(world),
        }
    }

    /// Whether the last request of the users is settled or waits for an approval, and nothing is under way.
    pub(super) fn is_final(&self, world: &World) -> bool {
        let requests = world.resource.user_requests;
        let handled = world.resource.status.handled_requests.as_ref().is_some_and(|handled| handled.rollback.is_some());
        let is_watched = running(world).next().is_some();
        let waits = is_watched && world.network.is_empty() && world.waits_at_gate() == Some(false);
        let is_over = waits || world.is_settled();
        is_over
            && handled == requests.rollback
            && world.attempt().is_some_and(|attempt| attempt.digest == *self.core.digest(requests))
    }
}

/// The processes that run, by number.
pub(super) fn running(world: &World) -> impl Iterator<Item = (usize, &Process)> {
    world.operators.iter().enumerate().filter_map(|(who, process)| Some((who, process.as_ref()?)))
}

/// The attempt as a process sees it.
fn attempt_of(world: &World, who: usize) -> Option<&Attempt> {
    world.operators[who].as_ref()?.working.attempt.as_ref()
}

/// The possible answers of the platform about the job that a process knows.
fn job_replies(world: &World, who: usize) -> &'static [JobReply] {
    let job = attempt_of(world, who).and_then(|attempt| attempt.job_id()).and_then(job_number);
    match job.map(|job| world.platform.jobs[job].phase) {
        Some(Phase::Running) => &[JobReply::Completed, JobReply::Failed],
        Some(Phase::Completed) => &[JobReply::Completed],
        Some(Phase::Failed) => &[JobReply::Failed],
        Some(Phase::RolledBack) => &[JobReply::RolledBack],
        None => &[],
    }
}

pub(super) fn job_number(id: &JobId) -> Option<usize> {
    id.as_str().strip_prefix("job_")?.parse().ok()
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut status =
            CognigyDeploymentStatus { handled_requests: Some(HandledRequests::default()), ..Default::default() };
        without_words(&mut status);
        let resource = Resource { user_requests: UserRequests::default(), status: Printed::new(status) };
        vec![World {
            tick: 0,
            operators: (0..self.operators).map(|_| Some(Process::started(&resource, &[]))).collect(),
            resource,
            network: Vec::new(),
            platform: Platform::default(),
            left: self.budget,
            has_crashed: false,
            submit_intents: Vec::new(),
            rollback_intents: Vec::new(),
            approvals: Vec::new(),
            given: 0,
            used: Vec::new(),
            posts: 0,
            violations: Violations::default(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let nexts = self.nexts(world);
        self.progress(world, &nexts, actions);
        let could_progress = !actions.is_empty();
        if self.may_tick(world, could_progress) {
            actions.push(Action::Tick);
        }
        let down = world.operators.iter().position(Option::is_none);
        actions.extend(down.filter(|_| !self.is_final(world)).map(Action::Start));
        self.faults(world, &nexts, actions);
        if world.left.edits > 0 {
            actions.push(Action::Edit);
        }
        if world.left.rollback_requests > 0 {
            actions.push(Action::RequestRollback);
        }
        if world.left.approvals > 0 && world.waits_at_gate().is_some() {
            actions.push(Action::Approve);
        }
        if world.left.withdrawals > 0 && !world.approvals.is_empty() {
            actions.push(Action::Withdraw);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        // Every listed action must be possible. If an impossible one were ignored, a stuck world would look as if it
        // could continue.
        self.happen(&mut next, action).unwrap();
        next.order_what_is_alike();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::of(self)
    }
}
