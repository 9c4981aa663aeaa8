//! Without the admission policy, no decision counts, and none that was created then counts later.

use super::*;
use crate::manifests::root;
use std::process::Stdio;
use tokio::process::Command;

/// The policy and its binding.
const POLICY: &str = "deploy/base/decision-policy.yaml";

async fn kubectl(cluster: &Cluster, arguments: &[&str]) {
    let mut kubectl = Command::new("kubectl");
    let kubectl = kubectl.current_dir(root()).arg("--kubeconfig").arg(cluster.kubeconfig()).args(arguments);
    let output = kubectl.stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn without_the_policy_no_approval_counts_and_one_that_was_forged_then_never_does() {
    let cluster = Cluster::start(&[]).await;
    cluster.install().await;
    let right = Right {
        group: "deploy.cognigy.ai".to_owned(),
        resource: "cognigydeployments".to_owned(),
        names: Vec::new(),
        verb: "list".to_owned(),
    };
    let kubeconfig = cluster.service_account_with("cognigy-system", "cognigy-operator", &right).await;
    let namespace = cluster.plan(BINARY).operator_kubeconfig(&kubeconfig).start().await;
    let people = People::of(&cluster, &namespace).await;

    let bot = namespace.apply(approved_by(1)).await;
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    // The operator has seen the policy in force, and must notice that it is gone.
    let other = people.decide("ada", "approve", NO_PLAN).await;
    assert_eq!(people.until_state(&other, DecisionState::Ignored).await.verified, Some(true));
    kubectl(&cluster, &["delete", "-f", POLICY]).await;
    people.until_accepted("writer", decision("approve", &plan, "grace")).await;
    let forged = people.try_decide("writer", decision("approve", &plan, "grace")).await.unwrap().name_any();
    let waiting = bot.until_reason(ConditionType::GatesOpen, Reason::ApproverUnverified).await;
    assert!(waiting.attempt().submission.is_none());
    let message = &waiting.condition(ConditionType::GatesOpen).message;
    assert!(
        message.contains("1 of 1 approvals") && message.contains("decisions.deploy.cognigy.ai is not in force"),
        "{message}"
    );
    bot.until_event("Warning", Reason::ApproverUnverified).await;
    let status = people.until_state(&forged, DecisionState::Ignored).await;
    assert_eq!(status.verified, Some(false));
    assert!(status.message.contains("anybody could have written it"), "{}", status.message);

    kubectl(&cluster, &["apply", "--server-side", "-f", POLICY]).await;
    people.until_refused("writer", decision("approve", &plan, "grace"), "spec.by must be writer").await;
    let real = people.decide("ada", "approve", &plan).await;
    let done = bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(approvers(&done), ["ada"], "the forged approval does not count");
    people.until_state(&real, DecisionState::Acted).await;
    assert_eq!(people.until_state(&forged, DecisionState::Ignored).await.verified, Some(false));
}
