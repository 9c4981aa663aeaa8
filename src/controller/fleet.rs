//! What all rollouts of one client of the API share besides its budget: whose turn it is to begin, how closely those in
//! flight are looked at, and how long jobs take. Credentials that were never granted a token share nothing with those of
//! the client that they name. All of it is in memory and may be forgotten: after a restart those who
//! wait ask again, and what is in flight is counted as it is seen.

use super::sessions::{Account, Group};
use api::EnvironmentId;
use kube::ResourceExt;
use rollout::PollTuning;
use rollout::admission::{Admission, AdmissionCounts, Answer, ResourceName, Ticket};
use rollout::durations::{Durations, JobRun};
use rollout::polling::PollInterval;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Clients that nobody uses are remembered up to this number, for what was learned of their jobs.
const MOST_IDLE_CLIENTS: usize = 64;

/// The rollouts of a process, by the client that they use.
#[derive(Debug, Default)]
pub struct Fleet {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    crews: HashMap<Group, Crew>,
    group_of: HashMap<ResourceName, Group>,
}

/// What the rollouts of one client share.
#[derive(Debug)]
struct Crew {
    admission: Admission,
    durations: Durations<EnvironmentId>,
}

/// What a rollout that asked for its turn is told, and who else is to be woken.
#[derive(Debug)]
pub struct Asked {
    /// Its answer.
    pub answer: Answer,
    /// Those whose turn it is.
    pub called: Vec<ResourceName>,
}

/// A resource by its name.
#[must_use]
pub fn name_of(object: &impl ResourceExt) -> ResourceName {
    let namespace = object.namespace().unwrap_or_default();
    ResourceName { namespace: namespace.into(), name: object.name_any().into() }
}

impl Fleet {
    /// A rollout asks for its turn, at that time of the process.
    pub fn ask(&self, account: Account, ticket: &Ticket, now: Duration) -> Asked {
        let mut state = self.state();
        let mut called = state.adopt_the_proven(account);
        called.extend(state.leave_others(&ticket.who, account, now));
        let crew = state.crew_of(&ticket.who, account);
        // Joins first, so that it is among those who are called.
        let mut answer = crew.admission.ask(ticket, now);
        called.extend(crew.admission.call(now));
        if called.contains(&ticket.who) {
            called.retain(|who| *who != ticket.who);
            answer = crew.admission.ask(ticket, now);
        }
        Asked { answer, called }
    }

    /// Its validation was answered: it has begun. Those whose turn it is now are to be woken.
    #[must_use]
    pub fn begun(&self, who: &ResourceName, now: Duration) -> Vec<ResourceName> {
        let mut state = self.state();
        let Some(crew) = state.crew(who) else { return Vec::new() };
        crew.admission.begun(who, now);
        crew.admission.call(now)
    }

    /// It is in flight, under that client where it is known; one that nobody knows of yet needs one to be counted.
    pub fn watch(
        &self,
        who: &ResourceName,
        account: Option<Account>,
        interval: PollInterval,
        now: Duration,
    ) -> Vec<ResourceName> {
        let mut state = self.state();
        let mut called = Vec::new();
        if let Some(account) = account {
            called = state.adopt_the_proven(account);
            called.extend(state.leave_others(who, account, now));
            state.crew_of(who, account);
        }
        if let Some(crew) = state.crew(who) {
            crew.admission.watch(who, interval);
        }
        called
    }

    /// It has ended, or waits for something else. Those whose turn it is now are to be woken.
    #[must_use]
    pub fn leave(&self, who: &ResourceName, now: Duration) -> Vec<ResourceName> {
        self.state().leave(who, now)
    }

    /// How closely what is in flight may be looked at, and when the job in that environment is likely to be done.
    #[must_use]
    pub fn pace(&self, who: &ResourceName, environment: &EnvironmentId, is_first_look: bool) -> PollTuning {
        let mut state = self.state();
        let Some(crew) = state.crew(who) else { return PollTuning::default() };
        if is_first_look {
            crew.durations.offer_as_probe(environment);
        }
        PollTuning { stretch: crew.admission.stretch(), expected: crew.durations.expect(environment) }
    }

    /// Learns from a job that was seen to its end.
    pub fn learn(&self, who: &ResourceName, environment: &EnvironmentId, run: JobRun) {
        let mut state = self.state();
        let Some(crew) = state.crew(who) else { return };
        let Some(interval) = crew.admission.interval(who) else { return };
        crew.durations.learn(environment, run, interval.shortest);
    }

    /// Forgets the resources that are no longer there. Those whose turn it is now are to be woken.
    #[must_use]
    pub fn retain(&self, is_there: impl Fn(&ResourceName) -> bool, now: Duration) -> Vec<ResourceName> {
        let mut state = self.state();
        let gone: Vec<_> = state.group_of.keys().filter(|who| !is_there(who)).cloned().collect();
        let called = gone.iter().flat_map(|who| state.leave(who, now)).collect();
        if state.crews.len() > MOST_IDLE_CLIENTS {
            state.crews.retain(|_, crew| !crew.admission.is_empty());
        }
        called
    }

    /// How each client's rollouts stand. There are as many as clients, so whoever gives them labels sums them up first.
    #[must_use]
    pub fn readings(&self) -> Vec<AdmissionCounts> {
        self.state().crews.values().map(|crew| crew.admission.reading()).collect()
    }

    /// A panic elsewhere leaves the state whole: what is changed together is changed by one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn crew(&mut self, who: &ResourceName) -> Option<&mut Crew> {
        self.crews.get_mut(self.group_of.get(who)?)
    }

    fn crew_of(&mut self, who: &ResourceName, account: Account) -> &mut Crew {
        self.group_of.insert(who.clone(), account.group);
        let limit = account.limit.get();
        let crew = self
            .crews
            .entry(account.group)
            .or_insert_with(|| Crew { admission: Admission::new(limit), durations: Durations::default() });
        crew.admission.set_limit(limit);
        crew
    }

    /// Credentials that were granted their first token are those of their client: the rollouts that were counted apart become
    /// that client's. If others are that client's already, they are to ask anew among those.
    fn adopt_the_proven(&mut self, account: Account) -> Vec<ResourceName> {
        let apart = Group::Unproven(account.credentials);
        if account.group == apart {
            return Vec::new();
        }
        let Some(crew) = self.crews.remove(&apart) else { return Vec::new() };
        let is_first = !self.crews.contains_key(&account.group);
        if is_first {
            self.crews.insert(account.group, crew);
            self.group_of.values_mut().filter(|group| **group == apart).for_each(|group| *group = account.group);
            return Vec::new();
        }
        self.group_of.extract_if(|_, group| *group == apart).map(|(who, _)| who).collect()
    }

    /// Leaves another client, whose credentials it no longer uses.
    fn leave_others(&mut self, who: &ResourceName, account: Account, now: Duration) -> Vec<ResourceName> {
        match self.group_of.get(who) {
            Some(before) if *before != account.group => self.leave(who, now),
            _ => Vec::new(),
        }
    }

    fn leave(&mut self, who: &ResourceName, now: Duration) -> Vec<ResourceName> {
        let Some(group) = self.group_of.remove(who) else { return Vec::new() };
        let Some(crew) = self.crews.get_mut(&group) else { return Vec::new() };
        crew.admission.leave(who);
        crew.admission.call(now)
    }
}

#[cfg(test)]
mod tests;
