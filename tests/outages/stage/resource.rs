//! One CognigyDeployment with an environment of its own, followed through outages.

use super::{CognigyDeployment, DEADLINE, Outcome, Step, Value, World, json};
use api::status::Attempt;
use futures::StreamExt;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::watch_object;
use simulator::{Call, Job, RequestFilter};
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// The pause after a watch that was refused. There is no event for an API server that is back.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A resource of a test's namespace.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'w> {
    pub(super) world: &'w World,
    pub(super) name: &'static str,
}

impl Resource<'_> {
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    pub(crate) fn api(&self) -> Api<CognigyDeployment> {
        self.world.resources()
    }

    pub(crate) async fn read(&self) -> CognigyDeployment {
        self.api().get(self.name).await.unwrap()
    }

    /// Merges into the resource, as `kubectl patch --type=merge` does.
    pub(crate) async fn patch(&self, patch: Value) {
        self.api().patch(self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Merges into its status, as `kubectl patch --subresource=status` does.
    pub(crate) async fn patch_status(&self, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.api().patch_status(self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes it. `Api::delete` would read the answer as a tree, which has a limit of depth.
    pub(crate) async fn delete(&self) {
        let delete = kube::core::Request::new(self.api().resource_url()).delete(self.name, &DeleteParams::default());
        self.world.client.request_text(delete.unwrap()).await.unwrap();
    }

    /// Waits until the resource is as wanted.
    pub(crate) async fn until(&self, what: &str, is_it: impl Fn(&CognigyDeployment) -> bool) -> CognigyDeployment {
        match timeout(DEADLINE, self.first(|object| object.is_some_and(&is_it))).await {
            Ok(object) => object.expect("it is there"),
            Err(_) => panic!("{}", self.world.report(&format!("{}: {what}", self.name)).await),
        }
    }

    pub(crate) async fn until_step(&self, step: Step) -> CognigyDeployment {
        self.until(&format!("{step:?}"), |object| attempt(object).is_some_and(|attempt| attempt.step == step)).await
    }

    /// Waits for the outcome, and until everybody was told of it.
    pub(crate) async fn until_told(&self, outcome: Outcome) -> CognigyDeployment {
        let is_told = |object: &CognigyDeployment| {
            let outbox = object.status.as_ref().map(|status| status.outbox.len());
            attempt(object).and_then(|attempt| attempt.outcome()) == Some(outcome) && outbox == Some(0)
        };
        self.until(&format!("{outcome:?}, and told"), is_told).await
    }

    pub(crate) async fn until_gone(&self) {
        if timeout(DEADLINE, self.first(|object| object.is_none())).await.is_err() {
            panic!("{}", self.world.report(&format!("{} is gone", self.name)).await);
        }
    }

    /// The first state of it that is as wanted, there already or still to come; watches anew where a watch ends.
    async fn first(&self, is_it: impl Fn(Option<&CognigyDeployment>) -> bool) -> Option<CognigyDeployment> {
        loop {
            let mut states = pin!(watch_object(self.api(), self.name));
            while let Some(Ok(state)) = states.next().await {
                if is_it(state.as_ref()) {
                    return state;
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Every job of its environment, in order.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.world.platform.handle().with(|world| {
            let environment = world.environments().find(|(id, _)| id.as_str() == self.name);
            environment.map(|(_, environment)| environment.jobs().to_vec()).unwrap_or_default()
        })
    }

    /// The snapshot that runs in its environment.
    pub(crate) fn deployed(&self) -> Value {
        self.world.platform.handle().with(|world| {
            let environment = world.environments().find(|(id, _)| id.as_str() == self.name);
            environment.map_or(Value::Null, |(_, environment)| json!(environment.deployed().configuration_snapshot))
        })
    }

    /// The audit records about its jobs, each with its id.
    pub(crate) fn audited(&self) -> Vec<(String, Value)> {
        let jobs: Vec<_> = self.jobs().into_iter().map(|job| json!(job.id)).collect();
        self.world.platform.handle().with(|world| {
            let own = world.audit().filter(|taken| jobs.contains(&taken.record["jobId"]));
            own.filter_map(|taken| Some((taken.idempotency_key.clone()?, taken.record.clone()))).collect()
        })
    }

    /// How many requests of that call its environment has had.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.world.platform.handle().with(|world| world.requests(&self.requests(call)).count())
    }

    /// Waits until its environment has had so many requests of that call.
    pub(crate) async fn until_asked(&self, call: Call, count: usize) {
        let handle = self.world.platform.handle();
        if timeout(DEADLINE, handle.wait_for_requests(&self.requests(call), count)).await.is_err() {
            panic!("{}", self.world.report(&format!("{}: {count} requests of {call:?}", self.name)).await);
        }
    }

    fn requests(&self, call: Call) -> RequestFilter {
        let environment = Some(self.name.parse().unwrap());
        RequestFilter { call: Some(call), environment, ..RequestFilter::default() }
    }

    /// One job was started, and the audit log and the webhook were told of it, each with one id.
    pub(crate) async fn assert_one_job_and_all_told(&self, success: bool) {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "{}", self.world.report(&format!("{}: one job", self.name)).await);
        let job = json!(jobs[0].id);
        let (audit, webhooks) = self.world.platform.handle().with(|world| {
            let is_of_job = |body: &Value| body["jobId"] == job;
            let audit = world.audit().filter(|record| is_of_job(&record.record));
            let audit: Vec<_> = audit.map(|record| (record.idempotency_key.clone(), record.record.clone())).collect();
            let webhooks = world.webhooks().filter(|delivery| is_of_job(&delivery.body));
            let webhooks: Vec<_> =
                webhooks.map(|delivery| (delivery.idempotency_key.clone(), delivery.body.clone())).collect();
            (audit, webhooks)
        });
        for (told, field) in [(&audit, "deploymentSuccess"), (&webhooks, "success")] {
            let ids: BTreeSet<_> = told.iter().map(|(id, _)| id).collect();
            assert_eq!(ids.len(), 1, "{}", self.world.report(&format!("{}: told under one id", self.name)).await);
            assert_eq!(told[0].1[field], success, "{told:?}");
        }
    }
}

/// The attempt of a resource.
pub(crate) fn attempt(object: &CognigyDeployment) -> Option<&Attempt> {
    object.status.as_ref().and_then(|status| status.attempt.as_ref())
}
