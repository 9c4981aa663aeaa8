//! The simulated Cognigy.AI of a test: the requests that it received, and how to change it while it runs.

use super::TestNamespace;
use crate::DEADLINE;
use crate::sample::ENVIRONMENT;
use simulator::{
    AuditRecord, Call, EnvironmentId, EnvironmentScript, FaultRule, Job, RequestFilter, RequestRecord, WebhookDelivery,
};
use tokio::time::timeout;

impl TestNamespace {
    /// Every request of this call so far, in order.
    #[must_use]
    pub fn requests(&self, call: Call) -> Vec<RequestRecord> {
        self.platform.handle().with(|world| world.requests(&of(call)).cloned().collect())
    }

    /// The number of requests of this call so far.
    #[must_use]
    pub fn request_count(&self, call: Call) -> usize {
        self.requests(call).len()
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn all_requests(&self) -> Vec<RequestRecord> {
        self.platform.handle().with(|world| world.requests(&RequestFilter::default()).cloned().collect())
    }

    /// The calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.all_requests().iter().filter_map(|record| record.call).collect()
    }

    /// Waits until the platform has received this many requests of this call.
    pub async fn until_requests(&self, call: Call, count: usize) {
        self.until_requests_match(&of(call), count).await;
    }

    /// Waits until the platform has received this many requests of any call.
    pub async fn until_any_requests(&self, count: usize) {
        self.until_requests_match(&RequestFilter::default(), count).await;
    }

    pub(crate) async fn until_requests_match(&self, filter: &RequestFilter, count: usize) {
        if timeout(DEADLINE, self.platform.handle().wait_for_requests(filter, count)).await.is_err() {
            panic!("{}", self.report(&format!("{count} requests that match {filter:?}")).await);
        }
    }

    /// Every job of the sample's environment, in order.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.jobs_of(ENVIRONMENT)
    }

    /// Every job of an environment, in order.
    pub(crate) fn jobs_of(&self, environment: &str) -> Vec<Job> {
        self.platform.handle().with(|world| {
            let found = world.environments().find(|(id, _)| id.as_str() == environment);
            found.map(|(_, environment)| environment.jobs().to_vec()).unwrap_or_default()
        })
    }

    /// The records that the audit log has accepted.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditRecord> {
        self.platform.handle().with(|world| world.audit().cloned().collect())
    }

    /// The webhook events that were accepted.
    #[must_use]
    pub fn webhooks(&self) -> Vec<WebhookDelivery> {
        self.platform.handle().with(|world| world.webhooks().cloned().collect())
    }

    /// The URL at which the platform accepts webhook events.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}/webhooks/ci", self.platform.url())
    }

    /// Replaces the script of the sample's environment (YAML).
    pub fn replace_script(&self, script: &str) {
        let environment: EnvironmentId = ENVIRONMENT.parse().unwrap();
        let script = EnvironmentScript::parse(script, &environment).unwrap();
        let handle = self.platform.handle();
        let now = handle.now();
        handle.with(|world| world.replace_script(now, &environment, script));
    }

    /// Adds a fault (YAML).
    pub fn add_fault(&self, rule: &str) {
        let rule: FaultRule = serde_saphyr::from_str(rule).unwrap();
        self.platform.handle().with(|world| world.add_fault(rule));
    }

    /// Removes all scripted faults.
    pub fn clear_faults(&self) {
        self.platform.handle().with(simulator::World::clear_faults);
    }

    /// Keeps all jobs running until [`let_jobs_end`](Self::let_jobs_end).
    pub fn keep_jobs_running(&self) {
        self.add_fault(JOBS_KEEP_RUNNING);
    }

    /// Lets jobs end as their environment's script says. It removes all other faults too.
    pub fn let_jobs_end(&self) {
        self.clear_faults();
    }
}

/// A fault that reports every job as running.
pub const JOBS_KEEP_RUNNING: &str = "{call: job, times: forever, fault: {body: {status: running}}}";

fn of(call: Call) -> RequestFilter {
    RequestFilter { call: Some(call), ..RequestFilter::default() }
}
