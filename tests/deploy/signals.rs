//! Ctrl-C and SIGTERM.

use crate::stage::Stage;
use cognigy_operator::command::deploy::RunResult;
use simulator::Call;

const RUNNING: &str = "faults: [{call: job, times: 3, fault: {body: {status: running}}}]";

#[tokio::test]
async fn a_signal_stops_the_run_and_says_what_is_running_and_how_to_go_on() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let stage = Stage::new(RUNNING).await;
        let first = stage.spawn(&[]);
        stage.until_called(Call::Job, 1).await;
        first.signal(signal).await;
        let report = first.ended().await.ended_as(code, RunResult::Interrupted);
        assert!(report.message.contains("attempt 1 is in progress (RollingOut, job_"), "{}", report.message);
        assert!(report.message.ends_with("run the same command again to go on"), "{}", report.message);
        let ran = stage.run(&[]).await;
        ran.ended_as(0, RunResult::Deployed);
        assert!(ran.stderr.contains("is continued"), "{}", ran.stderr);
        assert_eq!((stage.calls(Call::Submit), stage.calls(Call::Validate)), (1, 1));
        assert_eq!((stage.audit(), stage.webhooks()), (vec![true], vec![true]));
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_run_at_once() {
    let stage = Stage::new("faults: [{call: validate, times: forever, fault: {delay: {seconds: 60}}}]").await;
    let first = stage.spawn(&[]);
    stage.until_called(Call::Validate, 1).await;
    first.signal("-INT").await;
    let began = std::time::Instant::now();
    // The first signal waits for the call for a few seconds.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    first.signal("-INT").await;
    let ran = first.ended().await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{ran:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Nothing has begun yet, so there is nothing to stop in order.
#[tokio::test]
async fn a_signal_ends_a_run_that_waits_for_its_manifest() {
    let stage = Stage::new("").await;
    let pipe = stage.path("release.yaml");
    std::fs::remove_file(&pipe).unwrap();
    assert!(tokio::process::Command::new("mkfifo").arg(&pipe).status().await.unwrap().success());
    let run = stage.spawn(&[]);
    // This waits until the run has opened the pipe.
    let writer = tokio::task::spawn_blocking(move || std::fs::File::create(pipe).unwrap()).await.unwrap();
    run.signal("-INT").await;
    let ran = tokio::time::timeout(std::time::Duration::from_secs(20), run.ended()).await.expect("the run must end");
    assert_eq!((ran.code, ran.stdout.as_str()), (None, ""), "{ran:?}");
    drop(writer);
}
