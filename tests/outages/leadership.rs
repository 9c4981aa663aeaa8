//! Leader election with two real processes, and every way in which the leader can fail.

use crate::support::{Call, OperatorProcess, Outage, Outcome, SHORT_LEASE, Signal, Step};
use std::time::{Duration, Instant};

/// Starts two replicas. The first one becomes leader, and the second one waits for the lease.
async fn leader_and_standby(outage: &Outage, terms: &[&str]) -> (OperatorProcess, OperatorProcess) {
    let leader = outage.run_replica("first", terms).await;
    leader.until_logged_anywhere("this process leads").await;
    let standby = outage.run_replica("second", terms).await;
    standby.until_logged_anywhere("waiting for the lease").await;
    (leader, standby)
}

/// Kills the leader during a rollout, and returns how long there was no leader.
async fn take_over_after_a_crash(terms: &[&str]) -> Duration {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let (mut leader, standby) = leader_and_standby(&outage, terms).await;
    let resource = outage.deploy("env-crash").await;
    resource.until_requests(Call::Job, 1).await;
    assert!(standby.log().count("this process leads") == 0, "two leaders");
    assert!(standby.log().count("decided") == 0, "the standby does nothing");

    let crashed_at = Instant::now();
    leader.signal(Signal::Kill).await;
    leader.ended().await;
    standby.until_logged_anywhere("this process leads").await;
    let waited = crashed_at.elapsed();

    outage.clear_faults();
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
    waited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_crashed_leader_when_the_lease_expires_and_the_rollout_continues() {
    let waited = take_over_after_a_crash(&SHORT_LEASE).await;
    eprintln!("take-over after kill -9 with a lease of 3 s: {waited:?}");
    // The last renewal was up to one retry period before the crash. A busy machine needs some more time.
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the default lease, and takes as long"]
async fn a_standby_takes_over_from_a_crashed_leader_within_the_default_lease() {
    let waited = take_over_after_a_crash(&[]).await;
    eprintln!("take-over after kill -9 with the default lease of 15 s: {waited:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(25)).contains(&waited), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_releases_its_lease_at_once() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    // A lease that is longer than the test.
    let terms = ["--lease-duration=10m", "--renew-deadline=5m", "--retry-period=500ms"];
    let (mut leader, standby) = leader_and_standby(&outage, &terms).await;
    let resource = outage.deploy("env-stop").await;
    resource.until_requests(Call::Job, 1).await;

    let stopped_at = Instant::now();
    leader.signal(Signal::Terminate).await;
    standby.until_logged_anywhere("this process leads").await;
    eprintln!("take-over after SIGTERM: {:?}", stopped_at.elapsed());
    assert!(leader.ended().await.success());

    outage.clear_faults();
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

/// The state of the new leader when the paused one is resumed.
enum Resumed {
    /// It repeats the submit, and the platform is still working on the first request.
    WhileItAsks,
    /// It has recorded the job.
    OnceItKnows,
}

/// Pauses the leader while it waits for the answer to its submit, and resumes it when another process is leader.
async fn pause_in_the_middle_of_a_submit(resumed: Resumed) {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let delay = match resumed {
        Resumed::WhileItAsks => 8,
        Resumed::OnceItKnows => 2,
    };
    outage.add_fault(&format!("{{call: submit, fault: {{delay: {{seconds: {delay}}}}}}}"));
    let (mut leader, standby) = leader_and_standby(&outage, &SHORT_LEASE).await;
    let resource = outage.deploy("env-pause").await;
    resource.until_requests(Call::Submit, 1).await;
    leader.signal(Signal::Pause).await;
    standby.until_logged_anywhere("this process leads").await;
    resource.until_requests(Call::Submit, 2).await;
    if matches!(resumed, Resumed::OnceItKnows) {
        resource.until_step(Step::RollingOut).await;
    }

    leader.signal(Signal::Resume).await;
    let ended = leader.ended().await;
    assert!(ended.code().is_some_and(|code| code != 0), "it ends by itself with an error: {ended}");
    leader.until_logged_anywhere("the lease is lost; this process stops acting").await;

    resource.until_step(Step::RollingOut).await;
    outage.clear_faults();
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_during_a_submit_ends_and_there_is_one_job_while_the_new_leader_repeats_the_submit() {
    pause_in_the_middle_of_a_submit(Resumed::WhileItAsks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_during_a_submit_ends_and_there_is_one_job_after_the_new_leader_has_recorded_it() {
    pause_in_the_middle_of_a_submit(Resumed::OnceItKnows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_an_api_server_stops_before_its_lease_expires() {
    let mut outage = Outage::start().await;
    outage.keep_jobs_running();
    let lease = Duration::from_secs(8);
    let terms = ["--lease-duration=8s", "--renew-deadline=2s", "--retry-period=500ms"];
    let (mut leader, standby) = leader_and_standby(&outage, &terms).await;
    outage.deploy("env-cut-off").await.until_requests(Call::Job, 1).await;

    let cut_off_at = Instant::now();
    outage.cluster().kill_api_server();
    let ended = leader.ended().await;
    let acted_for = cut_off_at.elapsed();
    eprintln!("a leader without an API server, with a renew deadline of 2 s, ended after {acted_for:?}");
    assert_eq!(ended.code(), Some(1));
    assert!(acted_for < lease, "{acted_for:?}");
    assert!(standby.log().count("this process leads") == 0);

    // The kubelet would restart it. Both replicas wait until the old lease expires.
    let again = outage.spawn_replica("first again", &terms);
    outage.cluster().restart_api_server().await;
    let resource = outage.resource("env-cut-off");
    let asked = resource.request_count(Call::Job);
    resource.until_requests(Call::Job, asked + 1).await;
    let leads = [&standby, &again].map(|replica| replica.log().count("this process leads") > 0);
    assert_ne!(leads[0], leads[1], "exactly one is leader: {leads:?}");

    outage.clear_faults();
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inconsistent_lease_durations_are_refused_with_the_flags_to_change() {
    let refused = tokio::process::Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["run", "--leader-elect", "--lease-duration=10s", "--renew-deadline=10s"])
        .env("KUBECONFIG", Outage::start().await.cluster().kubeconfig())
        .output()
        .await
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let log = String::from_utf8(refused.stderr).unwrap();
    assert!(log.contains("--renew-deadline (10s) must be shorter than --lease-duration (10s)"), "{log}");
}
