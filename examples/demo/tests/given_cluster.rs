//! The demo in an existing cluster. It removes everything that it created, and changes no other object.
//!
//! All tests share one API server. They run one after the other, and each leaves it empty.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use api::{CognigyDeployment, crd};
use control_plane::{ControlPlane, Options};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use testkit::{client_of, remove_deleted_namespaces};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinSet;

const NAMESPACE: &str = "cognigy-demo";
const CRD: &str = "cognigydeployments.deploy.cognigy.ai";
const WINDOW_CRD: &str = "changewindows.deploy.cognigy.ai";
const MADE_BY: &str = "app.kubernetes.io/managed-by";

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
static ALONE: Mutex<()> = Mutex::const_new(());

/// The cluster, for one test.
struct Cluster {
    kubernetes: Client,
    kubeconfig: PathBuf,
    _controller_manager: JoinSet<()>,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    async fn take() -> Self {
        let alone = ALONE.lock().await;
        let start =
            || async { ControlPlane::start(Options::default()).await.unwrap_or_else(|error| panic!("{error}")) };
        let kubeconfig = SHARED.get_or_init(start).await.kubeconfig_path();
        let kubernetes = client_of(&kubeconfig).await;
        let mut controller_manager = JoinSet::new();
        controller_manager.spawn(remove_deleted_namespaces(kubernetes.clone()));
        let cluster = Self { kubernetes, kubeconfig, _controller_manager: controller_manager, _alone: alone };
        cluster.assert_is_empty().await;
        cluster
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.kubernetes.clone())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.kubernetes.clone())
    }

    fn resources(&self, namespace: &str) -> Api<CognigyDeployment> {
        Api::namespaced(self.kubernetes.clone(), namespace)
    }

    async fn assert_is_empty(&self) {
        for definition in crd::definitions() {
            let found = self.definitions().get_opt(&definition.name_any()).await.unwrap();
            assert_eq!(found.map(|it| it.name_any()), None, "the CRD is there");
        }
        let namespace = self.namespaces().get_opt(NAMESPACE).await.unwrap();
        assert_eq!(namespace.map(|it| it.name_any()), None, "the namespace is there");
    }

    /// Installs the CRDs for which this is true, and waits until they are served.
    async fn install(&self, made_by: &str, is_wanted: impl Fn(&str) -> bool) {
        for mut definition in crd::definitions() {
            let name = definition.name_any();
            if is_wanted(&name) {
                definition.labels_mut().insert(MADE_BY.to_owned(), made_by.to_owned());
                self.definitions().create(&PostParams::default(), &definition).await.unwrap();
                await_condition(self.definitions(), &name, conditions::is_crd_established()).await.unwrap();
            }
        }
    }

    async fn make_namespace(&self, name: &str, made_by: &str) {
        let namespace = json!({"metadata": {"name": name, "labels": {MADE_BY: made_by}}});
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        self.namespaces().create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Creates a resource with a finalizer, as a killed operator leaves it behind.
    async fn make_resource(&self, namespace: &str) {
        let resource = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {"name": "somebodys", "namespace": namespace, "finalizers": [api::FINALIZER]},
            "spec": {
                "environmentId": "env_somebodys_01",
                "configurationSnapshot": {"botVersion": "1.0.0"},
                "credentialsRef": {"name": "somebodys"},
            },
        });
        let resource: CognigyDeployment = serde_json::from_value(resource).unwrap();
        self.resources(namespace).create(&PostParams::default(), &resource).await.unwrap();
    }

    /// Removes the objects that a test created in the name of another user.
    async fn clean(&self, namespaces: &[&str]) {
        let without_finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        for namespace in namespaces {
            if self.resources(namespace).get_opt("somebodys").await.unwrap().is_some() {
                let resources = self.resources(namespace);
                resources.patch("somebodys", &PatchParams::default(), &without_finalizers).await.unwrap();
                resources.delete("somebodys", &DeleteParams::default()).await.unwrap();
            }
            delete(&self.namespaces(), namespace).await;
        }
        for definition in crd::definitions() {
            delete(&self.definitions(), &definition.name_any()).await;
        }
    }

    /// Starts the demo in this cluster.
    fn demo(&self, more: &[&str]) -> Demo {
        Demo::start(&[&["--kubeconfig", self.kubeconfig.to_str().unwrap()], more].concat())
    }
}

async fn delete<K>(objects: &Api<K>, name: &str)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    if let Some(object) = objects.get_opt(name).await.unwrap() {
        objects.delete(name, &DeleteParams::default()).await.unwrap();
        let uid = object.uid().unwrap();
        await_condition(objects.clone(), name, conditions::is_deleted(&uid)).await.unwrap();
    }
}

/// A running demo.
struct Demo {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    error: ChildStderr,
    said: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cognigy-demo"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let error = process.stderr.take().unwrap();
        Self { process, output, error, said: String::new() }
    }

    /// Reads the output until a line contains this text, and returns the line.
    async fn says(&mut self, text: &str) -> String {
        while let Some(line) = self.output.next_line().await.unwrap() {
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return line;
            }
        }
        let mut error = String::new();
        self.error.read_to_string(&mut error).await.unwrap();
        panic!("it ended without saying {text:?}:\n{}{error}", self.said);
    }

    /// Sends the signal of Ctrl-C.
    async fn interrupt(&self) {
        kill("-INT", &self.process.id().unwrap().to_string()).await;
    }

    /// Waits until it ends. Returns its status, its output and its error output.
    async fn ends(mut self) -> (ExitStatus, String, String) {
        while let Some(line) = self.output.next_line().await.unwrap() {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        let mut error = String::new();
        self.error.read_to_string(&mut error).await.unwrap();
        (self.process.wait().await.unwrap(), self.said, error)
    }

    /// Waits until it refuses the cluster, and returns the message.
    async fn refuses(self) -> String {
        let (status, said, error) = self.ends().await;
        assert_eq!(status.code(), Some(1), "{said}{error}");
        assert!(!said.contains("applying"), "{said}");
        error
    }
}

async fn kill(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().await.unwrap().success());
}

#[tokio::test]
async fn the_demo_runs_in_the_named_context_and_removes_everything_that_it_created() {
    let cluster = Cluster::take().await;
    // The context in the flag is not the current context of the kubeconfig.
    let text = fs::read_to_string(&cluster.kubeconfig).unwrap();
    let current = Kubeconfig::read_from(&cluster.kubeconfig).unwrap().current_context.unwrap();
    let lines = text.lines().map(|line| match line.contains("current-context") {
        true => line.replace(&current, "another"),
        false => line.to_owned(),
    });
    let kubeconfig = cluster.kubeconfig.with_file_name("two-contexts");
    fs::write(&kubeconfig, lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(Kubeconfig::read_from(&kubeconfig).unwrap().current_context.unwrap(), "another");

    let demo = Demo::start(&["--kubeconfig", kubeconfig.to_str().unwrap(), "--context", &current]);
    let (status, said, error) = demo.ends().await;
    assert!(status.success(), "{said}{error}");
    assert!(said.contains("each of the four ended as it should"), "{said}");
    assert!(said.contains(&format!("--context {current} --namespace {NAMESPACE} get")), "{said}");
    cluster.assert_is_empty().await;
}

#[tokio::test]
async fn with_keep_a_killed_operator_is_restarted_and_the_crd_stays_for_resources_of_other_users() {
    let cluster = Cluster::take().await;
    let mut demo = cluster.demo(&["--keep"]);
    let ready = demo.says("the operator is ready, as process ").await;
    let process = ready.split("as process ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    demo.says("everything keeps running until Ctrl-C").await;

    let busy = cluster.demo(&[]).refuses().await;
    assert!(busy.contains("another demo runs in the cluster https://127.0.0.1:"), "{busy}");

    kill("-KILL", &process).await;
    demo.says("starting it again").await;
    let again = demo.says("the operator is ready again, as process ").await;
    assert!(!again.ends_with(&format!(" {process}")), "{again}");

    cluster.make_namespace("bots", "somebody").await;
    cluster.make_resource("bots").await;
    demo.interrupt().await;
    let (status, said, error) = demo.ends().await;
    assert!(status.success(), "{said}{error}");
    let stay = said.lines().find(|line| line.contains("these CRDs stay")).unwrap_or_else(|| panic!("{said}"));
    for part in ["(CognigyDeployment bots/somebodys)", CRD, WINDOW_CRD] {
        assert!(stay.contains(part), "no {part} in: {stay}");
    }
    assert!(cluster.definitions().get_opt(WINDOW_CRD).await.unwrap().is_some(), "an operator needs all CRDs");
    assert!(!said.contains("with --keep"), "{said}");
    assert!(cluster.resources("bots").get("somebodys").await.unwrap().metadata.deletion_timestamp.is_none());
    cluster.clean(&["bots"]).await;
}

#[tokio::test]
async fn an_interrupted_demo_removes_its_objects_and_those_of_an_earlier_killed_demo() {
    let cluster = Cluster::take().await;
    cluster.install("cognigy-demo", |_| true).await;
    cluster.make_namespace(NAMESPACE, "cognigy-demo").await;
    cluster.make_resource(NAMESPACE).await;

    let mut demo = cluster.demo(&[]);
    demo.says("an earlier demo was killed").await;
    demo.says("RollingOut").await;
    demo.interrupt().await;
    let (status, said, error) = demo.ends().await;
    assert_eq!(status.code(), Some(1), "{said}{error}");
    assert!(error.contains("interrupted"), "{error}");
    cluster.assert_is_empty().await;
}

#[tokio::test]
async fn the_demo_refuses_a_cluster_with_objects_of_other_users_and_changes_nothing() {
    let cluster = Cluster::take().await;
    cluster.make_namespace(NAMESPACE, "somebody").await;
    let refusal = cluster.demo(&[]).refuses().await;
    assert!(refusal.contains("a namespace cognigy-demo that the demo did not make"), "{refusal}");

    cluster.install("somebody", |name| name == WINDOW_CRD).await;
    let refusal = cluster.demo(&[]).refuses().await;
    assert!(refusal.contains(&format!("delete crd {WINDOW_CRD}`")), "{refusal}");

    cluster.install("somebody", |name| name != WINDOW_CRD).await;
    let refusal = cluster.demo(&[]).refuses().await;
    assert!(refusal.contains(&format!("delete crd {CRD} ")), "{refusal}");

    cluster.make_namespace("bots", "somebody").await;
    cluster.make_resource("bots").await;
    let before = cluster.resources("bots").get("somebodys").await.unwrap();
    let refusal = cluster.demo(&[]).refuses().await;
    assert!(
        refusal.contains("(CognigyDeployment bots/somebodys)") && refusal.contains("has changed nothing"),
        "{refusal}"
    );
    let after = cluster.resources("bots").get("somebodys").await.unwrap();
    assert_eq!(before.resource_version(), after.resource_version());
    cluster.clean(&["bots", NAMESPACE]).await;
}

#[tokio::test]
async fn an_unreachable_cluster_is_refused_with_its_address_and_the_next_step() {
    let cluster = Cluster::take().await;
    let server = SHARED.get().unwrap().server();
    let text = fs::read_to_string(&cluster.kubeconfig).unwrap();
    let nowhere = cluster.kubeconfig.with_file_name("nowhere");
    // Nothing listens on port 1.
    fs::write(&nowhere, text.replace(&server, "https://127.0.0.1:1")).unwrap();
    let refusal = Demo::start(&["--kubeconfig", nowhere.to_str().unwrap()]).refuses().await;
    for part in ["https://127.0.0.1:1:", "refused", "--context", "an API server of its own"] {
        assert!(refusal.contains(part), "no {part:?} in: {refusal}");
    }

    let missing = cluster.kubeconfig.with_file_name("missing");
    let refusal = Demo::start(&["--kubeconfig", missing.to_str().unwrap()]).refuses().await;
    assert!(refusal.contains(missing.to_str().unwrap()) && refusal.contains("No such file"), "{refusal}");
}
