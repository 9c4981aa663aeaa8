//! The simulated Cognigy.AI of a test: what it was asked, and how to change it while it runs.

use super::{Call, DEADLINE, ENVIRONMENT, World};
use simulator::{AuditRecord, EnvironmentId, EnvironmentScript, Job, RequestFilter, RequestRecord, WebhookDelivery};
use tokio::time::timeout;

impl World {
    /// Every request of that call so far, in order.
    pub(crate) fn requests(&self, call: Call) -> Vec<RequestRecord> {
        self.platform.handle().with(|world| world.requests(&of(call)).cloned().collect())
    }

    /// How many requests of that call came so far.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.requests(call).len()
    }

    /// Every request so far, in order.
    pub(crate) fn journal(&self) -> Vec<RequestRecord> {
        self.platform.handle().with(|world| world.requests(&RequestFilter::default()).cloned().collect())
    }

    /// The calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.journal().iter().filter_map(|record| record.call).collect()
    }

    /// Waits until at least so many requests of that call have come.
    pub(crate) async fn until_asked(&self, call: Call, count: usize) {
        let handle = self.platform.handle();
        if timeout(DEADLINE, handle.wait_for_requests(&of(call), count)).await.is_err() {
            panic!("{}", self.report(&format!("{count} requests of {call:?}")).await);
        }
    }

    /// Waits until at least so many requests of any call have come.
    pub(crate) async fn until_asked_anything(&self, count: usize) {
        let handle = self.platform.handle();
        if timeout(DEADLINE, handle.wait_for_requests(&RequestFilter::default(), count)).await.is_err() {
            panic!("{}", self.report(&format!("{count} requests")).await);
        }
    }

    /// Every job of the sample's environment, in order.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.platform.handle().with(|world| {
            let environment = world.environments().find(|(id, _)| id.as_str() == ENVIRONMENT);
            environment.map(|(_, environment)| environment.jobs().to_vec()).unwrap_or_default()
        })
    }

    /// What the audit log has taken.
    pub(crate) fn audit(&self) -> Vec<AuditRecord> {
        self.platform.handle().with(|world| world.audit().cloned().collect())
    }

    /// The webhooks received.
    pub(crate) fn webhooks(&self) -> Vec<WebhookDelivery> {
        self.platform.handle().with(|world| world.webhooks().cloned().collect())
    }

    /// Where webhooks are received.
    pub(crate) fn webhook_url(&self) -> String {
        format!("{}/webhooks/ci", self.platform.url())
    }

    /// From now on the sample's environment is like this (YAML).
    pub(crate) fn script(&self, script: &str) {
        let environment: EnvironmentId = ENVIRONMENT.parse().unwrap();
        let script = EnvironmentScript::parse(script, &environment).unwrap();
        let handle = self.platform.handle();
        let now = handle.now();
        handle.with(|world| world.replace_script(now, &environment, script));
    }

    /// The jobs that were held end as they may.
    pub(crate) fn let_jobs_end(&self) {
        self.mend();
    }

    /// Nothing scripted goes wrong any more.
    pub(crate) fn mend(&self) {
        self.platform.handle().with(|world| world.clear_faults());
    }
}

fn of(call: Call) -> RequestFilter {
    RequestFilter { call: Some(call), ..RequestFilter::default() }
}
