//! The effect of each action on the state.

use super::operator::{Next, Plan, key_of};
use super::protocol::{Action, HealthReply, JobReply, Mutant, Protocol, job_number, running};
use super::world::{Call, GivenApproval, Phase, Process, Request, TIMEOUT, World, hash_of, moment};
use api::JobId;
use api::status::{Attempt, CognigyDeploymentStatus};
use rollout::answer::{HealthAnswer, JobAnswer, RollbackAnswer, SubmitAnswer};
use rollout::{Cause, Obstacle, apply};

/// The answer that the sender of a request receives.
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

impl Protocol {
    /// `None` if the action cannot happen.
    pub(super) fn happen(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Start(who) => {
                world.operators[who] = Some(Process::started(&world.resource, &world.approvals));
            }
            Action::Crash(who) => {
                world.left.crashes -= 1;
                world.has_crashed = true;
                world.operators[who] = None;
                for request in world.network.iter_mut().filter(|request| request.asker == Some(who)) {
                    request.asker = None;
                }
            }
            Action::Read(who) => {
                let resource = world.resource.clone();
                world.operators[who].as_mut()?.read(&resource);
            }
            Action::Write(who) => self.write(world, who, true)?,
            Action::WriteWithoutAnswer(who) => {
                world.left.losses -= 1;
                self.write(world, who, false)?;
            }
            Action::Send(who) => self.send(world, who)?,
            Action::FailToSend(who) => {
                world.left.losses -= 1;
                self.send(world, who)?;
                let request = world.network.pop()?;
                self.receive(world, &request, Answer::NotSent);
            }
            Action::PollJob(who, reply) => {
                world.left.losses -= u8::from(reply == JobReply::Unreadable);
                self.poll_job(world, who, reply)?;
            }
            Action::PollHealth(who, reply) => {
                world.left.losses -= u8::from(reply == HealthReply::Unreadable);
                self.poll_health(world, who, reply)?;
            }
            Action::Deliver(number) => {
                let request = world.network.remove(number);
                let answer = arrive(world, &request);
                self.receive(world, &request, answer);
            }
            Action::Refuse(number) => {
                world.left.refusals -= 1;
                let request = world.network.remove(number);
                self.receive(world, &request, Answer::Refused);
            }
            Action::LoseAnswer(number) => {
                world.left.losses -= 1;
                let request = world.network.remove(number);
                arrive(world, &request);
                self.receive(world, &request, Answer::Lost);
            }
            Action::Lose(number) => {
                let request = world.network.remove(number);
                world.left.losses -= u8::from(request.asker.is_some());
                self.receive(world, &request, Answer::Lost);
            }
            Action::StopWaiting(number) => {
                world.left.delays -= 1;
                let request = world.network[number].clone();
                self.receive(world, &request, Answer::Lost);
                world.network[number].asker = None;
            }
            Action::Edit => {
                world.left.edits -= 1;
                world.resource.user_requests.edit = true;
                world.outdate_views();
            }
            Action::RequestRollback => {
                world.left.rollback_requests -= 1;
                world.resource.user_requests.rollback = true;
                world.outdate_views();
            }
            Action::Approve => {
                world.left.approvals -= 1;
                let plan = world.attempt()?.plan_id.clone()?;
                let made_at = world.tick;
                world.approvals.push(GivenApproval { number: world.given, plan, made_at });
                world.given += 1;
            }
            Action::Withdraw => {
                world.left.withdrawals -= 1;
                world.approvals.pop();
            }
            Action::See(who) => {
                let approvals = world.approvals.clone();
                world.operators[who].as_mut()?.approvals = approvals;
            }
            Action::Tick => {
                let mut progress = Vec::new();
                self.progress(world, &self.nexts(world), &mut progress);
                let is_deserted = running(world).next().is_none();
                world.left.delays -= u8::from(!is_deserted && !progress.is_empty());
                // Nothing else can happen, so the operator has seen the approval and does not act on it.
                world.violations.open_gate_unused |=
                    !is_deserted && progress.is_empty() && world.waits_at_gate() == Some(true);
                world.tick += 1;
            }
        }
        Some(())
    }

    fn write(&self, world: &mut World, who: usize, is_answer_received: bool) -> Option<()> {
        let tick = world.tick;
        let (is_current, status) = {
            let process = world.operators[who].as_mut()?;
            let plan = self.core.plan(process, tick);
            let ignores = self.ignores_the_guard(process, &plan);
            process.follow(plan);
            (process.is_current || ignores, process.working.clone())
        };
        if is_current {
            self.note_unapproved_intent(world, who, &status);
            world.store(status);
        }
        let resource = world.resource.clone();
        let process = world.operators[who].as_mut()?;
        match is_current && is_answer_received {
            true => process.read(&resource),
            false => process.drop_work(),
        }
        Some(())
    }

    /// An intent needs an approval that the process has seen, and that has not expired when the intent is made.
    fn note_unapproved_intent(&self, world: &mut World, who: usize, status: &CognigyDeploymentStatus) {
        let Some(attempt) = status.attempt.as_ref().filter(|_| self.is_gated()) else { return };
        let Some(intended_at) = attempt.intended_at() else { return };
        if world.submit_intents.contains(&attempt.number) {
            return;
        }
        let tick = (0..=world.tick).find(|tick| moment(*tick).wall == intended_at);
        let seen = world.operators[who].iter().flat_map(|process| &process.approvals);
        let is_approved = seen
            .filter(|approval| !world.used.contains(&approval.uid()))
            .any(|approval| tick.is_some_and(|tick| approval.is_valid(attempt.plan_id.as_ref(), tick)));
        world.violations.intent_unapproved |= !is_approved;
    }

    fn ignores_the_guard(&self, process: &Process, plan: &Plan) -> bool {
        let (before, after) = (process.view.status.attempt.as_ref(), plan.status.attempt.as_ref());
        let is_new = |holds: fn(&Attempt) -> bool| after.is_some_and(holds) && !before.is_some_and(holds);
        match self.mutant {
            Some(Mutant::UnguardedIntent) => is_new(Attempt::has_intent),
            Some(Mutant::UnguardedJob) => is_new(|attempt| attempt.job.is_some()),
            _ => false,
        }
    }

    fn send(&self, world: &mut World, who: usize) -> Option<()> {
        let tick = world.tick;
        let process = world.operators[who].as_mut()?;
        let plan = self.core.plan(process, tick);
        let next = plan.next;
        process.follow(plan);
        process.is_waiting = true;
        let attempt = process.working.attempt.as_ref()?;
        let number = attempt.number;
        let call = match next {
            Next::SendSubmit => {
                let key = key_of(&process.working)?;
                let is_first =
                    attempt.idempotency_key().is_some_and(|key| process.memory.attempt.submission.is_unsent(key));
                let recorded = attempt.intended_at()?;
                let intended_at = (0..=tick).find(|tick| moment(*tick).wall == recorded)?;
                let is_random = self.mutant == Some(Mutant::RandomKey);
                Call::Submit {
                    key: if is_random { hash_of(&(key, world.posts)) } else { key },
                    is_first: is_first || self.mutant == Some(Mutant::AnyRefusalRejects),
                    deadline: intended_at + TIMEOUT,
                }
            }
            _ => {
                let job = job_number(attempt.job_id()?)?;
                Call::Rollback { key: hash_of(&attempt.rollback.as_ref()?.key), job }
            }
        };
        if self.mutant == Some(Mutant::RandomKey) {
            world.posts += 1;
        }
        world.network.push(Request { asker: Some(who), attempt: number, sent_at: tick, call });
        Some(())
    }

    /// The sender of a request receives an answer, or learns that there is none.
    fn receive(&self, world: &mut World, request: &Request, answer: Answer) {
        let Some(process) = request.asker.and_then(|who| world.operators[who].as_mut()) else { return };
        let facts = self.core.facts(process.view.user_requests, &process.approvals, world.tick);
        let obstacle = || Obstacle::transient(Cause::ApiUnavailable, "no answer", None);
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

    fn poll_job(&self, world: &mut World, who: usize, reply: JobReply) -> Option<()> {
        let tick = world.tick;
        let process = world.operators[who].as_mut()?;
        let plan = self.core.plan(process, tick);
        let is_last_poll = plan.next == Next::CheckJob;
        process.follow(plan);
        let job = process.working.attempt.as_ref()?.job_id().and_then(job_number)?;
        let job = &mut world.platform.jobs[job];
        let answer = match reply {
            JobReply::Completed => JobAnswer::Completed,
            JobReply::Failed => JobAnswer::EndedBadly("failed".to_owned()),
            JobReply::RolledBack => JobAnswer::RolledBack,
            JobReply::Unreadable => JobAnswer::Unreadable("500".to_owned()),
        };
        match reply {
            JobReply::Completed => job.phase = Phase::Completed,
            JobReply::Failed => job.phase = Phase::Failed,
            JobReply::RolledBack | JobReply::Unreadable => {}
        }
        job.was_bad |= reply == JobReply::Failed;
        let facts = self.core.facts(process.view.user_requests, &process.approvals, tick);
        process.answered(&facts, |status, facts, memory| {
            match is_last_poll {
                true => apply::job::checked_before_success(status, facts, memory, &answer),
                false => apply::job::job(status, facts, memory, answer),
            };
        });
        Some(())
    }

    fn poll_health(&self, world: &mut World, who: usize, reply: HealthReply) -> Option<()> {
        let tick = world.tick;
        let process = world.operators[who].as_mut()?;
        let plan = self.core.plan(process, tick);
        process.follow(plan);
        let job = process.working.attempt.as_ref()?.job_id().and_then(job_number)?;
        world.platform.jobs[job].was_bad |= reply == HealthReply::Bad;
        let answer = match reply {
            HealthReply::Good => HealthAnswer::Good,
            HealthReply::Bad => HealthAnswer::Bad("unhealthy".to_owned()),
            HealthReply::Unreadable => HealthAnswer::Unreadable("500".to_owned()),
        };
        let facts = self.core.facts(process.view.user_requests, &process.approvals, tick);
        process.answered(&facts, |status, facts, memory| {
            apply::health::health(status, facts, memory, answer);
        });
        Some(())
    }
}

fn job_id(number: usize) -> JobId {
    JobId::new(format!("job_{number}"))
}
