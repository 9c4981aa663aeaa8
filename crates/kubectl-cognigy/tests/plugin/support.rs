//! Runs the plugin, as a person with a role or as an administrator.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use testkit::Cluster;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

pub(crate) use serde_json::{Value, json};
pub(crate) use testkit::{DEADLINE, ENVIRONMENT, JOBS_KEEP_RUNNING, NamespacePlan, Right, TestNamespace, sample};

/// The plugin under test.
pub(crate) const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-cognigy");

static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// The shared control plane. The first caller starts it.
pub(crate) async fn shared() -> &'static Cluster {
    let start = || async {
        let cluster = Cluster::start(&[]).await;
        cluster.install().await;
        cluster
    };
    SHARED.get_or_init(start).await
}

/// Plans a namespace in the shared control plane.
pub(crate) async fn plan() -> NamespacePlan<'static> {
    shared().await.plan(operator().to_str().unwrap())
}

/// The operator. Cargo builds it beside the plugin.
fn operator() -> PathBuf {
    let operator = Path::new(PLUGIN).with_file_name("cognigy-operator");
    assert!(operator.exists(), "{} is missing; run `cargo build` first", operator.display());
    operator
}

/// A namespace in which every call succeeds.
pub(crate) async fn new_namespace() -> TestNamespace {
    plan().await.start().await
}

/// A namespace with a script for the sample's environment (YAML).
pub(crate) async fn with_environment(script: &str) -> TestNamespace {
    plan().await.scenario(&format!("environments: {{{ENVIRONMENT}: {{{script}}}}}")).start().await
}

/// A namespace in which jobs never end.
pub(crate) async fn with_running_jobs() -> TestNamespace {
    plan().await.scenario(&format!("faults: [{JOBS_KEEP_RUNNING}]")).start().await
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.exit, code, "{self:#?}");
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Prepares a command in a namespace, with the rights of an administrator.
pub(crate) async fn command(namespace: &TestNamespace, arguments: &[&str]) -> Command {
    command_with(&shared().await.kubeconfig(), namespace, arguments)
}

/// Prepares a command with another kubeconfig.
pub(crate) fn command_with(kubeconfig: &Path, namespace: &TestNamespace, arguments: &[&str]) -> Command {
    let mut command = Command::new(PLUGIN);
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .args(["--namespace", &namespace.name])
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .env_remove("GITHUB_ACTIONS")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Said {
    let output = timeout(DEADLINE, command.output()).await.expect("the command ends").unwrap();
    Said {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the plugin in a namespace, with the rights of an administrator.
pub(crate) async fn cognigy(namespace: &TestNamespace, arguments: &[&str]) -> Said {
    run(command(namespace, arguments).await).await
}

/// The kubeconfig of a person with these roles of `deploy/` in a namespace, once they have this verb.
pub(crate) async fn person(namespace: &TestNamespace, name: &str, roles: &[&str], verb: &str) -> PathBuf {
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespace.api::<ServiceAccount>().create(&PostParams::default(), &account).await.unwrap();
    for role in roles {
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": format!("{name}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name}],
        }))
        .unwrap();
        namespace.api::<RoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
    }
    let right = Right {
        group: "deploy.cognigy.ai".to_owned(),
        resource: "cognigydeployments".to_owned(),
        names: Vec::new(),
        verb: verb.to_owned(),
    };
    shared().await.service_account_with(&namespace.name, name, &right).await
}
