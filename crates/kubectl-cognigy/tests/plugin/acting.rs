//! `retry`, `rollback`, `suspend`, `resume`.

use crate::support::*;
use api::status::{Outcome, Step};
use api::{Reason, SUSPENDED_BY_ANNOTATION};
use kube::ResourceExt;

#[tokio::test]
async fn a_rollback_keeps_who_requested_it_and_why() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    let roles = ["cognigydeployments-view", "cognigydeployments-edit"];
    let editor = person(&namespace, "editor", &roles, "patch").await;
    let arguments = ["rollback", "bot", "--yes", "--reason", "wrong greeting, INC-4711"];
    run(command_with(&editor, &namespace, &arguments)).await.exits(0);
    let rolled_back = bot.until_ready_reason(Reason::RolledBack).await;
    let handled = rolled_back.status.unwrap().handled_requests.unwrap().rollback.unwrap();
    let person = format!("by system:serviceaccount:{}:editor: wrong greeting, INC-4711", namespace.name);
    assert!(handled.ends_with(&person), "{handled}");
}

#[tokio::test]
async fn a_retry_starts_another_attempt_and_a_dry_run_does_not() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    let before = bot.get().await.metadata.resource_version;
    let said = cognigy(&namespace, &["retry", "bot", "--dry-run"]).await.exits(0);
    assert!(said.stdout.contains("this would try again to deploy version 2.4.1"), "{said:#?}");
    let said = cognigy(&namespace, &["retry", "bot"]).await.exits(2);
    assert!(said.stderr.contains("add --yes"), "{said:#?}");
    assert_eq!(bot.get().await.metadata.resource_version, before, "nothing was written");
    cognigy(&namespace, &["retry", "bot", "--yes"]).await.exits(0);
    bot.until_settled(2, Outcome::RolledBack).await;
}

#[tokio::test]
async fn a_retry_in_flight_is_refused_before_anything_is_written() {
    let namespace = with_running_jobs().await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    let said = cognigy(&namespace, &["retry", "bot", "--yes"]).await.exits(2);
    assert!(said.stderr.contains("attempt 1") && said.stderr.contains("is in flight"), "{said:#?}");
    assert_eq!(bot.get().await.annotations().get(api::RETRY_ANNOTATION), None);
}

#[tokio::test]
async fn a_suspension_names_who_and_why_until_it_is_resumed() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    cognigy(&namespace, &["suspend", "bot", "--yes", "--reason", "freeze at Christmas"]).await.exits(0);
    let suspended = bot.get().await;
    assert!(suspended.spec.suspend);
    assert!(suspended.annotations()[SUSPENDED_BY_ANNOTATION].ends_with(": freeze at Christmas"));
    bot.edit(&sample().version("2.5.0").suspend(true)).await;
    bot.until_ready_reason(Reason::Suspended).await;

    cognigy(&namespace, &["wait", "bot"]).await.exits(4);
    cognigy(&namespace, &["resume", "bot", "--yes"]).await.exits(0);
    cognigy(&namespace, &["wait", "bot"]).await.exits(0);
    assert_eq!(bot.get().await.annotations().get(SUSPENDED_BY_ANNOTATION), None);
}

#[tokio::test]
async fn a_reason_must_be_given_for_what_stops_others() {
    let namespace = plan().await.without_operator().start().await;
    for command in ["rollback", "suspend"] {
        let said = cognigy(&namespace, &[command, "bot", "--yes"]).await.exits(2);
        assert!(said.stderr.contains("--reason"), "{said:#?}");
    }
}
