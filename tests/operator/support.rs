//! Namespaces in the control plane that all tests of this binary share.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Client;
use kube::api::{Api, PostParams};
use std::path::PathBuf;
use testkit::Cluster;
use tokio::sync::OnceCell;

pub(crate) use api::condition::ConditionStatus::{False, True, Unknown};
pub(crate) use api::status::{Outcome, Phase, RollbackReason, Step};
pub(crate) use api::{CognigyDeployment, ConditionType, Reason};
pub(crate) use serde_json::{Value, json};
pub(crate) use simulator::Call;

pub(crate) use testkit::{
    DEADLINE, ENVIRONMENT, JOBS_KEEP_RUNNING, NamespacePlan, OperatorProcess, Resource, Right, Sample, StatusExt,
    TestNamespace, certified, merge, sample,
};

/// The operator under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_cognigy-operator");

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// The shared control plane, with everything of `deploy/` installed.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    /// The output of `kubectl apply --server-side -k deploy/`.
    pub(crate) installed: String,
    /// The kubeconfig of the service account that was installed.
    pub(crate) operator_kubeconfig: PathBuf,
}

/// The shared control plane. The first caller starts it.
pub(crate) async fn shared() -> &'static Shared {
    let start = || async {
        let cluster = Cluster::start(&[]).await;
        let installed = cluster.install().await;
        let right = Right {
            group: "deploy.cognigy.ai".to_owned(),
            resource: "cognigydeployments".to_owned(),
            names: Vec::new(),
            verb: "list".to_owned(),
        };
        let operator_kubeconfig = cluster.service_account_with("cognigy-system", "cognigy-operator", &right).await;
        Shared { cluster, installed, operator_kubeconfig }
    };
    SHARED.get_or_init(start).await
}

/// Plans a namespace in the shared control plane. Its operator has the rights that `deploy/` grants.
pub(crate) async fn plan() -> NamespacePlan<'static> {
    let shared = shared().await;
    shared.cluster.plan(BINARY).operator_kubeconfig(&shared.operator_kubeconfig)
}

/// A namespace in which every call succeeds.
pub(crate) async fn new_namespace() -> TestNamespace {
    plan().await.start().await
}

/// A namespace with a script for the sample's environment (YAML).
pub(crate) async fn with_environment(script: &str) -> TestNamespace {
    plan().await.scenario(&format!("environments: {{{ENVIRONMENT}: {{{script}}}}}")).start().await
}

/// The same, and jobs run until [`TestNamespace::let_jobs_end`].
pub(crate) async fn with_running_jobs(script: &str) -> TestNamespace {
    let environment = format!("environments: {{{ENVIRONMENT}: {{{script}}}}}");
    plan().await.scenario(&format!("faults: [{JOBS_KEEP_RUNNING}]\n{environment}")).start().await
}

/// The user of a client. A decision must name the user who creates it.
pub(crate) async fn user_of(client: &Client) -> String {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    review.status.unwrap().user_info.unwrap().username.unwrap()
}
