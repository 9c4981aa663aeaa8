//! During a rollout, a user edits the parts that only the operator should write: the status and the finalizer.
//!
//! The operator trusts its status. These tests check what `docs/high-availability.md` says about each edit. No edit
//! causes a second submit while a job is running.

use crate::support::{Call, CognigyDeployment, Outage, Outcome, Resource, Signal, StatusExt, Step, Value, json};
use api::Reason;
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use std::collections::BTreeSet;

/// Starts a rollout, and waits until its job is running.
async fn rolling_out<'w>(outage: &'w Outage, name: &'static str) -> Resource<'w> {
    let resource = outage.deploy(name).await;
    resource.until_step(Step::RollingOut).await;
    resource
}

fn reason_of(object: &CognigyDeployment, condition: ConditionType) -> Option<(ConditionStatus, Reason)> {
    let condition = object.status.as_ref()?.conditions.find(condition)?;
    Some((condition.status, condition.reason))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_is_removed_during_a_rollout_is_restored_with_a_warning() {
    let edits = [("env-no-attempt", json!({"attempt": null})), ("env-no-status", json!(null))];
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let operator = outage.run_operator("alone").await;
    for (name, edit) in edits {
        let resource = rolling_out(&outage, name).await;
        let before = resource.get().await;
        resource.patch_status(edit).await;
        let is_back = |object: &CognigyDeployment| object.attempt_if_any() == before.attempt_if_any();
        resource.until("the attempt is back", is_back).await;
        let job = before.attempt_if_any().unwrap().job_id().cloned().unwrap();
        operator
            .until_logged_anywhere(&format!("somebody removed the status while {job} was in flight; it was put back"))
            .await;
    }
    outage.clear_faults();
    for name in ["env-no-attempt", "env-no-status"] {
        let resource = outage.resource(name);
        resource.until_delivered(Outcome::Succeeded).await;
        resource.assert_one_job_and_one_delivery_each(true).await;
        assert_eq!(resource.request_count(Call::Submit), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undelivered_audit_record_is_restored_after_a_reset_of_the_status_and_logged_once() {
    let outage = Outage::start().await;
    outage.add_fault("{call: audit, times: forever, fault: {status: {code: 503}}}");
    let operator = outage.run_operator("alone").await;
    let resource = outage.deploy("env-waiting").await;
    let is_over =
        |object: &CognigyDeployment| object.attempt_if_any().is_some_and(|attempt| attempt.outcome().is_some());
    resource.until("the outcome", is_over).await;
    resource.patch_status(json!(null)).await;
    operator.until_logged_anywhere("the messages were put back").await;
    // A reset of the status at rest starts another attempt.
    resource.until_requests(Call::Submit, 2).await;
    outage.clear_faults();
    resource.until_delivered(Outcome::Succeeded).await;
    let audited: BTreeSet<_> = resource.audited().into_iter().map(|(id, _)| id).collect();
    assert_eq!(audited.len(), 2, "one for each attempt");
    assert_eq!(operator.log().count("an audit record was written"), 2, "each is logged once");
}

/// After a reset the attempts count from 1 again, but each needs a new key. If the new attempt 2 had the key of the old
/// attempt 2, the platform would answer with the old job, and the resource would be Ready for a configuration that does
/// not run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_reset_of_the_status_each_attempt_has_a_new_key_and_ready_is_about_the_running_configuration() {
    let outage = Outage::start().await;
    let _operator = outage.run_operator("alone").await;
    let resource = outage.resource("env-reset");
    let deployed = async |version: &'static str, number: i64| {
        outage.deploy_version("env-reset", version).await;
        let is_ready = |object: &CognigyDeployment| {
            let generation = object.metadata.generation;
            let ready = object.status.as_ref().and_then(|status| status.conditions.find(ConditionType::Ready));
            ready.is_some_and(|ready| {
                ready.status == ConditionStatus::True && Some(ready.observed_generation) == generation
            }) && object.attempt_if_any().is_some_and(|attempt| attempt.number == number)
        };
        resource.until(&format!("{version} is ready"), is_ready).await;
        assert_eq!(resource.deployed()["botVersion"], version, "Ready is about the running version");
        resource.until_delivered(Outcome::Succeeded).await;
    };
    deployed("A", 1).await;
    deployed("B", 2).await;
    deployed("A", 3).await;
    resource.patch_status(json!(null)).await;
    deployed("A", 1).await;
    deployed("B", 2).await;

    let jobs = resource.jobs();
    let keys: BTreeSet<_> = jobs.iter().map(|job| job.idempotency_key.clone()).collect();
    assert_eq!((jobs.len(), keys.len()), (5, 5), "each attempt has its own job and its own key");
    let audited: BTreeSet<_> = resource.audited().into_iter().map(|(id, _)| id).collect();
    assert_eq!(audited.len(), 5, "the audit log treats no record as a repeat: {audited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_set_back_is_repeated_with_the_same_job() {
    let steps = [("env-pending", "Pending"), ("env-tracing", "Tracing"), ("env-submitting", "Submitting")];
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let mut operator = outage.run_operator("alone").await;
    for (name, step) in steps {
        let resource = rolling_out(&outage, name).await;
        resource.patch_status(json!({"attempt": {"step": step}})).await;
        resource.until_step(Step::RollingOut).await;
    }

    // A new process has no memory of the submit, and repeats it with the same key.
    operator.signal(Signal::Kill).await;
    operator.ended().await;
    for (name, step) in steps {
        outage.resource(name).patch_status(json!({"attempt": {"step": step}})).await;
    }
    let _next = outage.run_operator("next").await;
    for (name, _) in steps {
        outage.resource(name).until_requests(Call::Submit, 2).await;
    }
    outage.clear_faults();
    for (name, _) in steps {
        let resource = outage.resource(name);
        resource.until_delivered(Outcome::Succeeded).await;
        resource.assert_one_job_and_one_delivery_each(true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settled_step_without_a_verdict_stalls_the_resource_until_the_step_is_corrected() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let _operator = outage.run_operator("alone").await;
    let resource = rolling_out(&outage, "env-settled").await;
    resource.patch_status(json!({"attempt": {"step": "Settled"}})).await;
    let shown = |object: &CognigyDeployment| {
        reason_of(object, ConditionType::Stalled) == Some((ConditionStatus::True, Reason::StatusUnreadable))
    };
    resource.until("Stalled/StatusUnreadable", shown).await;
    assert_eq!(resource.jobs().len(), 1);

    // The corrected attempt continues.
    resource.patch_status(json!({"attempt": {"step": "RollingOut"}})).await;
    outage.clear_faults();
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_job_id_ends_in_a_failed_rollback_and_no_second_submit() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let _operator = outage.run_operator("alone").await;
    let resource = rolling_out(&outage, "env-nonsense").await;
    outage.clear_faults();
    resource.patch_status(json!({"attempt": {"job": {"id": "job_nonsense"}}})).await;
    // The platform knows no such job, and refuses to roll it back.
    let ended = resource.until_delivered(Outcome::RollbackFailed).await;
    assert_eq!(reason_of(&ended, ConditionType::Stalled), Some((ConditionStatus::True, Reason::RollbackRefused)));
    assert_eq!((resource.jobs().len(), resource.request_count(Call::Submit)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_id_that_is_no_valid_path_segment_stalls_the_resource_and_is_never_sent() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let _operator = outage.run_operator("alone").await;
    let resource = rolling_out(&outage, "env-path").await;
    let job = resource.get().await.attempt_if_any().unwrap().job_id().cloned().unwrap();
    let edit = Patched::of(&resource, json!({"attempt": {"job": {"id": "../../environments/env-other"}}})).await;
    if let Patched::Taken = edit {
        let shown = |object: &CognigyDeployment| {
            reason_of(object, ConditionType::Stalled) == Some((ConditionStatus::True, Reason::StatusUnreadable))
        };
        resource.until("Stalled/StatusUnreadable", shown).await;
        resource.patch_status(json!({"attempt": {"job": {"id": job.as_str()}}})).await;
    }
    outage.clear_faults();
    resource.patch(json!({"spec": {"monitoring": {"maxErrorRate": 0.06}}})).await;
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

/// The API server's answer to an edit.
enum Patched {
    Taken,
    Refused,
}

impl Patched {
    async fn of(resource: &Resource<'_>, status: Value) -> Self {
        match resource.try_patch_status(status).await {
            Ok(_) => Self::Taken,
            Err(kube::Error::Api(refusal)) if refusal.code == 422 => Self::Refused,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_verdict_makes_the_resource_not_ready_and_sends_nothing() {
    let outage = Outage::start().await;
    let _operator = outage.run_operator("alone").await;
    let resource = outage.deploy("env-verdict").await;
    resource.until_delivered(Outcome::Succeeded).await;
    resource.patch_status(json!({"attempt": {"verdict": null}})).await;
    let shown = |object: &CognigyDeployment| {
        reason_of(object, ConditionType::Ready) == Some((ConditionStatus::False, Reason::StatusUnreadable))
    };
    resource.until("Ready is False/StatusUnreadable", shown).await;
    assert_eq!(resource.request_count(Call::Submit), 1);
    resource.assert_one_job_and_one_delivery_each(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_finalizer_is_restored_before_a_deletion() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let _operator = outage.run_operator("alone").await;
    let resource = rolling_out(&outage, "env-finalizer").await;
    resource.patch(json!({"metadata": {"finalizers": null}})).await;
    resource.until("the finalizer is back", |object| object.metadata.finalizers.is_some()).await;

    // A resource that is deleted during the rollout exists until its outcome is delivered.
    resource.delete().await;
    outage.clear_faults();
    resource.until_gone().await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_continues_after_a_resource_is_removed_by_force_during_a_rollout() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let operator = outage.run_operator("alone").await;
    let resource = rolling_out(&outage, "env-forced").await;
    resource.delete().await;
    resource.patch(json!({"metadata": {"finalizers": null}})).await;
    resource.until_gone().await;
    assert_eq!(resource.jobs().len(), 1);

    // A new resource with the same name gets its own outcome.
    outage.clear_faults();
    let again = outage.deploy("env-forced").await;
    again.until_delivered(Outcome::Succeeded).await;
    let keys: BTreeSet<_> = again.jobs().into_iter().map(|job| job.idempotency_key).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(operator.log().count("panicked") == 0);
}
