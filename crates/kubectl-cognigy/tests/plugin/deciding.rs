//! `approve`, `reject`, `override`, `windows`, and what other commands say about gates: with the real operator, as people who may decide
//! and not edit.

use crate::support::*;
use api::status::Outcome;
use api::{ChangeWindow, CognigyDecision, Reason};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The admission policy of the operator.
const POLICY: &str = "decisions.deploy.cognigy.ai";
static IN_FORCE: OnceCell<()> = OnceCell::const_new();

/// A namespace in a cluster whose admission policy is in force.
async fn guarded_namespace() -> TestNamespace {
    let namespace = new_namespace().await;
    IN_FORCE.get_or_init(|| put_policy_in_force(&namespace)).await;
    namespace
}

/// Creates the policy, unless the installation has one, and waits until the API server refuses a forged decision.
async fn put_policy_in_force(namespace: &TestNamespace) {
    let policies: Api<ValidatingAdmissionPolicy> = namespace.cluster_api();
    if policies.get_opt(POLICY).await.unwrap().is_none() {
        let policy = json!({
            "metadata": {"name": POLICY},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{"apiGroups": ["deploy.cognigy.ai"], "apiVersions": ["*"],
                    "operations": ["CREATE"], "resources": ["cognigydecisions"]}]},
                "validations": [
                    {"expression": "object.spec.by == request.userInfo.username",
                        "messageExpression": "'spec.by must be ' + request.userInfo.username", "reason": "Invalid"},
                    {"expression": "authorizer.group('deploy.cognigy.ai').resource('environments').namespace(request.namespace)\
                        .name(object.spec.environmentId).check(object.spec.verb.lowerAscii()).allowed()",
                        "message": "the user may not decide this for the environment", "reason": "Forbidden"},
                ],
            },
        });
        policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
        let binding =
            json!({"metadata": {"name": POLICY}, "spec": {"policyName": POLICY, "validationActions": ["Deny"]}});
        let bindings: Api<ValidatingAdmissionPolicyBinding> = namespace.cluster_api();
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    }
    let forged = decision("Approve", "somebody-else", "forged");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    // The API server learns of policies by a watch.
    while namespace.api::<CognigyDecision>().create(&dry_run, &forged).await.is_ok() {}
}

fn decision(verb: &str, by: &str, reason: &str) -> CognigyDecision {
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDecision", "metadata": {"generateName": "bot-"},
        "spec": {"deployment": "bot", "environmentId": ENVIRONMENT, "planId": "plan-0000000000000000", "verb": verb,
            "by": by, "reason": reason},
    }))
    .unwrap()
}

/// Lets a user read deployments and windows, write decisions, and decide with these verbs. They may not edit anything.
async fn decider(namespace: &TestNamespace, user: &str, verbs: &[&str]) {
    let role: Role = serde_json::from_value(json!({"metadata": {"name": user}, "rules": [
        {"apiGroups": ["deploy.cognigy.ai"], "resources": ["cognigydeployments", "changewindows"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["deploy.cognigy.ai"], "resources": ["cognigydecisions"], "verbs": ["create", "get", "list", "watch"]},
        {"apiGroups": ["deploy.cognigy.ai"], "resources": ["environments"], "resourceNames": [ENVIRONMENT], "verbs": verbs},
    ]}))
    .unwrap();
    namespace.api::<Role>().create(&PostParams::default(), &role).await.unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }))
    .unwrap();
    namespace.api::<RoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes": {
        "group": "deploy.cognigy.ai", "resource": "cognigydecisions", "verb": "create", "namespace": namespace.name}}}))
    .unwrap();
    let reviews: Api<SubjectAccessReview> = namespace.cluster_api();
    // The API server learns of roles by a watch.
    while !reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed {}
}

/// Runs the plugin as a user.
async fn as_user(namespace: &TestNamespace, user: &str, arguments: &[&str]) -> Said {
    cognigy(namespace, &[arguments, &["--as", user]].concat()).await
}

/// Creates an object with kubectl, as a user.
async fn kubectl_apply(namespace: &TestNamespace, user: &str, object: &str) -> String {
    let mut kubectl = Command::new("kubectl")
        .args(["apply", "-n", &namespace.name, "--as", user, "-f", "-", "--kubeconfig"])
        .arg(shared().await.kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    kubectl.stdin.take().unwrap().write_all(object.as_bytes()).await.unwrap();
    let output = kubectl.wait_with_output().await.unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn approved_by(people: i32) -> testkit::Sample {
    sample().with(json!({"approval": {"required": people}}))
}

/// A freeze that began yesterday and ends tomorrow.
async fn freeze(namespace: &TestNamespace, reason: &str) {
    let now = jiff::Timestamp::now();
    let day = jiff::SignedDuration::from_hours(24);
    let window: ChangeWindow = serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow", "metadata": {"name": "freeze"},
        "spec": {"type": "Deny", "timeZone": "Europe/Berlin", "reason": reason, "once": {"from": now - day, "to": now + day}},
    }))
    .unwrap();
    namespace.api::<ChangeWindow>().create(&PostParams::default(), &window).await.unwrap();
}

#[tokio::test]
async fn two_people_who_may_not_edit_approve_a_rollout_and_it_starts_by_itself() {
    let namespace = guarded_namespace().await;
    for user in ["anna", "bert"] {
        decider(&namespace, user, &["approve"]).await;
    }
    let bot = namespace.apply(approved_by(2)).await;
    bot.until_ready_reason(Reason::AwaitingApproval).await;

    let said = as_user(&namespace, "anna", &["approve", "bot", "--reason", "tested"]).await.exits(2);
    assert!(said.stderr.contains("add --yes") && said.stderr.contains("0 of 2"), "{said:#?}");
    let said = as_user(&namespace, "anna", &["approve", "bot", "--reason", "tested", "--dry-run"]).await.exits(0);
    assert!(said.stdout.contains("nothing was created"), "{said:#?}");
    let said = as_user(&namespace, "anna", &["approve", "bot", "--reason", "tested, CHG-4711", "--yes"]).await.exits(0);
    assert!(said.stdout.contains("is approved by anna (decision bot-approve-"), "{said:#?}");
    assert!(said.stderr.contains("nothing yet → 2.4.1"), "{said:#?}");
    assert!(said.stderr.contains("1 more person must approve"), "{said:#?}");
    let said = as_user(&namespace, "anna", &["approve", "bot", "--reason", "again", "--yes"]).await.exits(2);
    assert!(said.stderr.contains("each person counts once"), "{said:#?}");

    bot.until("anna's approval is counted", |bot| {
        let gates = bot.status.as_ref().and_then(|status| status.attempt.as_ref()?.gates.as_ref());
        gates.is_some_and(|gates| gates.approvals.len() == 1)
    })
    .await;
    let status = as_user(&namespace, "bert", &["status", "bot", "-o", "json"]).await.exits(0).json();
    assert_eq!(status["approvals"], json!({"required": 2, "by": ["anna"]}), "{status:#}");
    let gates = status["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "gates").unwrap();
    assert_eq!((&gates["progress"], &status["gates"][0]["reason"]), (&json!("Active"), &json!("AwaitingApproval")));
    let tree = as_user(&namespace, "bert", &["status", "bot"]).await.exits(0).stdout;
    assert!(tree.contains("approval") && tree.contains("1 of 2: anna"), "{tree}");
    let said = as_user(&namespace, "bert", &["wait", "bot", "--for=approval", "--timeout=1s"]).await.exits(3);
    assert!(said.stderr.contains("approve it with: kubectl cognigy approve bot"), "{said:#?}");
    // The verdict is waited for as well, and a gate is no problem.
    cognigy(&namespace, &["wait", "bot", "--timeout=1s"]).await.exits(3);

    let wrong = ["approve", "bot", "--reason", "tested", "--yes", "--plan", "plan-0000000000000000"];
    let said = as_user(&namespace, "bert", &wrong).await.exits(2);
    assert!(said.stderr.contains("and not about plan-0000000000000000"), "{said:#?}");
    as_user(&namespace, "bert", &["approve", "bot", "--reason", "reviewed", "--yes"]).await.exits(0);
    let said = as_user(&namespace, "bert", &["wait", "bot", "--for=approval"]).await.exits(0);
    assert!(said.stdout.contains("approved by anna, bert"), "{said:#?}");
    as_user(&namespace, "bert", &["wait", "bot"]).await.exits(0);
    let said = as_user(&namespace, "bert", &["approve", "bot", "--reason", "late", "--yes"]).await.exits(2);
    assert!(said.stderr.contains("attempt 1 has ended as Succeeded"), "{said:#?}");
    let said = as_user(&namespace, "bert", &["wait", "bot", "--for=approval"]).await.exits(0);
    assert!(said.stdout.contains("approved by anna, bert"), "it stays approved: {said:#?}");
}

#[tokio::test]
async fn a_rejection_ends_the_attempt_and_the_wait_for_its_approval_and_its_text_cannot_draw_on_the_terminal() {
    let namespace = guarded_namespace().await;
    decider(&namespace, "anna", &["reject"]).await;
    let bot = namespace.apply(approved_by(1)).await;
    let waiting = bot.until_ready_reason(Reason::AwaitingApproval).await;
    let said = as_user(&namespace, "anna", &["approve", "bot", "--reason", "tested", "--yes"]).await.exits(2);
    assert!(said.stderr.contains(&format!("resourceNames [{ENVIRONMENT}]")), "{said:#?}");
    assert!(said.stderr.contains("verbs [approve]"), "{said:#?}");

    // The plugin refuses control characters in a reason, but other programs may write them.
    let plan_id = waiting.status.unwrap().attempt.unwrap().plan_id.unwrap();
    let mut hostile = decision("Reject", "anna", "bad\u{1b}[2J ##vso[task.setvariable variable=PATH]x");
    hostile.spec.plan_id = plan_id;
    hostile.metadata = kube::api::ObjectMeta { name: Some("hostile".to_owned()), ..Default::default() };
    let applied = kubectl_apply(&namespace, "anna", &serde_json::to_string(&hostile).unwrap()).await;
    assert!(applied.contains("created"), "{applied}");
    bot.until_settled(1, Outcome::Abandoned).await;
    for command in [
        &["wait", "bot", "--for=approval"][..],
        &["status", "bot"],
        &["status", "bot", "-o", "json"],
        &["explain", "bot"],
        &["history", "bot"],
        &["list"],
    ] {
        let said = as_user(&namespace, "anna", command).await;
        assert_eq!(said.exit, i32::from(command[0] == "wait"), "{said:#?}");
        let all = said.stdout + &said.stderr;
        assert!(!all.contains('\u{1b}') && !all.contains("##vso["), "{command:?}: {all:?}");
        assert!(all.contains("Rejected") || all.contains("rejected"), "{command:?}: {all}");
    }
    let said = as_user(&namespace, "anna", &["reject", "bot", "--reason", "again", "--yes"]).await.exits(2);
    assert!(said.stderr.contains("has ended as Abandoned (Rejected)"), "{said:#?}");
}

#[tokio::test]
async fn a_closed_window_is_shown_by_its_status_and_only_who_may_override_it_starts_the_rollout() {
    let namespace = guarded_namespace().await;
    decider(&namespace, "anna", &["approve"]).await;
    decider(&namespace, "carl", &["override"]).await;
    freeze(&namespace, "freeze\u{1b}[2J at Christmas").await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready_reason(Reason::WindowClosed).await;
    let windows = || as_user(&namespace, "carl", &["windows", "-o", "json"]);
    let mut shown = windows().await.exits(0).json();
    // The operator writes the status of a window a moment after it has seen it.
    while shown["windows"][0]["state"] == "NotEvaluated" {
        shown = windows().await.exits(0).json();
    }
    let window = &shown["windows"][0];
    assert_eq!((&window["state"], &window["type"]), (&json!("Active"), &json!("Deny")), "{shown:#}");
    assert!(window["nextChange"].as_str().unwrap().contains(" CE"), "in the window's own time zone: {shown:#}");
    assert_eq!(shown["waiting"][0]["name"], "bot", "{shown:#}");
    assert!(shown["waiting"][0]["opensAt"].is_string(), "{shown:#}");
    let table = as_user(&namespace, "carl", &["windows"]).await.exits(0);
    assert!(table.stdout.contains("active") && !table.stdout.contains('\u{1b}'), "{table:#?}");
    assert!(
        table.stderr.contains("change windows of the namespace cognigy-system"),
        "what is not known is said: {table:#?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.yaml");
    std::fs::write(&file, sample().object().to_string()).unwrap();
    let planned = as_user(&namespace, "carl", &["plan", "-f", file.to_str().unwrap(), "-o", "json"]).await.json();
    let plan = &planned["plans"][0];
    assert_eq!(plan["gates"]["windows"][0]["state"], "Active", "{planned:#}");
    assert!(plan["next"]["message"].as_str().unwrap().contains("It waits for the change window"), "{planned:#}");

    let said = as_user(&namespace, "anna", &["override", "bot", "--reason", "INC-1", "--yes"]).await.exits(2);
    assert!(said.stderr.contains("verbs [override]"), "{said:#?}");
    let said = as_user(&namespace, "carl", &["override", "bot", "--reason", "INC-1: customers cannot log in", "--yes"])
        .await
        .exits(0);
    assert!(said.stderr.contains("the rollout starts by itself"), "{said:#?}");
    as_user(&namespace, "carl", &["wait", "bot"]).await.exits(0);
    let tree = as_user(&namespace, "carl", &["status", "bot"]).await.exits(0).stdout;
    assert!(tree.contains("overridden by carl"), "{tree}");
}

#[tokio::test]
async fn a_printed_plan_can_be_approved_before_it_is_applied_with_and_without_git() {
    let namespace = guarded_namespace().await;
    for user in ["anna", "bert"] {
        decider(&namespace, user, &["approve"]).await;
    }
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    let said = cognigy(&namespace, &["wait", "bot", "--for=approval"]).await.exits(0);
    assert!(said.stdout.contains("was submitted") || said.stdout.contains("no approval is needed"), "{said:#?}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.yaml");
    let path = file.to_str().unwrap();
    let next = approved_by(2).version("2.5.0");
    std::fs::write(&file, next.object().to_string()).unwrap();
    let to_plan = ["plan", "-f", path, "-o", "json"];
    let plan = |user: &'static str| as_user(&namespace, user, &to_plan);
    let planned = plan("anna").await.exits(1).json();
    let id = planned["plans"][0]["planId"].as_str().unwrap().to_owned();
    assert!(planned["plans"][0]["next"]["message"].as_str().unwrap().contains(&format!("--plan {id}")), "{planned:#}");

    let ahead = ["approve", "bot", "--plan", &id, "--reason", "reviewed in the pull request", "--yes"];
    let said = as_user(&namespace, "anna", &ahead).await.exits(0);
    assert!(said.stderr.contains("no attempt is about"), "{said:#?}");
    // Without a cluster: the file for Git.
    let mut offline = Command::new(PLUGIN);
    offline.args([
        "approve",
        "bot",
        "--plan",
        &id,
        "--reason",
        "r",
        "-o",
        "yaml",
        "--by",
        "bert",
        "--environment",
        ENVIRONMENT,
    ]);
    offline.env("KUBECONFIG", folder.path().join("missing")).stdin(Stdio::null());
    let printed = run(offline).await.exits(0).stdout;
    assert!(printed.contains("by: bert") && printed.contains("name: bot-approve-"), "{printed}");
    let refused = kubectl_apply(&namespace, "anna", &printed).await;
    assert!(refused.contains("spec.by must be anna"), "{refused}");
    let applied = kubectl_apply(&namespace, "bert", &printed).await;
    assert!(applied.contains("created"), "{applied}");
    let given = plan("bert").await.json()["plans"][0]["gates"]["approval"]["givenBy"].clone();
    assert_eq!(given, json!(["anna", "bert"]));

    bot.edit(&next).await;
    let deployed = bot
        .until("2.5.0 is deployed", |bot| {
            let attempt = bot.status.as_ref().and_then(|status| status.attempt.as_ref());
            attempt.is_some_and(|attempt| attempt.number == 2 && attempt.verdict.is_some())
        })
        .await;
    let attempt = deployed.status.unwrap().attempt.unwrap();
    assert_eq!(attempt.plan_id.unwrap().as_str(), id, "the operator's id");
    assert_eq!(attempt.gates.unwrap().approvals.len(), 2);
}

#[tokio::test]
async fn a_rollback_by_decision_needs_no_right_to_edit() {
    let namespace = guarded_namespace().await;
    decider(&namespace, "anna", &["rollback"]).await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    let said = as_user(&namespace, "anna", &["rollback", "bot", "--reason", "INC-1", "--yes"]).await.exits(2);
    assert!(said.stderr.contains("kubectl cognigy rollback bot --decision"), "{said:#?}");
    as_user(&namespace, "anna", &["retry", "bot", "--decision", "--yes"]).await.exits(2);
    let said =
        as_user(&namespace, "anna", &["rollback", "bot", "--decision", "--reason", "INC-1", "--yes"]).await.exits(0);
    assert!(said.stdout.contains("the rollback is requested (decision bot-rollback-"), "{said:#?}");
    bot.until_ready_reason(Reason::RolledBack).await;
    let decisions = namespace.api::<CognigyDecision>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(decisions.len(), 1, "{:?}", decisions.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_doctor_says_whether_names_in_decisions_are_proven_and_each_crd_is_checked() {
    let namespace = guarded_namespace().await;
    decider(&namespace, "anna", &["approve"]).await;
    let check = |said: &Said, name: &str| -> Vec<Value> {
        said.json().as_array().unwrap().iter().filter(|check| check["name"] == name).cloned().collect()
    };
    let said = as_user(&namespace, "anna", &["doctor", "-o", "json"]).await;
    assert_eq!(check(&said, "decisions")[0]["verdict"], "Good", "{said:#?}");
    let viewer = person(&namespace, "viewer", &["cognigydeployments-view"], "watch").await;
    let said = run(command_with(&viewer, &namespace, &["doctor", "-o", "json"])).await;
    assert_eq!(check(&said, "decisions")[0]["verdict"], "Unknown", "{said:#?}");
    let said = cognigy(&namespace, &["doctor", "-o", "json"]).await;
    let definitions = check(&said, "CRD");
    assert_eq!(definitions.len(), 3, "{definitions:#?}");
    assert!(definitions.iter().all(|check| check["verdict"] == "Good"), "{definitions:#?}");
}
