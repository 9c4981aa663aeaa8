//! The data that all rollouts of one API client share, besides the request budget: the admission queue, the polling
//! intervals of rollouts in flight, and the durations of jobs. Credentials that were never granted a token are counted
//! separately from the client that they name. After a restart, waiting rollouts request their slots again, and each
//! rollout in flight is counted at its next reconcile.

use super::super::sessions::{Account, Group};
use api::EnvironmentId;
use rollout::PollTuning;
use rollout::admission::{Admission, Answer, ResourceName, SlotRequest};
use rollout::durations::{Durations, JobRun};
use rollout::polling::PollInterval;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How many unused clients are kept. The known durations of their jobs may be useful again.
const MAX_IDLE_CLIENTS: usize = 64;

/// The clients of the API that rollouts use.
#[derive(Debug, Default)]
pub(super) struct Clients {
    states: HashMap<Group, ClientState>,
    members: HashMap<ResourceName, Member>,
}

/// The data that the rollouts of one client share.
#[derive(Debug)]
struct ClientState {
    admission: Admission,
    durations: Durations<EnvironmentId>,
}

/// A resource that is known to a client's admission queue.
#[derive(Debug)]
struct Member {
    uid: Arc<str>,
    group: Group,
}

/// The answer to a request for a slot.
#[derive(Debug)]
pub(super) struct SlotAnswer {
    pub(super) answer: Answer,
    /// The other rollouts that get a slot.
    pub(super) granted: Vec<ResourceName>,
}

impl Clients {
    /// Requests the slot of a rollout.
    pub(super) fn request_slot(
        &mut self,
        uid: &Arc<str>,
        account: Account,
        request: &SlotRequest,
        now: Duration,
    ) -> SlotAnswer {
        let mut granted = self.join(uid, &request.resource, account, now);
        let client = self.client_of(account);
        // Join first, so that this rollout can be among those that get a slot.
        let mut answer = client.admission.request_slot(request, now);
        granted.extend(client.admission.grant_slots(now));
        if granted.contains(&request.resource) {
            granted.retain(|resource| *resource != request.resource);
            answer = client.admission.request_slot(request, now);
        }
        SlotAnswer { answer, granted }
    }

    /// Notes that the validation of a rollout was answered, so that it has started. Returns the rollouts that get a slot.
    pub(super) fn note_started(&mut self, resource: &ResourceName, now: Duration) -> Vec<ResourceName> {
        let Some(client) = self.known_client_of(resource) else { return Vec::new() };
        client.admission.note_started(resource, now);
        client.admission.grant_slots(now)
    }

    /// Notes that a rollout is in flight, under this client if that is known. Returns the rollouts that get a slot.
    pub(super) fn note_in_flight(
        &mut self,
        uid: &Arc<str>,
        resource: &ResourceName,
        account: Option<Account>,
        interval: PollInterval,
        now: Duration,
    ) -> Vec<ResourceName> {
        let mut granted = Vec::new();
        if let Some(account) = account {
            granted = self.join(uid, resource, account, now);
            self.client_of(account);
        }
        if let Some(client) = self.known_client_of(resource) {
            client.admission.note_in_flight(resource, interval);
        }
        granted
    }

    /// Removes a rollout that has ended or waits for something else. Returns the rollouts that get a slot. Does nothing
    /// if another resource has the same name now.
    pub(super) fn leave(&mut self, uid: &str, resource: &ResourceName, now: Duration) -> Vec<ResourceName> {
        match self.members.get(resource) {
            Some(member) if *member.uid == *uid => self.remove(resource, now),
            _ => Vec::new(),
        }
    }

    /// How often a rollout in flight may be polled, and when the job in that environment is likely to be done.
    pub(super) fn pace(
        &mut self,
        resource: &ResourceName,
        environment: &EnvironmentId,
        is_first_poll: bool,
    ) -> PollTuning {
        let Some(client) = self.known_client_of(resource) else { return PollTuning::default() };
        if is_first_poll {
            client.durations.offer_as_probe(environment);
        }
        PollTuning { stretch: client.admission.stretch(), expected: client.durations.expect(environment) }
    }

    /// Learns from the duration of a job whose end was observed.
    pub(super) fn learn(&mut self, resource: &ResourceName, environment: &EnvironmentId, run: JobRun) {
        let Some(client) = self.known_client_of(resource) else { return };
        let Some(interval) = client.admission.interval(resource) else { return };
        client.durations.learn(environment, run, interval.shortest);
    }

    /// Forgets clients that nobody uses, if there are many.
    pub(super) fn forget_idle(&mut self) {
        if self.states.len() > MAX_IDLE_CLIENTS {
            self.states.retain(|_, client| !client.admission.is_empty());
        }
    }

    fn known_client_of(&mut self, resource: &ResourceName) -> Option<&mut ClientState> {
        self.states.get_mut(&self.members.get(resource)?.group)
    }

    fn client_of(&mut self, account: Account) -> &mut ClientState {
        let new = || ClientState { admission: Admission::new(account.rates), durations: Durations::default() };
        let client = self.states.entry(account.group).or_insert_with(new);
        client.admission.set_rates(account.rates);
        client
    }

    /// Adds a resource to its client. It leaves the client whose credentials it no longer uses. An earlier resource
    /// with the same name leaves as well. Returns the rollouts that get a slot.
    fn join(&mut self, uid: &Arc<str>, resource: &ResourceName, account: Account, now: Duration) -> Vec<ResourceName> {
        let mut granted = self.adopt_proven(account);
        let is_member = |member: &Member| member.uid == *uid && member.group == account.group;
        if self.members.get(resource).is_some_and(|member| !is_member(member)) {
            granted.extend(self.remove(resource, now));
        }
        self.members.insert(resource.clone(), Member { uid: Arc::clone(uid), group: account.group });
        granted
    }

    /// Moves the rollouts of credentials that were just granted their first token to the client that the credentials
    /// name. Until then they were counted separately. If the client already has rollouts, the moved ones must request
    /// their slots again: these are returned.
    fn adopt_proven(&mut self, account: Account) -> Vec<ResourceName> {
        let unproven = Group::Unproven(account.credentials);
        if account.group == unproven {
            return Vec::new();
        }
        let Some(client) = self.states.remove(&unproven) else { return Vec::new() };
        let is_first = !self.states.contains_key(&account.group);
        if is_first {
            self.states.insert(account.group, client);
            let members = self.members.values_mut().filter(|member| member.group == unproven);
            members.for_each(|member| member.group = account.group);
            return Vec::new();
        }
        self.members.extract_if(|_, member| member.group == unproven).map(|(resource, _)| resource).collect()
    }

    fn remove(&mut self, resource: &ResourceName, now: Duration) -> Vec<ResourceName> {
        let Some(member) = self.members.remove(resource) else { return Vec::new() };
        let Some(client) = self.states.get_mut(&member.group) else { return Vec::new() };
        client.admission.leave(resource);
        client.admission.grant_slots(now)
    }
}

#[cfg(test)]
mod tests;
