//! The kustomize overlays, as the API server sees them.

use crate::manifest::{Manifest, OVERLAYS};
use crate::support::Cluster;

#[tokio::test]
async fn every_overlay_is_accepted_and_violates_no_pod_security_standard() {
    let cluster = Cluster::shared().await;
    for folder in OVERLAYS {
        let manifest = Manifest::of_folder(folder).await;
        let arguments = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
        let answer = cluster.kubectl(&arguments, &manifest.text).await;
        assert!(!answer.error.contains("would violate"), "{folder}: {}", answer.error);
        assert_eq!(answer.ok().lines().count(), manifest.objects.len(), "{folder}");
    }
}

#[tokio::test]
async fn the_overlay_for_one_namespace_has_no_cluster_wide_rights() {
    let manifest = Manifest::of_folder("deploy/overlays/namespaced").await;
    // These kinds grant nothing.
    let harmless = ["Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    for object in &manifest.objects {
        let is_harmless = harmless.contains(&object["kind"].as_str().unwrap());
        assert!(object["metadata"]["namespace"].is_string() || is_harmless, "{} is cluster-wide", object["kind"]);
    }
}

#[tokio::test]
async fn the_overlay_with_a_standby_spreads_two_pods_and_allows_drains() {
    let manifest = Manifest::of_folder("deploy/overlays/ha").await;
    let deployment = manifest.one("Deployment", "cognigy-operator");
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert!(manifest.arguments().contains(&"--leader-elect".to_owned()));
    let pod = &deployment["spec"]["template"];
    let budget = manifest.one("PodDisruptionBudget", "cognigy-operator");
    let selectors = pod["spec"]["topologySpreadConstraints"].as_array().unwrap().iter();
    let selectors = selectors.map(|constraint| &constraint["labelSelector"]).chain([&budget["spec"]["selector"]]);
    for selector in selectors {
        for (label, value) in selector["matchLabels"].as_object().unwrap() {
            assert_eq!(&pod["metadata"]["labels"][label], value, "{selector} selects the pods");
        }
    }
}
