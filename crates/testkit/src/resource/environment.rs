//! The environment of a resource, as the simulated platform sees it.

use super::Resource;
use serde_json::{Value, json};
use simulator::{Call, Job, RequestFilter};
use std::collections::BTreeSet;

impl Resource<'_> {
    /// Every job of its environment, in order.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.namespace.jobs_of(&self.environment())
    }

    /// The snapshot that runs in its environment.
    #[must_use]
    pub fn deployed(&self) -> Value {
        let own = self.environment();
        self.namespace.platform.handle().with(|world| {
            let environment = world.environments().find(|(id, _)| id.as_str() == own);
            environment.map_or(Value::Null, |(_, environment)| json!(environment.deployed().configuration_snapshot))
        })
    }

    /// The audit records about its jobs, each with its idempotency key.
    #[must_use]
    pub fn audited(&self) -> Vec<(String, Value)> {
        let jobs: Vec<_> = self.jobs().into_iter().map(|job| json!(job.id)).collect();
        self.namespace.platform.handle().with(|world| {
            let own = world.audit().filter(|accepted| jobs.contains(&accepted.record["jobId"]));
            own.filter_map(|accepted| Some((accepted.idempotency_key.clone()?, accepted.record.clone()))).collect()
        })
    }

    /// The webhook events about its jobs, each with its idempotency key.
    fn notified(&self) -> Vec<(String, Value)> {
        let jobs: Vec<_> = self.jobs().into_iter().map(|job| json!(job.id)).collect();
        self.namespace.platform.handle().with(|world| {
            let own = world.webhooks().filter(|accepted| jobs.contains(&accepted.body["jobId"]));
            own.filter_map(|accepted| Some((accepted.idempotency_key.clone()?, accepted.body.clone()))).collect()
        })
    }

    /// The number of requests of this call for its environment so far.
    #[must_use]
    pub fn request_count(&self, call: Call) -> usize {
        self.namespace.platform.handle().with(|world| world.requests(&self.requests(call)).count())
    }

    /// Waits until the platform has received this many requests of this call for its environment.
    pub async fn until_requests(&self, call: Call, count: usize) {
        self.namespace.until_requests_match(&self.requests(call), count).await;
    }

    /// Checks that one job was started, and that the audit log and the webhook each received its outcome under one
    /// idempotency key.
    pub async fn assert_one_job_and_one_delivery_each(&self, success: bool) {
        assert_eq!(self.jobs().len(), 1, "{}", self.namespace.report(&format!("{}: one job", self.name)).await);
        for (received, field) in [(self.audited(), "deploymentSuccess"), (self.notified(), "success")] {
            let keys: BTreeSet<_> = received.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), 1, "{}", self.namespace.report(&format!("{}: one key", self.name)).await);
            assert_eq!(received[0].1[field], success, "{received:?}");
        }
    }

    fn environment(&self) -> String {
        self.namespace.environment_of(&self.name)
    }

    fn requests(&self, call: Call) -> RequestFilter {
        let environment = Some(self.environment().parse().unwrap());
        RequestFilter { call: Some(call), environment, ..RequestFilter::default() }
    }
}
