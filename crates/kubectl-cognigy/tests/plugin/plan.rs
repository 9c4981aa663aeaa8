//! `kubectl cognigy plan` against a real API server and a simulated Cognigy.AI, with the rights of a viewer.

use crate::support::{PLUGIN, shared};
use api::CognigyDeployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use manifest::plan::{Texts, plan};
use serde_json::{Value, json};
use simulator::{Call, RequestFilter, Scenario, Server};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A namespace without an operator, and the user `viewer`.
struct World {
    namespace: String,
    kubeconfig: PathBuf,
    client: Client,
}

struct Answer {
    code: i32,
    output: String,
    error: String,
}

impl World {
    async fn start() -> Self {
        let empty = crate::support::plan().await.without_operator().without_secret().start().await;
        let kubeconfig = shared().await.kubeconfig();
        let world = Self { namespace: empty.name.clone(), kubeconfig, client: empty.client.clone() };
        world.grant_view().await;
        world
    }

    fn sample(&self) -> Value {
        json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"name": "prod", "namespace": self.namespace},
            "spec": {
                "environmentId": "env_prod_us_01",
                "configurationSnapshot": {"botVersion": "2.4.1", "limit": 10_000_000_000_000_000_000_u64},
                "credentialsRef": {"name": "cognigy-api"},
            }
        })
    }

    /// The user `viewer` may read deployments and ConfigMaps of the namespace, and nothing else.
    async fn grant_view(&self) {
        let role = json!({"metadata": {"name": "viewer"}, "rules": [
            {"apiGroups": ["deploy.cognigy.ai"], "resources": ["cognigydeployments"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
        ]});
        let roles: Api<k8s_openapi::api::rbac::v1::Role> = Api::namespaced(self.client.clone(), &self.namespace);
        roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
        let binding = json!({"metadata": {"name": "viewer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "viewer"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}]});
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), &self.namespace);
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
        // The API server learns of roles by a watch.
        while self.plan(&self.sample(), &[]).await.code == 2 {}
    }

    async fn plan(&self, manifest: &Value, flags: &[&str]) -> Answer {
        self.plan_text(&manifest.to_string(), flags, &[]).await
    }

    async fn plan_text(&self, manifest: &str, flags: &[&str], variables: &[(&str, &str)]) -> Answer {
        let mut command = Command::new(PLUGIN)
            .args(["plan", "-f", "-", "--as", "viewer", "--kubeconfig"])
            .arg(&self.kubeconfig)
            .args(flags)
            .env("LANG", "C.UTF-8")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = command.stdin.take().unwrap();
        stdin.write_all(manifest.as_bytes()).await.unwrap();
        drop(stdin);
        let output = command.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code().unwrap(), output: text(output.stdout), error: text(output.stderr) }
    }

    async fn json(&self, manifest: &Value) -> (i32, Value) {
        let answer = self.plan(manifest, &["-o", "json"]).await;
        (
            answer.code,
            serde_json::from_str(&answer.output).unwrap_or_else(|_| panic!("{}{}", answer.output, answer.error)),
        )
    }

    fn deployments(&self) -> Api<CognigyDeployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies the manifest, and records an attempt at it that has succeeded.
    async fn deploy(&self, manifest: &Value) -> CognigyDeployment {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let apply = PatchParams::apply("tests").force();
        let live = self.deployments().patch(&name, &apply, &Patch::Apply(manifest)).await.unwrap();
        let plan = plan(None, &live, &Texts::default(), &[]).unwrap();
        let status = json!({"status": {
            "observedGeneration": 1, "handledRequests": {},
            "claim": {"apiOrigin": "https://api.cognigy.ai", "deployedAt": "2026-01-01T12:00:10Z"},
            "attempt": {"number": 1, "digest": plan.digest, "version": "2.4.1", "generation": 1, "step": "Settled",
                "startedAt": "2026-01-01T12:00:00Z", "checks": {"digest": plan.checks_digest},
                "verdict": {"outcome": "Succeeded", "reason": "Succeeded", "at": "2026-01-01T12:01:00Z"}},
            "lastSuccessful": {"number": 1, "digest": plan.digest, "version": "2.4.1", "jobId": "job-1", "at": "2026-01-01T12:01:00Z"},
        }});
        self.deployments().patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
    }
}

#[tokio::test]
async fn a_viewer_sees_what_a_manifest_would_do_and_nothing_is_written() {
    let world = World::start().await;

    let (code, report) = world.json(&world.sample()).await;
    let new = &report["plans"][0];
    assert_eq!((code, &new["isNew"], &new["next"]["event"]), (1, &json!(true), &json!("Starts")), "{report}");
    assert!(new["notes"][0].as_str().unwrap().starts_with("you may not list the CognigyDeployments of all namespaces"));

    let live = world.deploy(&world.sample()).await;
    let (code, report) = world.json(&world.sample()).await;
    assert_eq!((code, &report["plans"][0]["kind"]), (0, &json!("Nothing")), "{report}");
    assert_eq!(report["plans"][0]["digest"], live.status.as_ref().unwrap().attempt.as_ref().unwrap().digest.as_str());

    let mut changed = world.sample();
    changed["spec"]["configurationSnapshot"]["botVersion"] = json!("2.4.2");
    let (code, report) = world.json(&changed).await;
    assert_eq!((code, &report["plans"][0]["parts"]), (1, &json!(["snapshot"])), "{report}");
    let text = world.plan(&changed, &[]).await.output;
    assert!(text.contains("  ~ configurationSnapshot.botVersion: \"2.4.1\" → \"2.4.2\"\n"), "{text}");
    let markdown = world.plan(&changed, &["-o", "markdown"]).await.output;
    assert!(markdown.contains("! configurationSnapshot.botVersion"), "{markdown}");

    let mut moved = world.sample();
    moved["spec"]["environmentId"] = json!("env_other");
    let (code, report) = world.json(&moved).await;
    assert_eq!((code, &report["problems"][0]["path"]), (4, &json!("spec.environmentId")), "{report}");
    assert!(report["problems"][0]["message"].as_str().unwrap().contains("environmentId is immutable"), "{report}");

    let mut second = world.sample();
    second["metadata"]["name"] = json!("second");
    let (code, report) = world.json(&second).await;
    assert_eq!((code, &report["plans"][0]["next"]["event"]), (4, &json!("EnvironmentInUse")), "{report}");

    let both = format!("{changed}\n{second}");
    assert_eq!(world.plan_text(&both, &[], &[]).await.code, 4);
    assert_eq!(world.plan_text("kind: [", &[], &[]).await.code, 2);
    assert_eq!(world.plan_text("apiVersion: v1\nkind: Pod\n", &[], &[]).await.code, 2);

    let after = world.deployments().get("prod").await.unwrap();
    assert_eq!(after.metadata.resource_version, live.metadata.resource_version, "nothing was written");
    assert_eq!(world.deployments().list(&Default::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_snapshot_in_a_config_map_is_taken_from_the_files_or_from_the_cluster() {
    let world = World::start().await;
    let mut manifest = world.sample();
    manifest["spec"].as_object_mut().unwrap().remove("configurationSnapshot");
    manifest["spec"]["configurationSnapshotFrom"] = json!({"configMapKeyRef": {"name": "bot", "key": "snapshot"}});
    let (code, report) = world.json(&manifest).await;
    assert_eq!((code, &report["plans"][0]["kind"]), (1, &json!("Unknown")), "{report}");
    assert!(
        report["plans"][0]["notes"]
            .to_string()
            .contains(&format!("ConfigMap {}/bot is not in the cluster yet", world.namespace)),
        "{report}"
    );

    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bot", "namespace": &world.namespace}, "data": {"snapshot": "botVersion: '3'"}});
    let in_files = world.plan_text(&format!("{manifest}\n{map}"), &["-o", "json"], &[]).await;
    let in_files: Value = serde_json::from_str(&in_files.output).unwrap();
    assert_eq!(in_files["plans"][0]["version"], "3");
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    let (_, in_cluster) = world.json(&manifest).await;
    assert_eq!(in_cluster["plans"][0]["digest"], in_files["plans"][0]["digest"]);
}

#[tokio::test]
async fn remote_checks_ask_the_platform_and_submit_nothing() {
    let world = World::start().await;
    let script = "environments: {env_bad: {validationErrors: [not enough memory]}}";
    let scenario = Scenario::parse(script).unwrap_or_else(|error| panic!("{error}"));
    let platform = Server::bind("127.0.0.1:0".parse().unwrap(), scenario, None).await.unwrap();
    let (url, token_url) = (platform.url(), platform.token_url());
    let own = [
        ("COGNIGY_CLIENT_ID", "demo"),
        ("COGNIGY_CLIENT_SECRET", "demo-secret"),
        ("COGNIGY_BASE_URL", url.as_str()),
        ("COGNIGY_TOKEN_URL", token_url.as_str()),
    ];
    let flags = ["--remote", "--egress-allow", "127.0.0.1", "-o", "json"];
    let remote = async |manifest: &Value, variables: &[(&str, &str)]| {
        let answer = world.plan_text(&manifest.to_string(), &flags, variables).await;
        let report: Value = serde_json::from_str(&answer.output).unwrap_or_default();
        (answer.code, report["plans"][0]["remote"].clone(), answer.error)
    };

    let (code, answer, error) = remote(&world.sample(), &own).await;
    assert_eq!((code, &answer["result"]), (1, &json!("Passed")), "{answer} {error}");

    let mut bad = world.sample();
    bad["spec"]["environmentId"] = json!("env_bad");
    let (code, answer, error) = remote(&bad, &own).await;
    assert_eq!((code, &answer["result"]), (4, &json!("ValidationRefused")), "{answer} {error}");
    assert!(answer["messages"].to_string().contains("not enough memory"), "{answer}");

    // A viewer may not read the Secret.
    let (code, _, error) = remote(&world.sample(), &[]).await;
    assert!(
        code == 2
            && error
                .contains(&format!("you may not get Secret {}/cognigy-api; set COGNIGY_CLIENT_ID", world.namespace)),
        "{error}"
    );
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let secret = json!({"metadata": {"name": "cognigy-api"}, "stringData": {"clientId": "demo", "clientSecret": "demo-secret", "baseUrl": url, "tokenUrl": token_url}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();

    let unreachable = [
        ("COGNIGY_CLIENT_ID", "demo"),
        ("COGNIGY_CLIENT_SECRET", "wrong"),
        ("COGNIGY_BASE_URL", url.as_str()),
        ("COGNIGY_TOKEN_URL", token_url.as_str()),
    ];
    let (code, answer, error) = remote(&world.sample(), &unreachable).await;
    assert_eq!((code, &answer["result"]), (2, &json!("Unanswered")), "{answer} {error}");

    let handle = platform.handle();
    let submits = handle.with(|world| {
        world.requests(&RequestFilter::default()).filter(|record| record.call == Some(Call::Submit)).count()
    });
    let all = handle.with(|world| world.requests(&RequestFilter::default()).count());
    assert!(submits == 0 && all > 2, "{all} requests, {submits} submits");
}
