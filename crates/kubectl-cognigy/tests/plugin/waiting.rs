//! `wait`: each exit code, and that it is bound to one configuration.

use crate::support::*;
use api::status::Step;

#[tokio::test]
async fn a_good_verdict_exits_with_0_and_says_what_was_deployed() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await;
    let said = cognigy(&namespace, &["wait", "bot", "-o", "json"]).await.exits(0);
    let result = said.json();
    assert_eq!((&result["result"], &result["version"]), (&json!("Succeeded"), &json!("2.4.1")), "{result:#}");
    assert!(said.stderr.lines().count() >= 1, "progress goes to stderr: {said:#?}");
}

#[tokio::test]
async fn a_rollback_exits_with_1_at_once_and_marks_the_log_of_the_pipeline() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    namespace.apply(sample()).await;
    let said = cognigy(&namespace, &["wait", "bot", "--ci=github"]).await.exits(1);
    assert!(said.stdout.starts_with("::error title="), "{said:#?}");
    assert!(said.stdout.contains("HealthCheckFailed"), "{said:#?}");
}

#[tokio::test]
async fn a_configuration_that_was_ready_before_does_not_end_the_wait_for_a_newer_one() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    namespace.replace_script("deploymentsAreUnhealthy: true");
    bot.edit(&sample().version("2.5.0")).await;
    let said = cognigy(&namespace, &["wait", "bot", "--for=ready"]).await.exits(1);
    assert!(said.stdout.contains("bad verdict"), "{said:#?}");
}

#[tokio::test]
async fn a_rollout_that_takes_longer_than_the_time_out_exits_with_3() {
    let namespace = with_running_jobs().await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    let said = cognigy(&namespace, &["wait", "bot", "--timeout=2s"]).await.exits(3);
    assert!(said.stdout.contains("time-out") && said.stdout.contains("is running"), "{said:#?}");
    let submitted = cognigy(&namespace, &["wait", "bot", "--for=submitted"]).await.exits(0);
    assert!(submitted.stdout.contains("was submitted as job_"), "{submitted:#?}");
}

#[tokio::test]
async fn a_deployment_that_needs_a_person_exits_with_4_and_says_why() {
    let namespace = plan().await.without_secret().start().await;
    namespace.apply(sample()).await.until_stalled(api::Reason::CredentialsNotFound).await;
    let said = cognigy(&namespace, &["wait", "bot"]).await.exits(4);
    assert!(said.stdout.contains("a person is needed (CredentialsNotFound)"), "{said:#?}");
}

#[tokio::test]
async fn an_operator_that_does_not_run_exits_with_5() {
    let namespace = plan().await.without_operator().start().await;
    namespace.apply(sample()).await;
    let said = cognigy(&namespace, &["wait", "bot", "--operator-timeout=1s"]).await.exits(5);
    assert!(said.stdout.contains("the operator does not act"), "{said:#?}");
    cognigy(&namespace, &["wait", "bot", "--digest", "v2:soon"]).await.exits(2);
}

#[tokio::test]
async fn a_snapshot_in_a_config_map_is_waited_for_by_its_digest() {
    let namespace = new_namespace().await;
    namespace.put_config_map("snapshot", r#"{"botVersion": "3.0.0"}"#).await;
    namespace.apply(sample().snapshot_from("snapshot")).await;
    let result = cognigy(&namespace, &["wait", "bot", "-o", "json"]).await.exits(0).json();
    assert_eq!(result["version"], "3.0.0", "{result:#}");
}

#[tokio::test]
async fn apply_waits_for_the_verdict_on_the_file_and_applies_nothing_if_the_file_has_a_mistake() {
    let namespace = new_namespace().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.yaml");
    let path = file.to_str().unwrap();
    let write = |sample: testkit::Sample| std::fs::write(&file, sample.object().to_string()).unwrap();

    write(sample().threshold(0));
    let said = cognigy(&namespace, &["apply", "-f", path, "--wait"]).await.exits(2);
    assert!(said.stderr.contains("spec.rollbackPolicy.healthThreshold"), "{said:#?}");
    assert_eq!(namespace.resources().list(&Default::default()).await.unwrap().items.len(), 0, "nothing was applied");

    write(sample());
    let said = cognigy(&namespace, &["apply", "-f", path, "--wait", "-o", "json"]).await.exits(0);
    assert_eq!(said.json()["version"], "2.4.1", "{said:#?}");
    assert!(said.stderr.contains("bot created"), "kubectl's own words: {said:#?}");
    // Nothing has changed, so the verdict is there already.
    cognigy(&namespace, &["apply", "-f", path, "--wait"]).await.exits(0);

    // Another pipeline replaces the configuration: the wait for the file ends with that, and not with its success.
    let other = json!({"spec": {"configurationSnapshot": {"botVersion": "3.0.0"}}});
    namespace.resource("bot").patch(other).await;
    namespace
        .resource("bot")
        .until("3.0.0 is deployed", |object| {
            let attempt = object.status.as_ref().and_then(|status| status.attempt.as_ref());
            attempt.is_some_and(|attempt| attempt.version.as_deref() == Some("3.0.0") && attempt.verdict.is_some())
        })
        .await;
    let said = cognigy(&namespace, &["wait", "bot", "--file", path, "--timeout=5s"]).await;
    assert_ne!(said.exit, 0, "{said:#?}");
}

#[tokio::test]
async fn a_time_out_of_0_looks_once() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await.until_ready().await;
    cognigy(&namespace, &["wait", "bot", "--timeout=0"]).await.exits(0);
    cognigy(&namespace, &["wait", "bot", "--timeout=999999h"]).await.exits(2);
}

#[tokio::test]
async fn a_retry_of_a_suspended_deployment_needs_a_person_and_does_not_blame_the_operator() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, api::status::Outcome::RolledBack).await;
    bot.patch(json!({"spec": {"suspend": true}})).await;
    cognigy(&namespace, &["retry", "bot", "--yes"]).await.exits(0);
    let said = cognigy(&namespace, &["wait", "bot", "--operator-timeout=1s"]).await.exits(4);
    assert!(said.stdout.contains("(Suspended)"), "{said:#?}");
}

#[tokio::test]
async fn messages_of_a_resource_cannot_send_commands_to_a_terminal_or_a_pipeline() {
    let namespace = plan().await.without_operator().start().await;
    let hostile = "x\u{1b}[2J\u{9b}8m##vso[task.setvariable variable=PATH]y\n::add-mask::z";
    let bot = namespace.apply(sample().suspend(true)).await;
    // Server-side apply refuses such characters, a merge patch does not.
    bot.annotate(api::SUSPENDED_BY_ANNOTATION, hostile).await;
    let status = json!({"status": {"observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": "False", "reason": "Suspended", "message": hostile,
        "lastTransitionTime": "2026-01-01T12:00:00Z", "observedGeneration": 1,
    }]}});
    let merge = kube::api::Patch::Merge(status);
    namespace.resources().patch_status("bot", &Default::default(), &merge).await.unwrap();
    let commands = [
        &["list"][..],
        &["list", "-o", "json"],
        &["list", "-o", "yaml"],
        &["status", "bot"],
        &["status", "bot", "-o", "json"],
        &["explain", "bot"],
        &["resume", "bot", "--dry-run"],
        &["resume", "bot"],
        &["wait", "bot", "--timeout=1s", "--ci=github"],
        &["wait", "bot", "--timeout=1s", "--ci=gitlab"],
    ];
    for command in commands {
        let said = cognigy(&namespace, command).await;
        let text = format!("{}{}", said.stdout, said.stderr).replace("\r\u{1b}[0K", "");
        let is_executed = |letter: char| letter.is_control() && letter != '\n';
        assert!(!text.contains(is_executed) && !text.contains("##vso["), "{command:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("::add-mask")), "{command:?}: {text:?}");
    }
}
