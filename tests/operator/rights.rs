//! The operator uses every right that an installation grants. All other tests run with these rights and check that
//! nothing was refused. The tests here remove one right at a time.

use crate::manifests::kubectl;
use crate::support::*;
use api::{ChangeWindow, CognigyDecision};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use serde::de::DeserializeOwned;
use testkit::Cluster;

/// How many operators run at once.
const AT_ONCE: usize = 4;
const ACCOUNT: &str = "limited";

/// The verb that is needed only if the API server has no streaming lists.
const FOR_OLDER_SERVERS: &str = "list";

/// More decisions about one resource than the operator keeps.
const TOO_MANY_DECISIONS: usize = 101;

#[tokio::test]
async fn the_operator_needs_each_single_right() {
    let granted = granted().await;
    assert_eq!(granted.len(), 21, "{granted:?}");
    let granted = &granted;
    let used_here = granted.iter().filter(|right| right.verb != FOR_OLDER_SERVERS);
    let each = used_here.map(|missing| async move {
        let left: Vec<Right> = granted.iter().filter(|right| *right != missing).cloned().collect();
        let namespace = plan().await.without_operator().start().await;
        let operator = start_with(&namespace, &left).await;
        let words = refusal(missing);
        let is_in_status = |object: &CognigyDeployment| {
            serde_json::to_string(&object.status).unwrap().replace('\\', "").contains(&words)
        };
        let bot = namespace.resource("bot");
        // The operator reads a single resource only after a conflict. Repeated retry requests cause conflicts.
        let others_write = async {
            for number in (0_u64..).take_while(|_| missing.verb == "get" && missing.resource == "cognigydeployments") {
                bot.request_retry(&number.to_string()).await;
            }
            std::future::pending::<()>().await;
        };
        // The refusal is in the log or in the status.
        tokio::select! {
            () = operator.until_logged_anywhere(&words) => {}
            _ = bot.until(&words, is_in_status) => {}
            () = others_write => {}
        }
    });
    stream::iter(each).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn without_streaming_lists_the_operator_also_needs_the_rights_to_list() {
    let granted = granted().await;
    let lists: Vec<&Right> = granted.iter().filter(|right| right.verb == FOR_OLDER_SERVERS).collect();
    assert_eq!(lists.len(), 4, "{granted:?}");
    let older = Cluster::start(&["--feature-gates=WatchList=false"]).await;
    older.install().await;
    for missing in lists {
        let left: Vec<Right> = granted.iter().filter(|right| right != &missing).cloned().collect();
        let namespace = older.plan(BINARY).without_operator().without_secret().start().await;
        grant(&namespace, &left).await;
        let kubeconfig = older.service_account_with(&namespace.name, ACCOUNT, &left[0]).await;
        let operator = namespace.run_operator_with("operator", &kubeconfig, &[]).await;
        operator.until_logged_anywhere(&refusal(missing)).await;
    }
}

#[tokio::test]
async fn with_all_rights_in_one_namespace_the_operator_becomes_leader_and_succeeds() {
    let namespace = plan().await.without_operator().start().await;
    let operator = start_with(&namespace, &granted().await).await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert!(!operator.log().text().contains(&format!("{}:{ACCOUNT}", namespace.name)), "nothing was refused");
}

/// The message about a missing right: the operator's own message for Secrets and for dry runs, otherwise the API server's message.
fn refusal(Right { resource, verb, .. }: &Right) -> String {
    match resource.as_str() {
        "cognigydecisions" if verb == "create" => "it needs the right to create cognigydecisions ".to_owned(),
        "secrets" => "not allowed to read Secret ".to_owned(),
        _ => format!("cannot {verb} resource \"{resource}\""),
    }
}

/// Starts an operator whose service account has these rights in the namespace. Its work needs all rights of `deploy/`:
/// a leader election, a resource with its Secret, a snapshot in a watched ConfigMap, a change window, whose status it writes, and a
/// decision, or too many of them.
pub(crate) async fn start_with(namespace: &TestNamespace, rights: &[Right]) -> OperatorProcess {
    grant(namespace, rights).await;
    let kubeconfig = shared().await.cluster.service_account_with(&namespace.name, ACCOUNT, &rights[0]).await;

    namespace.put_config_map("flows", r#"{"botVersion": "1.0.0", "nlpEngine": "v3.2"}"#).await;
    namespace.apply(sample().snapshot_from("flows")).await;
    // It is over, so it closes nothing.
    let once = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"});
    let spec = json!({"type": "Deny", "timeZone": "UTC", "once": once});
    create::<ChangeWindow>(namespace, json!({"metadata": {"name": "over"}, "spec": spec})).await;
    let may_delete = rights.iter().any(|right| right.resource == "cognigydecisions" && right.verb == "delete");
    let by = user_of(&namespace.client).await;
    for _ in 0..if may_delete { 1 } else { TOO_MANY_DECISIONS } {
        let spec = json!({
            "deployment": "bot", "environmentId": ENVIRONMENT, "planId": "plan-0000000000000000", "verb": "Approve", "by": by,
            "reason": "tested in staging"
        });
        create::<CognigyDecision>(namespace, json!({"metadata": {"generateName": "decision-"}, "spec": spec})).await;
    }
    let election = ["--leader-elect", "--retry-period", "500ms"];
    namespace.run_operator_with("operator", &kubeconfig, &election).await
}

/// Creates a service account with these rights in a namespace.
async fn grant(namespace: &TestNamespace, rights: &[Right]) {
    let named = json!({"name": ACCOUNT, "namespace": namespace.name});
    create::<ServiceAccount>(namespace, json!({"metadata": named})).await;
    let rules: Vec<Value> = rights
        .iter()
        .map(|right| {
            let Right { group, resource, names, verb } = right;
            let names = (!names.is_empty()).then_some(names);
            json!({"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": [verb]})
        })
        .collect();
    create::<Role>(namespace, json!({"metadata": named, "rules": rules})).await;
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT});
    let subject = json!({"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace.name});
    let binding = json!({"metadata": named, "roleRef": role, "subjects": [subject]});
    create::<RoleBinding>(namespace, binding).await;
}

async fn create<K>(namespace: &TestNamespace, object: Value)
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
{
    namespace.api::<K>().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// The rights that `deploy/` grants to the operator, one for each verb.
pub(crate) async fn granted() -> Vec<Right> {
    let rendered = kubectl(&["kustomize", "deploy"], "").await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(rendered.stdout).unwrap()).unwrap();
    let roles = ["cognigy-operator", "cognigy-operator-leader"];
    let is_granted =
        |object: &&Value| object["rules"].is_array() && roles.iter().any(|role| object["metadata"]["name"] == *role);
    let rules = objects.iter().filter(is_granted).flat_map(|role| role["rules"].as_array().unwrap());
    rules.flat_map(rights_of).collect()
}

fn rights_of(rule: &Value) -> Vec<Right> {
    let texts = |field: &str| -> Vec<String> {
        let list = rule[field].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            for verb in texts("verbs") {
                rights.push(Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    names: texts("resourceNames"),
                    verb,
                });
            }
        }
    }
    rights
}
