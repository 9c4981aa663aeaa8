//! Who may decide: the admission policy and the roles, evaluated by the API server.

use super::*;
use api::ChangeWindow;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{DeleteParams, Patch, PatchParams};

/// How the API server begins its message about a decision that the policy refuses. The operator recognizes these words.
const BY_POLICY: &str = "ValidatingAdmissionPolicy 'decisions.deploy.cognigy.ai' with binding 'decisions.deploy.cognigy.ai' denied request:";

/// The operator's own user.
const OPERATOR: &str = "system:serviceaccount:cognigy-system:cognigy-operator";

#[tokio::test]
async fn only_people_with_the_verb_on_the_environment_may_decide_and_only_under_their_own_name() {
    let namespace = plan().await.without_operator().start().await;
    let people = People::of(&shared().await.cluster, &namespace).await;
    let name = namespace.name.as_str();
    let no_right = format!(
        "cannot create resource \"cognigydecisions\" in API group \"deploy.cognigy.ai\" in the namespace \"{name}\""
    );
    let no_verb = |who: &str, verb: &str, environment: &str| {
        format!(
            "{BY_POLICY} {who} may not {verb} for the environment {environment} in the namespace {name}: ask an administrator \
             for a Role there with apiGroups [deploy.cognigy.ai], resources [environments], resourceNames [{environment}] and \
             verbs [{verb}]"
        )
    };
    let own = |who: &str| decision("approve", NO_PLAN, who);
    let elsewhere = changed(own("ada"), "environmentId", json!("env_other"));
    for (who, decision, refusal) in [
        ("editor", own("editor"), no_right.clone()),
        ("nobody", own("nobody"), no_right),
        ("writer", own("writer"), no_verb("writer", "approve", ENVIRONMENT)),
        ("ada", elsewhere, no_verb("ada", "approve", "env_other")),
        (
            "ada",
            own("grace"),
            format!("{BY_POLICY} spec.by must be ada, the user who creates the decision, but it is grace"),
        ),
        ("starter", super::decision("override", NO_PLAN, "starter"), no_verb("starter", "override", ENVIRONMENT)),
        (OPERATOR, own(OPERATOR), no_verb(OPERATOR, "approve", ENVIRONMENT)),
    ] {
        let answer = people.dry_run(who, &decision).await.expect_err(&decision.to_string());
        assert!(answer.contains(&refusal), "{who}: {answer}");
    }
    for who in ["ada", "both"] {
        for verb in VERBS {
            people.dry_run(who, &super::decision(verb, NO_PLAN, who)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_decides_cannot_edit_and_who_edits_cannot_decide() {
    let namespace = plan().await.without_operator().start().await;
    let people = People::of(&shared().await.cluster, &namespace).await;
    namespace.apply(sample()).await;
    let made = people.decide("ada", "approve", NO_PLAN).await;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let patch = PatchParams { dry_run: true, ..PatchParams::default() };
    let edit = Patch::Merge(json!({"spec": {"suspend": true}}));
    let relabel = Patch::Merge(json!({"metadata": {"labels": {"team": "bots"}}}));
    let approve = Patch::Merge(json!({"status": {"state": "Acted", "message": "", "at": "2026-01-01T00:00:00Z"}}));
    let window: ChangeWindow = serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow", "metadata": {"name": "always"},
        "spec": {"type": "Allow", "timeZone": "UTC", "recurring": {"schedule": "0 0 * * *", "durationSeconds": 86400}}
    }))
    .unwrap();
    for (who, may_edit) in [("editor", true), ("ada", false), ("both", true), ("nobody", false)] {
        let deployments: Api<CognigyDeployment> = people.api(who).await;
        let decisions: Api<CognigyDecision> = people.api(who).await;
        let windows: Api<ChangeWindow> = people.api(who).await;
        let may_read = who != "nobody" && who != "editor";
        assert_eq!(deployments.patch("bot", &patch, &edit).await.is_ok(), may_edit, "{who} edits");
        assert_eq!(decisions.get(&made).await.is_ok(), may_read, "{who} reads decisions");
        assert!(windows.create(&dry_run, &window).await.is_err(), "{who} writes a change window");
        assert!(decisions.patch(&made, &patch, &relabel).await.is_err(), "{who} changes a decision");
        assert!(decisions.patch_status(&made, &patch, &approve).await.is_err(), "{who} writes the state of a decision");
        assert!(decisions.delete(&made, &DeleteParams::default().dry_run()).await.is_err(), "{who} deletes a decision");
    }
    people.bind("freezers", "ClusterRole", "cognigydeployments-windows", &["freezer"]).await;
    let windows: Api<ChangeWindow> = people.api("freezer").await;
    let granted = async { while windows.create(&dry_run, &window).await.is_err() {} };
    assert!(timeout(KNOWN_WITHIN, granted).await.is_ok(), "who has the role writes change windows");
}

#[tokio::test]
async fn an_administrator_of_a_namespace_cannot_grant_the_right_to_approve() {
    let namespace = plan().await.without_operator().start().await;
    let people = People { cluster: &shared().await.cluster, namespace: &namespace };
    // The parts of the role admin. Its controller, which puts them together, does not run here.
    for role in ["system:aggregate-to-admin", "cognigydeployments-view", "cognigydeployments-edit"] {
        people.bind(&role.replace(':', "-"), "ClusterRole", role, &["chief"]).await;
    }
    let roles: Api<Role> = people.api("chief").await;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let role = |resource: &str, group: &str, verb: &str| -> Role {
        let rule = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
        serde_json::from_value(json!({"metadata": {"name": "more"}, "rules": [rule]})).unwrap()
    };
    let own = role("cognigydeployments", "deploy.cognigy.ai", "create");
    let granted = async { while roles.create(&dry_run, &own).await.is_err() {} };
    assert!(timeout(KNOWN_WITHIN, granted).await.is_ok(), "an administrator can grant what they have");
    for (resource, verb) in [("environments", "approve"), ("cognigydecisions", "create"), ("changewindows", "delete")] {
        let refusal = roles.create(&dry_run, &role(resource, "deploy.cognigy.ai", verb)).await.unwrap_err().to_string();
        assert!(refusal.contains("is attempting to grant RBAC permissions not currently held"), "{refusal}");
    }
}

#[tokio::test]
async fn a_decision_cannot_be_changed_but_its_labels_can() {
    let namespace = plan().await.without_operator().start().await;
    let people = People::of(&shared().await.cluster, &namespace).await;
    let made = people.decide("ada", "approve", NO_PLAN).await;
    let decisions: Api<CognigyDecision> = namespace.api();
    let patch = async |patch: Value| decisions.patch(&made, &PatchParams::default(), &Patch::Merge(patch)).await;
    for spec in [json!({"verb": "Reject"}), json!({"by": "grace"}), json!({"expiresAt": "2030-01-01T00:00:00Z"})] {
        let refusal = patch(json!({"spec": spec})).await.unwrap_err().to_string();
        assert!(refusal.contains("a decision cannot be changed: create another one"), "{refusal}");
    }
    patch(json!({"metadata": {"labels": {"team": "bots"}}})).await.unwrap();
}
