//! The example policies about who may deploy to which environment, and with how many approvals, evaluated by the API server.

use crate::manifests::kubectl;
use crate::support::*;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long the API server may take to apply a policy, a label or a role.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

async fn apply(text: &str) {
    let output = kubectl(&["apply", "--server-side", "-f", "-"], text).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs kubectl until the API server accepts or refuses the input as expected, and returns the output.
async fn until(arguments: &[&str], input: &str, accepted: bool) -> String {
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        let output = timeout_at(deadline, kubectl(arguments, input)).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?}: success was never {accepted}: {input}"));
        if output.status.success() == accepted {
            return String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        }
    }
}

/// Sets labels and annotations of a namespace.
async fn label(namespace: &TestNamespace, metadata: Value) {
    let patch = json!({"metadata": metadata}).to_string();
    until(&["patch", "namespace", &namespace.name, "--type", "merge", "--patch", &patch], "", true).await;
}

/// Allows these users to write resources in the namespace.
async fn allow_writes(namespace: &TestNamespace, people: &[&str]) {
    let metadata = json!({"name": "writers", "namespace": namespace.name});
    let rule = json!({"apiGroups": ["deploy.cognigy.ai"], "resources": ["cognigydeployments"], "verbs": ["*"]});
    apply(&role(&metadata, &[rule], people)).await;
}

fn role(metadata: &Value, rules: &[Value], people: &[&str]) -> String {
    let group = "rbac.authorization.k8s.io";
    let subjects: Vec<Value> =
        people.iter().map(|name| json!({"apiGroup": group, "kind": "User", "name": name})).collect();
    let version = format!("{group}/v1");
    let items = json!([
        {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules},
        {"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "subjects": subjects,
         "roleRef": {"apiGroup": group, "kind": "Role", "name": metadata["name"]}},
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn resource(namespace: &TestNamespace, environment: &str) -> String {
    let mut object = sample().environment(environment).object();
    object["metadata"]["namespace"] = json!(namespace.name);
    object.to_string()
}

#[tokio::test]
async fn a_user_can_deploy_only_to_the_environments_that_their_roles_allow() {
    let namespace = new_namespace().await;
    let name = namespace.name.as_str();
    apply(include_str!("../../deploy/policies/environments-by-person.yaml")).await;
    label(&namespace, json!({"labels": {"deploy.cognigy.ai/environments-by": "person"}})).await;
    allow_writes(&namespace, &["alice", "bob"]).await;
    let (production, other) = (resource(&namespace, ENVIRONMENT), resource(&namespace, "env_other"));
    let metadata = json!({"name": "production", "namespace": name});
    let use_it = json!({
        "apiGroups": ["deploy.cognigy.ai"], "resources": ["environments"], "resourceNames": [ENVIRONMENT], "verbs": ["use"]
    });
    apply(&role(&metadata, &[use_it], &["alice"])).await;

    let create = |who: &'static str| ["create", "--as", who, "-f", "-", "--dry-run=server"];
    let words = until(&create("bob"), &production, false).await;
    assert!(words.contains(&format!("bob may not deploy to {ENVIRONMENT}")), "{words}");
    until(&create("alice"), &production, true).await;
    let words = until(&create("alice"), &other, false).await;
    assert!(words.contains("environments.deploy.cognigy.ai/env_other"), "{words}");

    // The operator needs no such right for its own writes.
    until(&["create", "--as", "alice", "-f", "-"], &production, true).await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    let patch = |who: &'static str, patch: Value| async move {
        let patch = patch.to_string();
        let of = ["patch", "cgd", "bot", "--namespace", name, "--type", "merge", "--as", who, "--patch", &patch];
        kubectl(&of, "").await.status.success()
    };
    for (change, bob_may) in [
        (json!({"metadata": {"labels": {"team": "bots"}}}), true),
        (json!({"metadata": {"annotations": {"example.com/note": "mine"}}}), true),
        (json!({"metadata": {"annotations": {"deploy.cognigy.ai/retry": "now"}}}), false),
        (json!({"metadata": {"annotations": {"deploy.cognigy.ai/rollback": "now"}}}), false),
        (json!({"spec": {"configurationSnapshot": {"botVersion": "3.0.0"}}}), false),
        (json!({"spec": {"suspend": true}}), false),
    ] {
        assert_eq!(patch("bob", change.clone()).await, bob_may, "bob: {change}");
        assert!(patch("alice", change.clone()).await, "alice: {change}");
    }
}

#[tokio::test]
async fn resources_in_a_namespace_can_use_only_the_environments_that_its_annotation_lists() {
    let namespace = plan().await.without_operator().without_secret().start().await;
    apply(include_str!("../../deploy/policies/environments-by-namespace.yaml")).await;
    label(&namespace, json!({"labels": {"deploy.cognigy.ai/environments-by": "namespace"}})).await;
    let create = ["create", "-f", "-", "--dry-run=server"];
    let words = until(&create, &resource(&namespace, "env_staging_eu"), false).await;
    assert!(words.contains(&format!("the namespace {} may not deploy to env_staging_eu", namespace.name)), "{words}");
    label(&namespace, json!({"annotations": {"deploy.cognigy.ai/environments": "env_dev_1, env_staging_*"}})).await;
    for (environment, is_allowed) in [
        ("env_staging_eu", true),
        ("env_staging_", true),
        ("env_dev_1", true),
        ("env_dev_11", false),
        ("env_staging", false),
        ("my_env_staging_eu", false),
        (ENVIRONMENT, false),
    ] {
        until(&create, &resource(&namespace, environment), is_allowed).await;
    }
}

#[tokio::test]
async fn a_namespace_can_demand_approvals_that_no_editor_can_remove() {
    let namespace = plan().await.without_operator().without_secret().start().await;
    apply(include_str!("../../deploy/policies/approvals-by-namespace.yaml")).await;
    label(&namespace, json!({"labels": {"deploy.cognigy.ai/approvals": "2"}})).await;
    let with = |approval: Value| {
        let mut object = sample().with(json!({"approval": approval})).object();
        object["metadata"]["namespace"] = json!(namespace.name);
        object.to_string()
    };
    let create = ["create", "-f", "-", "--dry-run=server"];
    for approval in [Value::Null, json!({}), json!({"required": 1})] {
        let words = until(&create, &with(approval), false).await;
        assert!(words.contains("must be approved: set spec.approval.required to 2 or more"), "{words}");
    }
    until(&["create", "-f", "-"], &with(json!({"required": 2})), true).await;
    let patch = async |patch: Value| {
        let patch = patch.to_string();
        let of = ["patch", "cgd", "bot", "--namespace", &namespace.name, "--type", "merge", "--patch", &patch];
        kubectl(&of, "").await.status.success()
    };
    assert!(!patch(json!({"spec": {"approval": null}})).await, "the approval cannot be removed");
    assert!(!patch(json!({"spec": {"approval": {"required": 1}}})).await, "nor can it be lowered");
    assert!(patch(json!({"spec": {"approval": {"required": 3}}})).await);
    assert!(patch(json!({"metadata": {"labels": {"team": "bots"}}})).await);
}
