//! What can happen in the modelled world, and what must never.

use super::operator::{Brain, Next, Plan, key_of, without_words};
use super::world::{
    Asked, Budget, Call, LATEST, Phase, Platform, Printed, Process, Request, Resource, TIMEOUT, World, Wrongs, hash_of,
};
use cognigy_operator::api::status::{CognigyDeploymentStatus, HandledRequests, Outcome, Step};
use cognigy_operator::api::{JobId, Reason};
use cognigy_operator::rollout::answer::{HealthAnswer, JobAnswer, RollbackAnswer, SubmitAnswer};
use cognigy_operator::rollout::{Obstacle, apply};
use stateright::{Model, Property};

/// Until this tick the world may leave the resource without any operator.
const OUTAGE_ENDS: u8 = 8;
/// A world that has not settled by this tick never will.
const HORIZON: u8 = 24;

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
    /// The rollback is sent before it is recorded.
    RollbackBeforeItsRecord,
}

/// The model: so many processes that act at the same time, and so much that may go wrong.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    brain: Brain,
    operators: usize,
    budget: Budget,
    mutant: Option<Mutant>,
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
        Self { brain: Brain::new(None), operators, budget, mutant: None }
    }

    pub(super) fn with(self, mutant: Mutant) -> Self {
        Self { brain: Brain::new(Some(mutant)), mutant: Some(mutant), ..self }
    }

    /// What can happen by itself, without anything going wrong and without anybody asking for anything.
    fn progress(&self, world: &World, actions: &mut Vec<Action>) {
        for (who, process) in running(world) {
            if process.is_idle() && !process.is_current {
                actions.push(Action::Look(who));
            }
            if process.is_waiting {
                continue;
            }
            match self.brain.plan(process, world.tick).next {
                Next::Rest => {}
                Next::Write => actions.push(Action::Write(who)),
                Next::SendSubmit | Next::SendRollback => actions.push(Action::Send(who)),
                Next::AskJob | Next::LookAtJob => {
                    job_words(world, process).for_each(|word| actions.push(Action::AskJob(who, word)))
                }
                Next::AskHealth => {
                    actions.extend([Action::AskHealth(who, HealthWord::Good), Action::AskHealth(who, HealthWord::Bad)]);
                }
            }
        }
        for (request, _) in world.network.iter().enumerate().filter(|(_, request)| request.asker.is_some()) {
            actions.push(Action::Deliver(request));
        }
    }

    /// What a kind world would do without.
    fn misfortunes(&self, world: &World, actions: &mut Vec<Action>) {
        let left = &world.left;
        for (who, process) in running(world) {
            if left.crashes > 0 {
                actions.push(Action::Crash(who));
            }
            if left.losses == 0 || process.is_waiting {
                continue;
            }
            match self.brain.plan(process, world.tick).next {
                Next::Rest => {}
                Next::Write if process.is_current => actions.push(Action::WriteUnheard(who)),
                Next::Write => {}
                Next::SendSubmit | Next::SendRollback => actions.push(Action::FailToSend(who)),
                Next::AskJob | Next::LookAtJob => actions.push(Action::AskJob(who, JobWord::Unreadable)),
                Next::AskHealth => actions.push(Action::AskHealth(who, HealthWord::Unreadable)),
            }
        }
        for (number, request) in world.network.iter().enumerate() {
            match request.asker {
                Some(_) if left.losses > 0 => actions.extend([Action::Lose(number), Action::LoseAnswer(number)]),
                Some(_) => {}
                // Nobody waits for it: that it is lost costs nobody anything.
                None => actions.extend([Action::Lose(number), Action::Deliver(number)]),
            }
            if request.asker.is_some() && left.refusals > 0 {
                actions.push(Action::Refuse(number));
            }
            if request.asker.is_some() && left.delays > 0 {
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
    fn is_final(&self, world: &World) -> bool {
        let asked = world.resource.asked;
        let handled = world.resource.status.handled_requests.as_ref().is_some_and(|handled| handled.rollback.is_some());
        world.is_settled()
            && handled == asked.rollback
            && world.attempt().is_some_and(|attempt| attempt.digest == *self.brain.digest(asked))
    }

    fn write(&self, world: &mut World, who: usize, is_heard: bool) -> Option<()> {
        let tick = world.tick;
        let (is_current, status) = {
            let process = world.operators[who].as_mut()?;
            let plan = self.brain.plan(process, tick);
            let ignores = self.ignores_the_guard(process, &plan);
            process.follow(plan);
            (process.is_current || ignores, process.working.clone())
        };
        if is_current {
            world.store(status);
        }
        let resource = world.resource.clone();
        let process = world.operators[who].as_mut()?;
        match is_current && is_heard {
            true => process.look(&resource),
            false => process.drop_work(),
        }
        Some(())
    }

    fn ignores_the_guard(&self, process: &Process, plan: &Plan) -> bool {
        let (before, after) = (process.view.status.attempt.as_ref(), plan.status.attempt.as_ref());
        let has_intent = |attempt: Option<&cognigy_operator::api::status::Attempt>| {
            attempt.is_some_and(|attempt| attempt.has_intent())
        };
        let has_job = |attempt: Option<&cognigy_operator::api::status::Attempt>| {
            attempt.is_some_and(|attempt| attempt.job_id.is_some())
        };
        match self.mutant {
            Some(Mutant::UnguardedIntent) => has_intent(after) && !has_intent(before),
            Some(Mutant::UnguardedJob) => has_job(after) && !has_job(before),
            _ => false,
        }
    }

    fn send(&self, world: &mut World, who: usize) -> Option<()> {
        let tick = world.tick;
        let process = world.operators[who].as_mut()?;
        let plan = self.brain.plan(process, tick);
        let next = plan.next;
        process.follow(plan);
        process.is_waiting = true;
        let attempt = process.working.attempt.as_ref()?;
        let number = attempt.number;
        let call = match next {
            Next::SendSubmit => {
                let key = key_of(&process.working)?;
                let is_first = process.memory.attempt.unsent == attempt.idempotency_key;
                let submitted_at = attempt.submitted_at?;
                let intended_at = (0..=tick).find(|tick| super::world::moment(*tick).wall == submitted_at)?;
                let is_random = self.mutant == Some(Mutant::RandomKey);
                Call::Submit {
                    key: if is_random { hash_of(&(key, world.posts)) } else { key },
                    is_first: is_first || self.mutant == Some(Mutant::AnyRefusalRejects),
                    deadline: intended_at + TIMEOUT,
                }
            }
            _ => {
                let job = job_number(attempt.job_id.as_ref()?)?;
                Call::Rollback { key: hash_of(&attempt.rollback.as_ref()?.key), job }
            }
        };
        if self.mutant == Some(Mutant::RandomKey) {
            world.posts += 1;
        }
        world.network.push(Request { asker: Some(who), attempt: number, sent_at: tick, call });
        Some(())
    }

    /// The sender of a request hears an answer, or that there is none.
    fn hear(&self, world: &mut World, request: &Request, answer: Answer) {
        let Some(process) = request.asker.and_then(|who| world.operators[who].as_mut()) else { return };
        let facts = self.brain.facts(process.view.asked, world.tick);
        let obstacle = || Obstacle::transient(Reason::ApiUnavailable, "no answer", None);
        match request.call {
            Call::Submit { is_first, .. } => {
                let answer = match answer {
                    Answer::Accepted(job) => SubmitAnswer::Accepted(job_id(job)),
                    Answer::Refused if is_first => SubmitAnswer::Rejected { message: "403".to_owned() },
                    Answer::Refused => SubmitAnswer::Unknown { message: "403".to_owned() },
                    Answer::NotSent if is_first => SubmitAnswer::NotSent(obstacle()),
                    Answer::NotSent | Answer::Lost => SubmitAnswer::NotYet(obstacle()),
                };
                process.answered(&facts, |status, facts, memory| {
                    apply::submit::submit(status, facts, memory, answer);
                });
            }
            Call::Rollback { .. } => {
                let answer = match answer {
                    Answer::Accepted(_) => RollbackAnswer::Accepted,
                    Answer::Refused => RollbackAnswer::Refused("403".to_owned()),
                    Answer::NotSent | Answer::Lost => RollbackAnswer::NotYet(obstacle()),
                };
                process.answered(&facts, |status, facts, memory| {
                    apply::rollback::rollback(status, facts, memory, answer);
                });
            }
        }
    }

    fn ask_job(&self, world: &mut World, who: usize, word: JobWord) -> Option<()> {
        let tick = world.tick;
        let process = world.operators[who].as_mut()?;
        let plan = self.brain.plan(process, tick);
        let is_last_look = plan.next == Next::LookAtJob;
        process.follow(plan);
        let job = process.working.attempt.as_ref()?.job_id.as_ref().and_then(job_number)?;
        let job = &mut world.platform.jobs[job];
        let answer = match word {
            JobWord::Completed => JobAnswer::Completed,
            JobWord::Failed => JobAnswer::EndedBadly("failed".to_owned()),
            JobWord::RolledBack => JobAnswer::RolledBack,
            JobWord::Unreadable => JobAnswer::Unreadable("500".to_owned()),
        };
        match word {
            JobWord::Completed => job.phase = Phase::Completed,
            JobWord::Failed => job.phase = Phase::Failed,
            JobWord::RolledBack | JobWord::Unreadable => {}
        }
        job.was_bad |= word == JobWord::Failed;
        let facts = self.brain.facts(process.view.asked, tick);
        process.answered(&facts, |status, facts, memory| {
            match is_last_look {
                true => apply::job::last_look(status, facts, memory, &answer),
                false => apply::job::job(status, facts, memory, answer),
            };
        });
        Some(())
    }

    fn ask_health(&self, world: &mut World, who: usize, word: HealthWord) -> Option<()> {
        let tick = world.tick;
        let process = world.operators[who].as_mut()?;
        let plan = self.brain.plan(process, tick);
        process.follow(plan);
        let job = process.working.attempt.as_ref()?.job_id.as_ref().and_then(job_number)?;
        world.platform.jobs[job].was_bad |= word == HealthWord::Bad;
        let answer = match word {
            HealthWord::Good => HealthAnswer::Good,
            HealthWord::Bad => HealthAnswer::Bad("unhealthy".to_owned()),
            HealthWord::Unreadable => HealthAnswer::Unreadable("500".to_owned()),
        };
        let facts = self.brain.facts(process.view.asked, tick);
        process.answered(&facts, |status, facts, memory| {
            apply::health::health(status, facts, memory, answer);
        });
        Some(())
    }

    fn happen(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Start(who) => world.operators[who] = Some(Process::started(&world.resource)),
            Action::Crash(who) => {
                world.left.crashes -= 1;
                world.has_crashed = true;
                world.operators[who] = None;
                world
                    .network
                    .iter_mut()
                    .filter(|request| request.asker == Some(who))
                    .for_each(|request| request.asker = None);
            }
            Action::Look(who) => {
                let resource = world.resource.clone();
                world.operators[who].as_mut()?.look(&resource);
            }
            Action::Write(who) => self.write(world, who, true)?,
            Action::WriteUnheard(who) => {
                world.left.losses -= 1;
                self.write(world, who, false)?;
            }
            Action::Send(who) => self.send(world, who)?,
            Action::FailToSend(who) => {
                world.left.losses -= 1;
                self.send(world, who)?;
                let request = world.network.pop()?;
                self.hear(world, &request, Answer::NotSent);
            }
            Action::AskJob(who, word) => {
                world.left.losses -= u8::from(word == JobWord::Unreadable);
                self.ask_job(world, who, word)?;
            }
            Action::AskHealth(who, word) => {
                world.left.losses -= u8::from(word == HealthWord::Unreadable);
                self.ask_health(world, who, word)?;
            }
            Action::Deliver(number) => {
                let request = world.network.remove(number);
                let answer = arrive(world, &request);
                self.hear(world, &request, answer);
            }
            Action::Refuse(number) => {
                world.left.refusals -= 1;
                let request = world.network.remove(number);
                self.hear(world, &request, Answer::Refused);
            }
            Action::LoseAnswer(number) => {
                world.left.losses -= 1;
                let request = world.network.remove(number);
                arrive(world, &request);
                self.hear(world, &request, Answer::Lost);
            }
            Action::Lose(number) => {
                let request = world.network.remove(number);
                world.left.losses -= u8::from(request.asker.is_some());
                self.hear(world, &request, Answer::Lost);
            }
            Action::StopWaiting(number) => {
                world.left.delays -= 1;
                let request = world.network[number].clone();
                self.hear(world, &request, Answer::Lost);
                world.network[number].asker = None;
            }
            Action::Edit => {
                world.left.edits -= 1;
                world.resource.asked.edit = true;
                world.outdate_views();
            }
            Action::AskForRollback => {
                world.left.rollback_requests -= 1;
                world.resource.asked.rollback = true;
                world.outdate_views();
            }
            Action::Tick => {
                let mut progress = Vec::new();
                self.progress(world, &mut progress);
                let is_deserted = running(world).next().is_none();
                world.left.delays -= u8::from(!is_deserted && !progress.is_empty());
                world.tick += 1;
            }
        }
        Some(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Accepted(usize),
    Refused,
    NotSent,
    Lost,
}

/// A request takes effect at the platform.
fn arrive(world: &mut World, request: &Request) -> Answer {
    match request.call {
        Call::Submit { key, deadline, .. } => Answer::Accepted(world.start_job(key, request.attempt, deadline)),
        Call::Rollback { job, .. } => {
            world.roll_back(request.attempt, job);
            Answer::Accepted(job)
        }
    }
}

fn running(world: &World) -> impl Iterator<Item = (usize, &Process)> {
    world.operators.iter().enumerate().filter_map(|(who, process)| Some((who, process.as_ref()?)))
}

/// What the platform may say about the job that a process knows.
fn job_words<'w>(world: &'w World, process: &Process) -> impl Iterator<Item = JobWord> + 'w {
    let attempt = process.working.attempt.as_ref();
    let job = attempt.and_then(|attempt| attempt.job_id.as_ref()).and_then(job_number);
    let words: &[JobWord] = match job.map(|job| world.platform.jobs[job].phase) {
        Some(Phase::Running) => &[JobWord::Completed, JobWord::Failed],
        Some(Phase::Completed) => &[JobWord::Completed],
        Some(Phase::Failed) => &[JobWord::Failed],
        Some(Phase::RolledBack) => &[JobWord::RolledBack],
        None => &[],
    };
    words.iter().copied()
}

fn job_id(number: usize) -> JobId {
    JobId::new(format!("job_{number}"))
}

fn job_number(id: &JobId) -> Option<usize> {
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
        self.progress(world, actions);
        let could_progress = !actions.is_empty();
        if self.may_tick(world, could_progress) {
            actions.push(Action::Tick);
        }
        let down = world.operators.iter().position(Option::is_none);
        actions.extend(down.filter(|_| !self.is_final(world)).map(Action::Start));
        self.misfortunes(world, actions);
        if world.left.edits > 0 {
            actions.push(Action::Edit);
        }
        if world.left.rollback_requests > 0 {
            actions.push(Action::AskForRollback);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.happen(&mut next, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an attempt has at most one job", |_, world: &World| {
                let jobs = &world.platform.jobs;
                jobs.iter().enumerate().all(|(n, job)| jobs[..n].iter().all(|other| other.attempt != job.attempt))
            }),
            Property::always("no submit arrives without a recorded intent", |_, world: &World| {
                !world.wrongs.submit_without_intent
            }),
            Property::always(
                "no job starts before the one before has ended or its deadline has passed",
                |_, world: &World| !world.wrongs.job_too_early,
            ),
            Property::always("no job starts after one of a later attempt", |_, world: &World| {
                !world.wrongs.job_too_late
            }),
            Property::always("no rollback arrives without a recorded intent", |_, world: &World| {
                !world.wrongs.rollback_without_intent
            }),
            Property::always("no rollback without a bad answer, a deadline or a request", |_, world: &World| {
                !world.wrongs.rollback_without_cause
            }),
            Property::always("a verdict is never rewritten", |_, world: &World| !world.wrongs.verdict_rewritten),
            Property::always("an attempt that may be out is never dropped", |_, world: &World| {
                !world.wrongs.attempt_dropped
            }),
            Property::always("a rejected attempt has no job", |_, world: &World| {
                let rejected = |number| {
                    let current = world.attempt().filter(|attempt| attempt.number == number);
                    let past = world.resource.status.history.iter().find(|past| past.number == number);
                    let verdict =
                        current.and_then(|attempt| attempt.verdict.as_ref()).or(past.map(|past| &past.verdict));
                    verdict.is_some_and(|verdict| verdict.reason == Reason::SubmitRejected)
                };
                world.platform.jobs.iter().all(|job| !rejected(job.attempt))
            }),
            Property::always("a rollback that is said to be accepted has happened", |_, world: &World| {
                let rolled_back = world.attempt().filter(|attempt| attempt.outcome() == Some(Outcome::RolledBack));
                let job = rolled_back.and_then(|attempt| attempt.job_id.as_ref()).and_then(job_number);
                job.is_none_or(|job| world.platform.jobs[job].phase == Phase::RolledBack)
            }),
            Property::always("what ends is settled", |model: &Protocol, world: &World| {
                let mut actions = Vec::new();
                model.is_final(world) || {
                    model.actions(world, &mut actions);
                    !actions.is_empty()
                }
            }),
            Property::sometimes("success", |_, world: &World| has_outcome(world, Outcome::Succeeded)),
            Property::sometimes("a submit whose outcome nobody knows", |_, world: &World| {
                has_outcome(world, Outcome::Unknown)
            }),
            Property::sometimes("a rollback after a crash", |_, world: &World| {
                world.has_crashed && has_outcome(world, Outcome::RolledBack)
            }),
            Property::sometimes("a rejected submit", |_, world: &World| has_outcome(world, Outcome::Failed)),
            Property::sometimes("a second attempt that succeeds", |_, world: &World| {
                world.attempt().is_some_and(|attempt| attempt.number == 2) && has_outcome(world, Outcome::Succeeded)
            }),
        ]
    }
}

fn has_outcome(world: &World, outcome: Outcome) -> bool {
    world.attempt().is_some_and(|attempt| attempt.outcome() == Some(outcome) && attempt.step != Step::RollingBack)
}
