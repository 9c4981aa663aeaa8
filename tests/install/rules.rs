//! The rights of the operator and of users: the chart and kustomize grant the same.

use crate::manifest::{Manifest, words};
use crate::support::NAMESPACE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One verb on one resource, and its scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// The namespace, or `None` for the whole cluster.
    namespace: Option<String>,
    group: String,
    resource: String,
    names: Vec<String>,
    verb: String,
}

#[tokio::test]
async fn the_chart_and_kustomize_grant_the_same_rights_in_the_whole_cluster() {
    let of_kustomize = granted(&Manifest::of_folder("deploy/overlays/cluster").await);
    assert_eq!(granted(&Manifest::of_chart(&[]).await), of_kustomize);
    assert_eq!(granted(&Manifest::of_folder("deploy").await), of_kustomize);
    assert_eq!(granted(&Manifest::of_folder("deploy/overlays/ha").await), of_kustomize);
    assert!(of_kustomize.iter().any(|right| right.namespace.is_none()));
}

#[tokio::test]
async fn the_chart_and_kustomize_grant_the_same_rights_in_one_namespace_and_none_in_the_cluster() {
    let chart = Manifest::of_chart(&["--set", "namespaces={bots},rbac.userRoles=false"]).await;
    let kustomize = Manifest::of_folder("deploy/overlays/namespaced").await;
    for manifest in [&chart, &kustomize] {
        assert_eq!(manifest.of_kind("ClusterRole").count() + manifest.of_kind("ClusterRoleBinding").count(), 0);
        assert!(manifest.arguments().contains(&"--namespace=bots".to_owned()));
    }
    assert_eq!(granted(&chart), granted(&kustomize));
}

#[tokio::test]
async fn the_operator_has_the_same_rights_in_namespaces_as_in_the_whole_cluster() {
    let in_cluster = granted(&Manifest::of_chart(&[]).await);
    let in_namespaces = granted(&Manifest::of_chart(&["--set", "namespaces={bots,bots-staging}"]).await);
    let served = |right: &Right| right.namespace.is_none();
    let beside = in_namespaces
        .iter()
        .filter(|right| right.namespace.as_deref() == Some(NAMESPACE) && right.resource != "leases");
    let beside: Vec<String> = beside.map(|right| format!("{} {}", right.verb, right.resource)).collect();
    assert_eq!(
        beside,
        ["list changewindows", "watch changewindows", "patch changewindows/status"],
        "of its own namespace"
    );
    for namespace in ["bots", "bots-staging"] {
        let there = in_namespaces.iter().filter(|right| right.namespace.as_deref() == Some(namespace));
        let there: BTreeSet<Right> = there.map(|right| Right { namespace: None, ..right.clone() }).collect();
        assert_eq!(there, in_cluster.iter().filter(|right| served(right)).cloned().collect(), "{namespace}");
    }
}

#[tokio::test]
async fn an_operator_that_serves_its_own_namespace_reads_its_change_windows_by_the_same_role() {
    let manifest = Manifest::of_chart(&["--set", "namespaces={cognigy-system}"]).await;
    let roles: Vec<&Value> = manifest.of_kind("Role").map(|role| &role["metadata"]["name"]).collect();
    assert_eq!(roles, ["cognigy-operator", "cognigy-operator-leader"]);
}

#[tokio::test]
async fn without_leader_election_the_operator_has_no_right_to_leases() {
    let alone = granted(&Manifest::of_chart(&["--set", "leaderElection.enabled=false"]).await);
    assert!(!alone.is_empty() && alone.iter().all(|right| right.resource != "leases"), "{alone:?}");
}

#[tokio::test]
async fn the_chart_and_kustomize_grant_the_same_rights_to_users() {
    let roles = |manifest: &Manifest, prefix: &str| -> BTreeMap<String, (Value, Vec<String>)> {
        let labels = |role: &Value| {
            let labels = role["metadata"]["labels"].as_object().into_iter().flat_map(|labels| labels.keys());
            labels
                .filter(|label| label.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
                .cloned()
                .collect::<Vec<_>>()
        };
        let named = manifest.of_kind("ClusterRole").filter_map(|role| {
            let name = role["metadata"]["name"].as_str().unwrap().strip_prefix(prefix)?;
            Some((name.to_owned(), (role["rules"].clone(), labels(role))))
        });
        named.collect()
    };
    let of_chart = roles(&Manifest::of_chart(&[]).await, "cognigy-operator-");
    let names: Vec<&str> = of_chart.keys().map(String::as_str).collect();
    assert_eq!(names, ["approve", "edit", "view", "windows"]);
    assert_eq!(of_chart, roles(&Manifest::of_folder("deploy").await, "cognigydeployments-"));
    for name in ["approve", "windows"] {
        assert!(of_chart[name].1.is_empty(), "{name} is granted by a binding only");
    }
}

/// The rights of the operator's service account. Checks that every binding names only this account and an existing
/// role.
fn granted(manifest: &Manifest) -> BTreeSet<Right> {
    let bindings = manifest.of_kind("RoleBinding").chain(manifest.of_kind("ClusterRoleBinding"));
    bindings.flat_map(|binding| rights_by(binding, manifest)).collect()
}

fn rights_by(binding: &Value, manifest: &Manifest) -> Vec<Right> {
    let subjects = binding["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), 1, "{binding}");
    assert_eq!((&subjects[0]["kind"], &subjects[0]["namespace"]), (&"ServiceAccount".into(), &NAMESPACE.into()));
    let account = manifest.of_kind("ServiceAccount").next().unwrap();
    assert_eq!(subjects[0]["name"], account["metadata"]["name"]);

    let (kind, name) = (binding["roleRef"]["kind"].as_str().unwrap(), &binding["roleRef"]["name"]);
    let namespace = binding["metadata"]["namespace"].as_str().map(str::to_owned);
    let role = manifest.of_kind(kind).find(|role| {
        role["metadata"]["name"] == *name && role["metadata"]["namespace"].as_str() == namespace.as_deref()
    });
    let rules = role.unwrap_or_else(|| panic!("{binding} binds nothing"))["rules"].as_array().unwrap();
    rules.iter().flat_map(|rule| rights_of(rule, namespace.as_deref())).collect()
}

fn rights_of(rule: &Value, namespace: Option<&str>) -> Vec<Right> {
    let names = rule.get("resourceNames").map(words).unwrap_or_default();
    let mut rights = Vec::new();
    for group in words(&rule["apiGroups"]) {
        for resource in words(&rule["resources"]) {
            for verb in words(&rule["verbs"]) {
                assert!(![&group, &resource, &verb].contains(&&"*".to_owned()), "no wildcard is granted");
                rights.push(Right {
                    namespace: namespace.map(str::to_owned),
                    group: group.clone(),
                    resource: resource.clone(),
                    names: names.clone(),
                    verb,
                });
            }
        }
    }
    rights
}
