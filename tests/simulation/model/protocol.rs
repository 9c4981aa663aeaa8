//! What can happen in the modelled world.

use super::operator::{Brain, Next, without_words};
use super::promises::{self, REJECTED_HAS_NO_JOB};
use super::world::{Asked, Budget, LATEST, Phase, Platform, Printed, Process, Request, Resource, World, Wrongs};
use api::JobId;
use api::status::{Attempt, CognigyDeploymentStatus, HandledRequests, Step};
use stateright::{Model, Property};

/// Until this tick the world may leave the resource without any operator.
const OUTAGE_ENDS: u8 = 8;
/// A world that has not settled by this tick never will.
pub(super) const HORIZON: u8 = 24;

/// A mistake in the protocol, which the checker must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// The submit is sent before its intent is recorded.
    NoIntent,
    /// The intent is written whatever has been written since.
    UnguardedIntent,
    /// Each POST of a submit has a key of its own.
    RandomKey,
    /// The job is written whatever has been written since.
    UnguardedJob,
    /// The submit is sent again after the platform has forgotten its key.
    KeyReusedAfterExpiry,
    /// Any refusal of a submit is taken for a rejection, whoever wrote the intent.
    AnyRefusalRejects,
    /// The next attempt begins, and this one's answers are forgotten, before its outcome is recorded.
    NextAttemptBeforeTheRecord,
    /// The rollback is sent before it is recorded.
    RollbackBeforeItsRecord,
}

/// The model: so many processes that act at the same time, and so much that may go wrong.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    pub(super) brain: Brain,
    operators: usize,
    budget: Budget,
    pub(super) mutant: Option<Mutant>,
    /// Promises that are checked beside those that always are.
    pub(super) promised: Vec<&'static str>,
    /// Stories that some world must tell.
    pub(super) told: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A process starts, and reads the resource.
    Start(usize),
    Crash(usize),
    /// A process learns of the newest version.
    Look(usize),
    /// A process writes what it has not recorded; the write is guarded by the version it has seen.
    Write(usize),
    /// The same, but its answer is lost.
    WriteUnheard(usize),
    Send(usize),
    /// The call does not leave the process.
    FailToSend(usize),
    AskJob(usize, JobWord),
    AskHealth(usize, HealthWord),
    /// A request arrives; its sender hears the answer if it still waits.
    Deliver(usize),
    /// A request arrives and is turned away with a 4xx.
    Refuse(usize),
    /// A request arrives; its answer is lost.
    LoseAnswer(usize),
    /// A request is lost.
    Lose(usize),
    /// The sender waits no longer; the request is still under way.
    StopWaiting(usize),
    /// Somebody edits the configuration.
    Edit,
    /// Somebody asks for a rollback.
    AskForRollback,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobWord {
    Completed,
    Failed,
    RolledBack,
    Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthWord {
    Good,
    Bad,
    Unreadable,
}

impl Protocol {
    pub(super) fn new(operators: usize, budget: Budget) -> Self {
        // Who may hear a rejection rests on the lease (or on there being one operator).
        let promised = if operators == 1 { vec![REJECTED_HAS_NO_JOB] } else { Vec::new() };
        Self { brain: Brain::new(None), operators, budget, mutant: None, promised, told: Vec::new() }
    }

    /// Checks this promise, too.
    pub(super) fn promising(mut self, promise: &'static str) -> Self {
        self.promised.push(promise);
        self
    }

    /// Checks that these stories are told.
    pub(super) fn telling(self, stories: &[&'static str]) -> Self {
        Self { told: stories.to_vec(), ..self }
    }

    pub(super) fn with(self, mutant: Mutant) -> Self {
        Self { brain: Brain::new(Some(mutant)), mutant: Some(mutant), ..self }
    }

    /// What each process that may act does next.
    pub(super) fn nexts(&self, world: &World) -> Vec<(usize, Next)> {
        let acting = running(world).filter(|(_, process)| !process.is_waiting);
        acting.map(|(who, process)| (who, self.brain.plan(process, world.tick).next)).collect()
    }

    /// What can happen by itself, without anything going wrong and without anybody asking for anything.
    pub(super) fn progress(&self, world: &World, nexts: &[(usize, Next)], actions: &mut Vec<Action>) {
        let outdated = running(world).filter(|(_, process)| process.is_idle() && !process.is_current);
        actions.extend(outdated.map(|(who, _)| Action::Look(who)));
        for &(who, next) in nexts {
            match next {
                Next::Rest => {}
                Next::Write => actions.push(Action::Write(who)),
                Next::SendSubmit | Next::SendRollback => actions.push(Action::Send(who)),
                Next::AskJob | Next::CheckJob => {
                    actions.extend(job_words(world, who).iter().map(|word| Action::AskJob(who, *word)));
                }
                Next::AskHealth => {
                    actions.push(Action::AskHealth(who, HealthWord::Good));
                    // After a rollback a bad answer changes nothing but how long health is watched.
                    if attempt_of(world, who).is_some_and(|attempt| attempt.step == Step::Monitoring) {
                        actions.push(Action::AskHealth(who, HealthWord::Bad));
                    }
                }
            }
        }
        let waited_for = world.network.iter().enumerate().filter(|(_, request)| request.asker.is_some());
        actions.extend(waited_for.map(|(number, _)| Action::Deliver(number)));
    }

    /// What a kind world would do without.
    fn misfortunes(&self, world: &World, nexts: &[(usize, Next)], actions: &mut Vec<Action>) {
        let left = &world.left;
        if left.crashes > 0 {
            actions.extend(running(world).map(|(who, _)| Action::Crash(who)));
        }
        for &(who, next) in nexts.iter().filter(|_| left.losses > 0) {
            match next {
                Next::Rest => {}
                Next::Write => actions.push(Action::WriteUnheard(who)),
                Next::SendSubmit | Next::SendRollback => actions.push(Action::FailToSend(who)),
                Next::AskJob | Next::CheckJob => actions.push(Action::AskJob(who, JobWord::Unreadable)),
                Next::AskHealth => actions.push(Action::AskHealth(who, HealthWord::Unreadable)),
            }
        }
        for (number, request) in world.network.iter().enumerate() {
            if request.asker.is_none() {
                // Nobody waits for it: that it is lost costs nobody anything.
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

    /// Time passes when nothing else happens, and, for a price, when something could. A request neither is waited for
    /// nor stays under way for ever.
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

    /// What was asked for last is settled, and nothing is under way.
    pub(super) fn is_final(&self, world: &World) -> bool {
        let asked = world.resource.asked;
        let handled = world.resource.status.handled_requests.as_ref().is_some_and(|handled| handled.rollback.is_some());
        world.is_settled()
            && handled == asked.rollback
            && world.attempt().is_some_and(|attempt| attempt.digest == *self.brain.digest(asked))
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

/// What the platform may say about the job that a process knows.
fn job_words(world: &World, who: usize) -> &'static [JobWord] {
    let job = attempt_of(world, who).and_then(|attempt| attempt.job_id()).and_then(job_number);
    match job.map(|job| world.platform.jobs[job].phase) {
        Some(Phase::Running) => &[JobWord::Completed, JobWord::Failed],
        Some(Phase::Completed) => &[JobWord::Completed],
        Some(Phase::Failed) => &[JobWord::Failed],
        Some(Phase::RolledBack) => &[JobWord::RolledBack],
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
        let resource = Resource { asked: Asked::default(), status: Printed::new(status) };
        vec![World {
            tick: 0,
            operators: (0..self.operators).map(|_| Some(Process::started(&resource))).collect(),
            resource,
            network: Vec::new(),
            platform: Platform::default(),
            left: self.budget,
            has_crashed: false,
            submit_intents: Vec::new(),
            rollback_intents: Vec::new(),
            posts: 0,
            wrongs: Wrongs::default(),
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
        self.misfortunes(world, &nexts, actions);
        if world.left.edits > 0 {
            actions.push(Action::Edit);
        }
        if world.left.rollback_requests > 0 {
            actions.push(Action::AskForRollback);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        // An action that is offered can happen: to ignore it would hide a world that is stuck.
        self.happen(&mut next, action).unwrap();
        next.order_what_is_alike();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::of(self)
    }
}
