//! `list`, `status`, `history`, `explain`, `events`, `doctor`.

use crate::support::*;
use api::status::Outcome;

#[tokio::test]
async fn the_fleet_shows_what_runs_and_what_waits_for_what() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    namespace.apply(sample().named("bad")).await.until_settled(1, Outcome::RolledBack).await;
    namespace.apply(sample().named("good").environment("env_other")).await.until_ready().await;
    namespace
        .apply(sample().named("held").environment("env_third").suspend(true))
        .await
        .until_ready_reason(api::Reason::Suspended)
        .await;

    let said = cognigy(&namespace, &["list"]).await.exits(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[0].starts_with("NAME"), "{said:#?}");
    let row = |name: &str| lines.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{said:#?}"));
    assert!(row("bad").contains("before 2.4.1") && row("bad").contains("RolledBack"), "{said:#?}");
    assert!(row("good").contains("2.4.1") && row("good").contains("Ready"), "{said:#?}");
    assert!(row("held").contains("nothing yet") && row("held").contains("Suspended"), "{said:#?}");

    let not_ready = cognigy(&namespace, &["list", "--not-ready", "-o", "name"]).await.exits(0);
    let names: Vec<&str> = not_ready.stdout.lines().collect();
    assert_eq!(names, ["cognigydeployment.deploy.cognigy.ai/bad", "cognigydeployment.deploy.cognigy.ai/held"]);
}

#[tokio::test]
async fn one_rollout_that_went_bad_is_told_by_every_command() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.until_event("Normal", api::Reason::HealthGood).await;

    let status = cognigy(&namespace, &["status", "bot", "-o", "json"]).await.exits(0).json();
    let stages: Vec<String> = status["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| format!("{} {}", stage["name"].as_str().unwrap(), stage["progress"].as_str().unwrap()))
        .collect();
    let expected = [
        "validate Done",
        "trace Done",
        "submit Done",
        "job Done",
        "health Failed",
        "rollback Done",
        "restored Done",
        "deliveries Done",
    ];
    assert_eq!(stages, expected, "{status:#}");

    let history = cognigy(&namespace, &["history", "bot", "-o", "json"]).await.exits(0).json();
    assert_eq!((&history[0]["attempt"], &history[0]["outcome"]), (&json!(1), &json!("RolledBack")), "{history:#}");
    assert_eq!(history[0]["reason"], "HealthCheckFailed");

    let explained = cognigy(&namespace, &["explain", "bot"]).await.exits(0);
    assert!(explained.stdout.contains("deploy a corrected configuration, or request a retry"), "{explained:#?}");
    let events = cognigy(&namespace, &["events", "bot"]).await.exits(0);
    assert!(events.stdout.contains("HealthCheckFailed (Warning)"), "{events:#?}");
}

#[tokio::test]
async fn a_viewer_may_read_everything_and_change_nothing() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    let viewer = person(&namespace, "viewer", &["cognigydeployments-view"], "watch").await;
    let as_viewer = |arguments: &[&str]| run(command_with(&viewer, &namespace, arguments));
    for command in [&["list"][..], &["status", "bot"], &["history", "bot"], &["explain", "bot"], &["wait", "bot"]] {
        as_viewer(command).await.exits(0);
    }
    let before = bot.get().await.metadata.resource_version;
    for command in [&["retry", "bot", "--yes"][..], &["rollback", "bot", "--yes", "--reason", "no"]] {
        let said = as_viewer(command).await.exits(2);
        assert!(said.stderr.contains("cannot patch"), "{said:#?}");
    }
    assert_eq!(bot.get().await.metadata.resource_version, before, "nothing was written");
    let doctor = as_viewer(&["doctor"]).await.exits(0);
    assert!(doctor.stdout.contains("you may also not patch cognigydeployments (for retry, rollback"), "{doctor:#?}");
    assert!(doctor.stdout.contains("you may not list events (for events)"), "{doctor:#?}");
}

#[tokio::test]
async fn the_doctor_names_the_missing_secret_and_the_command_that_creates_it() {
    let namespace = plan().await.without_secret().start().await;
    namespace.apply(sample()).await.until_stalled(api::Reason::CredentialsNotFound).await;
    // No kubelet runs the installed Deployment here, and the doctor says so as well.
    let said = cognigy(&namespace, &["doctor"]).await.exits(5);
    assert!(said.stdout.contains("0 of 1 replicas ready"), "{said:#?}");
    assert!(said.stdout.contains("cognigy-api of bot does not exist"), "{said:#?}");
    let command = format!("kubectl -n {} create secret generic cognigy-api", namespace.name);
    assert!(said.stdout.contains(&command), "{said:#?}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_in_words() {
    let namespace = plan().await.without_operator().start().await;
    let said = cognigy(&namespace, &["status", "nobody"]).await.exits(2);
    let expected = format!("there is no cognigydeployment nobody in the namespace {}", namespace.name);
    assert!(said.stderr.contains(&expected), "{said:#?}");
}
