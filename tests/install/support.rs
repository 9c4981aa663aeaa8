//! A control plane, kubectl and Helm.

use crate::monitoring;
use control_plane::{ControlPlane, Options, Tools};
use kube::Client;
use std::path::Path;
use std::process::Stdio;
use testkit::client_of;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

/// The folder of the chart, in the project.
pub(crate) const CHART: &str = "charts/cognigy-operator";
/// The namespace of the operator in every example.
pub(crate) const NAMESPACE: &str = "cognigy-system";

static SHARED: OnceCell<Cluster> = OnceCell::const_new();
static TOOLS: OnceCell<Tools> = OnceCell::const_new();
/// Control planes are started one after the other. If all started at once on a few cores, each would exceed its time
/// limit.
static STARTS: Mutex<()> = Mutex::const_new(());

/// The folder of the project.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A control plane to install the operator in.
pub(crate) struct Cluster {
    control_plane: ControlPlane,
}

impl Cluster {
    /// The control plane that all tests share that change nothing. It has the namespaces of the examples, because a dry
    /// run needs them, and the CRDs of the Prometheus Operator.
    pub(crate) async fn shared() -> &'static Self {
        SHARED
            .get_or_init(|| async {
                let cluster = Self::start().await;
                monitoring::define(&cluster).await;
                for namespace in [NAMESPACE, "bots", "bots-staging"] {
                    let labels = r#"{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}"#;
                    let namespace = format!(
                        r#"{{"apiVersion": "v1", "kind": "Namespace", "metadata": {{"name": "{namespace}", "labels": {labels}}}}}"#
                    );
                    cluster.kubectl(&["create", "-f", "-"], &namespace).await.ok();
                }
                cluster
            })
            .await
    }

    /// Starts a control plane for one test that installs and removes objects.
    pub(crate) async fn start() -> Self {
        let _alone = STARTS.lock().await;
        let control_plane = ControlPlane::start(Options::default()).await.unwrap_or_else(|error| panic!("{error}"));
        Self { control_plane }
    }

    pub(crate) async fn kubectl(&self, arguments: &[&str], input: &str) -> Answer {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(self.control_plane.kubeconfig_path()).args(arguments);
        ask(kubectl, input).await
    }

    pub(crate) async fn helm(&self, arguments: &[&str]) -> Answer {
        let mut helm = helm_command(&self.control_plane.folder().join("helm")).await;
        helm.arg("--kubeconfig").arg(self.control_plane.kubeconfig_path()).args(arguments);
        ask(helm, "").await
    }

    /// Makes a command use this cluster only, and no settings of the user who runs the tests.
    pub(crate) fn as_the_only_cluster(&self, command: &mut Command) {
        command.env("KUBECONFIG", self.control_plane.kubeconfig_path());
        keep_apart(command, &self.control_plane.folder().join("helm"));
    }

    pub(crate) async fn client(&self) -> Client {
        client_of(&self.control_plane.kubeconfig_path()).await
    }

    /// The folder of the control plane. Files in it are removed with it.
    pub(crate) fn folder(&self) -> &Path {
        self.control_plane.folder()
    }
}

/// Runs Helm without a cluster.
pub(crate) async fn helm(arguments: &[&str]) -> Answer {
    let home = tempfile::tempdir().unwrap();
    let mut helm = helm_command(home.path()).await;
    helm.args(arguments);
    ask(helm, "").await
}

pub(crate) async fn tools() -> &'static Tools {
    TOOLS.get_or_init(|| async { Tools::find().await.unwrap_or_else(|error| panic!("{error}")) }).await
}

/// Helm without the settings of the user who runs the tests.
async fn helm_command(home: &Path) -> Command {
    let mut helm = Command::new(tools().await.helm());
    keep_apart(&mut helm, home);
    helm
}

fn keep_apart(helm: &mut Command, home: &Path) {
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, home);
    }
}

/// The result of a program.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) is_success: bool,
    pub(crate) output: String,
    pub(crate) error: String,
}

impl Answer {
    /// The output. If the program failed, the test fails with the program's messages.
    pub(crate) fn ok(self) -> String {
        assert!(self.is_success, "{}{}", self.output, self.error);
        self.output
    }

    /// The error message. If the program succeeded, the test fails.
    pub(crate) fn refusal(self) -> String {
        assert!(!self.is_success, "it was not refused: {}", self.output);
        self.error
    }
}

/// Runs a program in the project's folder to its end.
pub(crate) async fn ask(mut command: Command, input: &str) -> Answer {
    let name = format!("{:?}", command.as_std());
    let mut process = command
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut stdin = process.stdin.take().unwrap();
    let input = input.to_owned();
    // The input is written while the output is read, because a program may answer before it has read all input.
    let written = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = process.wait_with_output().await.unwrap();
    // A program that needs only a part of the input may close its end.
    let _ = written.await.unwrap();
    Answer {
        is_success: output.status.success(),
        output: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}
