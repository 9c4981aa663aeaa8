//! Several replicas, one of which acts: two real processes, and every way in which the one that acts can fail.

use crate::stage::{Call, OperatorProcess, Outcome, SHORT_TERMS, Signal, Step, World};
use std::time::{Duration, Instant};

/// One replica leads, and the other waits for its turn.
async fn leader_and_standby(world: &World, terms: &[&str]) -> (OperatorProcess, OperatorProcess) {
    let leader = world.replica("first", terms).await;
    leader.until_logged_anywhere("this process leads").await;
    let standby = world.replica("second", terms).await;
    standby.until_logged_anywhere("waiting for the lease").await;
    (leader, standby)
}

/// Kills the leader in the middle of a rollout; the answer is how long nobody led.
async fn take_over_after_a_crash(terms: &[&str]) -> Duration {
    let world = World::start().await;
    world.jobs_run();
    let (mut leader, standby) = leader_and_standby(&world, terms).await;
    let resource = world.apply("env-crash").await;
    resource.until_asked(Call::Job, 1).await;
    assert!(standby.log().count("this process leads") == 0, "two lead");
    assert!(standby.log().count("decided") == 0, "the one that waits does nothing");

    let crashed_at = Instant::now();
    leader.signal(Signal::Kill).await;
    leader.ended().await;
    standby.until_logged_anywhere("this process leads").await;
    let waited = crashed_at.elapsed();

    world.mend();
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
    waited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_leader_is_followed_when_its_lease_is_over_and_the_rollout_goes_on() {
    let waited = take_over_after_a_crash(&SHORT_TERMS).await;
    eprintln!("take-over after kill -9 with a lease of 3 s: {waited:?}");
    // The last renewal may be older than the crash by one retry period, and then some for a machine under load.
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the terms of production, and takes as long as they do"]
async fn a_crashed_leader_is_followed_within_the_lease_of_production() {
    let waited = take_over_after_a_crash(&[]).await;
    eprintln!("take-over after kill -9 with the default lease of 15 s: {waited:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(25)).contains(&waited), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_hands_over_at_once() {
    let world = World::start().await;
    world.jobs_run();
    // A lease that nobody could wait for.
    let terms = ["--lease-duration=10m", "--renew-deadline=5m", "--retry-period=500ms"];
    let (mut leader, standby) = leader_and_standby(&world, &terms).await;
    let resource = world.apply("env-stop").await;
    resource.until_asked(Call::Job, 1).await;

    let stopped_at = Instant::now();
    leader.signal(Signal::Terminate).await;
    standby.until_logged_anywhere("this process leads").await;
    eprintln!("take-over after SIGTERM: {:?}", stopped_at.elapsed());
    assert!(leader.ended().await.success());

    world.mend();
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
}

/// How far the new leader has come when the paused one goes on.
enum Resumed {
    /// It repeats the submit, whose first request is still being worked on.
    WhileItAsks,
    /// It has recorded the job.
    OnceItKnows,
}

/// The leader is paused while it waits for the answer to its submit, and goes on when another process leads.
async fn pause_in_the_middle_of_a_submit(resumed: Resumed) {
    let world = World::start().await;
    world.jobs_run();
    let delay = match resumed {
        Resumed::WhileItAsks => 8,
        Resumed::OnceItKnows => 2,
    };
    world.fault(&format!("{{call: submit, fault: {{delay: {{seconds: {delay}}}}}}}"));
    let (mut leader, standby) = leader_and_standby(&world, &SHORT_TERMS).await;
    let resource = world.apply("env-pause").await;
    resource.until_asked(Call::Submit, 1).await;
    leader.signal(Signal::Pause).await;
    standby.until_logged_anywhere("this process leads").await;
    resource.until_asked(Call::Submit, 2).await;
    if matches!(resumed, Resumed::OnceItKnows) {
        resource.until_step(Step::RollingOut).await;
    }

    leader.signal(Signal::Resume).await;
    let ended = leader.ended().await;
    assert!(ended.code().is_some_and(|code| code != 0), "it ends by itself, as a failure: {ended}");
    leader.until_logged_anywhere("the lease is lost; this process stops acting").await;

    resource.until_step(Step::RollingOut).await;
    world.mend();
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_paused_in_a_submit_that_another_repeats_meanwhile_ends_and_there_is_one_job() {
    pause_in_the_middle_of_a_submit(Resumed::WhileItAsks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_paused_in_a_submit_that_another_has_finished_meanwhile_ends_and_there_is_one_job() {
    pause_in_the_middle_of_a_submit(Resumed::OnceItKnows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_an_api_server_stops_before_its_lease_could_be_taken() {
    let mut world = World::start().await;
    world.jobs_run();
    let lease = Duration::from_secs(8);
    let terms = ["--lease-duration=8s", "--renew-deadline=2s", "--retry-period=500ms"];
    let (mut leader, standby) = leader_and_standby(&world, &terms).await;
    world.apply("env-cut-off").await.until_asked(Call::Job, 1).await;

    let cut_off_at = Instant::now();
    world.cluster().kill_api_server();
    let ended = leader.ended().await;
    let acted_for = cut_off_at.elapsed();
    eprintln!("a leader without an API server, with a renew deadline of 2 s, ended after {acted_for:?}");
    assert_eq!(ended.code(), Some(1));
    assert!(acted_for < lease, "{acted_for:?}");
    assert!(standby.log().count("this process leads") == 0);

    // What the kubelet does; both wait for the lease that the crashed one has left behind.
    let again = world.spawn_replica("first again", &terms);
    world.cluster().restart_api_server().await;
    let resource = world.resource("env-cut-off");
    let asked = resource.count(Call::Job);
    resource.until_asked(Call::Job, asked + 1).await;
    let leads = [&standby, &again].map(|replica| replica.log().count("this process leads") > 0);
    assert_ne!(leads[0], leads[1], "one of them leads: {leads:?}");

    world.mend();
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durations_that_do_not_fit_each_other_are_refused_with_the_flag_to_change() {
    let refused = tokio::process::Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["run", "--leader-elect", "--lease-duration=10s", "--renew-deadline=10s"])
        .env("KUBECONFIG", World::start().await.cluster().kubeconfig())
        .output()
        .await
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let log = String::from_utf8(refused.stderr).unwrap();
    assert!(log.contains("--renew-deadline (10s) must be shorter than --lease-duration (10s)"), "{log}");
}
