//! The chart, as Helm and the API server see it.

use crate::manifest::{Manifest, OVERLAYS, sets_of_values, template};
use crate::support::{CHART, Cluster, helm, root};
use serde_json::{Value, json};
use simulator::Scenario;

#[tokio::test]
async fn helm_lint_accepts_the_chart_with_each_set_of_values() {
    for file in sets_of_values() {
        let said = helm(&["lint", "--strict", CHART, "--values", &file]).await.ok();
        assert!(said.contains("0 chart(s) failed"), "{file}: {said}");
    }
}

#[tokio::test]
async fn the_api_server_accepts_the_rendered_objects_in_restricted_namespaces() {
    let cluster = Cluster::shared().await;
    for file in sets_of_values() {
        let manifest = Manifest::of_values(&file).await;
        let arguments = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
        let answer = cluster.kubectl(&arguments, &manifest.text).await;
        assert!(!answer.error.contains("would violate"), "{file}: {}", answer.error);
        let accepted = answer.ok().lines().count();
        assert_eq!(accepted, manifest.objects.len(), "{file}");
    }
}

/// Invalid values, and a part of the message that refuses them.
const REFUSED: [(&[&str], &str); 11] = [
    (&["replicas=2", "leaderElection.enabled=false"], "two operators would act at the same time"),
    (&["caBundle.configMap=a", "caBundle.secret=b"], "set only one of them"),
    (&["credentials.namespaces={bots}"], "name the Secret with the credentials"),
    (
        &["metrics.serviceMonitor.enabled=true", "metrics.podMonitor.enabled=true"],
        "Prometheus would scrape each pod twice",
    ),
    (
        &["metrics.serviceMonitor.enabled=true", "metrics.service.enabled=false"],
        "without a Service, use metrics.podMonitor",
    ),
    (&["replcas=2"], "replcas"),
    (&["namespaces={Bots}"], "namespaces"),
    (&["image.digest=latest"], "digest"),
    (&["leaderElection.leaseDuration=15"], "leaseDuration"),
    (&["terminationGracePeriodSeconds=5"], "terminationGracePeriodSeconds"),
    (&["egress.httpsProxy=http://user:password@proxy"], "httpsProxy"),
];

#[tokio::test]
async fn invalid_values_are_refused_with_the_cause() {
    for (values, wrong) in REFUSED {
        let arguments: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
        let refusal = template(&arguments).await.refusal();
        assert!(refusal.contains(wrong), "{values:?}: {refusal}");
    }
}

#[tokio::test]
async fn the_chart_contains_the_crd_of_the_project_and_keeps_it_by_default() {
    let file = std::fs::read_to_string(root().join("crds/deploy.cognigy.ai_cognigydeployments.yaml")).unwrap();
    let ours: Value = serde_saphyr::from_str(&file).unwrap();
    let name = ours["metadata"]["name"].as_str().unwrap();
    for (arguments, policy) in [(&[][..], json!("keep")), (&["--set", "crds.keep=false"][..], Value::Null)] {
        let manifest = Manifest::of_chart(arguments).await;
        let rendered = manifest.one("CustomResourceDefinition", name);
        assert_eq!(rendered["spec"], ours["spec"]);
        assert_eq!(rendered["metadata"]["annotations"]["helm.sh/resource-policy"], policy);
    }
    let without = Manifest::of_chart(&["--set", "crds.install=false"]).await;
    assert_eq!(without.of_kind("CustomResourceDefinition").count(), 0);
}

/// The kinds that belong to no namespace.
const CLUSTER_WIDE: [&str; 5] = [
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

#[tokio::test]
async fn every_object_is_cluster_wide_or_in_the_namespace_of_the_release_or_in_a_watched_namespace() {
    for file in sets_of_values() {
        for object in Manifest::of_values(&file).await.objects {
            let namespace = object["metadata"]["namespace"].as_str();
            let kind = object["kind"].as_str().unwrap();
            let is_cluster_wide = CLUSTER_WIDE.contains(&kind);
            let expected: &[Option<&str>] = match kind {
                _ if is_cluster_wide => &[None],
                "Role" | "RoleBinding" => &[Some("cognigy-system"), Some("bots"), Some("bots-staging")],
                _ => &[Some("cognigy-system")],
            };
            assert!(expected.contains(&namespace), "{file}: {kind} in {namespace:?}");
        }
    }
}

#[tokio::test]
async fn every_container_is_restricted_and_has_resource_limits() {
    for file in sets_of_values() {
        for container in Manifest::of_values(&file).await.containers() {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{file}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{file}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{file}");
            let resources = &container["resources"];
            assert!(!resources["requests"].is_null() && !resources["limits"]["memory"].is_null(), "{file}");
        }
    }
}

#[tokio::test]
async fn a_digest_takes_precedence_over_the_tag_in_every_pod() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let manifest = Manifest::of_chart(&[
        "--set",
        &format!("image.repository=example.com/operator,image.tag=1.0,image.digest={digest},simulator.enabled=true"),
    ])
    .await;
    let images: Vec<&Value> = manifest.containers().map(|container| &container["image"]).collect();
    assert_eq!(images.len(), 3, "operator, simulator and test");
    assert!(images.iter().all(|image| **image == json!(format!("example.com/operator@{digest}"))), "{images:?}");
}

#[tokio::test]
async fn the_chart_and_every_overlay_install_the_same_policy_about_decisions_unless_it_is_turned_off() {
    let kinds = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let chart = Manifest::of_chart(&["--set", "fullnameOverride=other"]).await;
    for kind in kinds {
        let of_chart = chart.one(kind, "decisions.deploy.cognigy.ai");
        for folder in OVERLAYS {
            let manifest = Manifest::of_folder(folder).await;
            assert_eq!(of_chart["spec"], manifest.one(kind, "decisions.deploy.cognigy.ai")["spec"], "{folder}: {kind}");
        }
    }
    let without = Manifest::of_chart(&["--set", "decisionPolicy.install=false"]).await;
    assert_eq!(kinds.map(|kind| without.of_kind(kind).count()), [0, 0]);
}

#[tokio::test]
async fn monitors_scrape_the_port_of_the_operator() {
    let manifest = Manifest::of_values(&format!("{CHART}/ci/ha.yaml")).await;
    let service = manifest.of_kind("Service").next().unwrap();
    let monitor = manifest.of_kind("ServiceMonitor").next().unwrap();
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    let selected = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    for (label, value) in selected {
        assert_eq!(&service["metadata"]["labels"][label], value, "the monitor selects the Service by {label}");
    }

    let manifest = Manifest::of_values(&format!("{CHART}/ci/own-credentials.yaml")).await;
    let monitor = manifest.of_kind("PodMonitor").next().unwrap();
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], manifest.operator()["ports"][0]["name"]);
    assert_eq!(manifest.operator()["ports"][0]["containerPort"], 9090);
}

#[tokio::test]
async fn alerts_and_dashboard_are_rendered_unchanged() {
    let manifest = Manifest::of_values(&format!("{CHART}/ci/ha.yaml")).await;
    let read = |file: &str| std::fs::read_to_string(root().join(CHART).join("files").join(file)).unwrap();
    let alerts: Value = serde_saphyr::from_str(&read("alerts.yaml")).unwrap();
    assert_eq!(manifest.of_kind("PrometheusRule").next().unwrap()["spec"], alerts);
    let dashboard = &manifest.one("ConfigMap", "cognigy-operator-dashboard")["data"]["cognigy-operator.json"];
    let shown: Value = serde_json::from_str(dashboard.as_str().unwrap()).unwrap();
    assert_eq!(shown, serde_json::from_str::<Value>(&read("dashboard.json")).unwrap());
}

#[tokio::test]
async fn the_simulator_has_the_scenario_of_the_values_and_the_secret_points_to_it() {
    let manifest = Manifest::of_values(&format!("{CHART}/ci/evaluation.yaml")).await;
    let name = "cognigy-operator-simulator";
    let scenario = manifest.one("ConfigMap", name)["data"]["scenario.yaml"].as_str().unwrap();
    let scenario = Scenario::parse(scenario).unwrap();
    assert_eq!((scenario.bad_snapshots.len(), scenario.environments.len()), (1, 1));

    let secret = &manifest.one("Secret", name)["stringData"];
    let service = manifest.one("Service", name);
    let port = &service["spec"]["ports"][0]["port"];
    let host = format!("{name}.cognigy-system.svc:{port}");
    assert_eq!(secret["baseUrl"], format!("http://{host}"));
    assert_eq!(secret["tokenUrl"], format!("http://{host}/oauth/token"));
    assert!(manifest.arguments().contains(&format!("--egress-allow={host}")), "the operator may connect to it");
    let client = &scenario.clients[0];
    assert_eq!(secret["clientId"], client.client_id.as_str());
    assert_eq!(secret["clientSecret"], client.client_secret.expose());
}

#[tokio::test]
async fn a_ca_bundle_is_trusted_in_addition_to_the_certificates_of_the_image() {
    for (value, source) in [("configMap", "configMap"), ("secret", "secret")] {
        let manifest = Manifest::of_chart(&["--set", &format!("caBundle.{value}=example-ca")]).await;
        let container = manifest.operator();
        let mount = &container["volumeMounts"][0];
        let folders = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == "SSL_CERT_DIR");
        let folders: Vec<&str> = folders.unwrap()["value"].as_str().unwrap().split(':').collect();
        assert_eq!(folders, ["/etc/ssl/certs", mount["mountPath"].as_str().unwrap()]);
        let deployment = manifest.one("Deployment", "cognigy-operator");
        let volume = &deployment["spec"]["template"]["spec"]["volumes"][0];
        assert_eq!(volume["name"], mount["name"]);
        assert!(!volume[source].is_null(), "{volume}");
    }
}

#[tokio::test]
async fn the_chart_and_kustomize_render_the_same_pod() {
    let chart = Manifest::of_chart(&[]).await;
    let kustomize = Manifest::of_folder("deploy").await;
    let pod = |manifest: &Manifest| manifest.one("Deployment", "cognigy-operator")["spec"]["template"]["spec"].clone();
    let (mut of_chart, mut of_kustomize) = (pod(&chart), pod(&kustomize));
    // The chart sets every flag also to its default, and the log level.
    let (flags, few) = (chart.arguments(), kustomize.arguments());
    assert!(few.iter().all(|flag| flags.contains(flag)), "{few:?} are not all among {flags:?}");
    let spread = of_chart.as_object_mut().unwrap().remove("topologySpreadConstraints");
    assert!(spread.is_some(), "with kustomize only the overlay with two pods spreads them");
    for field in ["ports", "livenessProbe", "readinessProbe", "resources", "securityContext", "image"] {
        assert_eq!(of_chart["containers"][0][field], of_kustomize["containers"][0][field], "{field}");
    }
    for pod in [&mut of_chart, &mut of_kustomize] {
        pod.as_object_mut().unwrap().remove("containers");
    }
    assert_eq!(of_chart, of_kustomize);
}
