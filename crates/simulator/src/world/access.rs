//! The methods with which a test or a server inspects the world and changes it.

use jiff::Timestamp;

use super::World;
use crate::environment::Environment;
use crate::fault::FaultRule;
use crate::identifier::{ClientId, EnvironmentId, JobId};
use crate::job::Job;
use crate::journal::{AuditRecord, RequestFilter, RequestRecord, Violation, WebhookDelivery};
use crate::rate::ClientTraffic;
use crate::scenario::Scenario;
use crate::script::EnvironmentScript;

impl World {
    /// The scenario it started from.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The recorded requests that match `filter`, in the order of their arrival.
    pub fn requests(&self, filter: &RequestFilter) -> impl Iterator<Item = &RequestRecord> {
        self.journal.requests.iter().filter(|record| filter.matches(record))
    }

    /// All differences from the contract.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.journal.violations.iter()
    }

    /// The records that the audit log accepted.
    pub fn audit(&self) -> impl Iterator<Item = &AuditRecord> {
        self.journal.audit.iter()
    }

    /// The webhooks that were received.
    pub fn webhooks(&self) -> impl Iterator<Item = &WebhookDelivery> {
        self.journal.webhooks.iter()
    }

    /// The request counts of each client.
    pub fn traffic(&self) -> impl Iterator<Item = (&ClientId, &ClientTraffic)> {
        self.limiter.traffic()
    }

    /// The environments that were named so far. Each has its state at the time when it was last used or
    /// [advanced](Self::advance).
    pub fn environments(&self) -> impl Iterator<Item = (&EnvironmentId, &Environment)> {
        self.environments.iter()
    }

    /// A job of any environment.
    #[must_use]
    pub fn job(&self, id: &JobId) -> Option<&Job> {
        self.environments.get(self.jobs.get(id)?)?.job(id)
    }

    /// Applies all changes that happen without a request up to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        for environment in self.environments.values_mut() {
            environment.advance(now, &self.scenario);
        }
    }

    /// Replaces an environment's script; its deployed configuration and its jobs stay.
    pub fn replace_script(&mut self, now: Timestamp, id: &EnvironmentId, script: EnvironmentScript) {
        self.faults.script(id, &script.faults);
        match self.environments.get_mut(id) {
            Some(environment) => {
                environment.advance(now, &self.scenario);
                environment.replace_script(script);
            }
            None => {
                self.environments.insert(id.clone(), Environment::new(script, &self.scenario));
            }
        }
    }

    /// Adds a fault.
    pub fn add_fault(&mut self, rule: FaultRule) {
        self.faults.add(rule);
    }

    /// Forgets all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Revokes every token that was issued so far.
    pub fn revoke_tokens(&mut self) {
        self.tokens.revoke_all();
    }
}
