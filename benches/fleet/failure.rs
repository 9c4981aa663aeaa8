//! Why a measurement could not be made.

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The control plane does not run; the message says what to do.
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    /// The API server refused a request of the benchmark.
    #[error("the API server: {0}")]
    Kubernetes(#[from] kube::Error),
    /// The CRD was not served.
    #[error("the CRD was not served: {0}")]
    Definition(#[from] kube::runtime::wait::Error),
    /// The kubeconfig of the control plane cannot be used.
    #[error("the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The simulator cannot read the scenario of the plan.
    #[error("the scenario: {0}")]
    Scenario(#[from] simulator::ScenarioError),
    /// The platform cannot listen.
    #[error("the platform: {0}")]
    Platform(#[from] simulator::ServerError),
    /// The operator's transport cannot be made.
    #[error("the transport: {0}")]
    Transport(#[from] platform::HttpTransportError),
    /// The operator's egress rules cannot be read.
    #[error("the egress rules: {0}")]
    Egress(#[from] platform::EgressRuleError),
    /// The operating system refused a thread, a process or a file.
    #[error("the system: {0}")]
    System(#[from] std::io::Error),
    /// A value cannot be written or read as JSON.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The snapshot of the model cannot be deployed.
    #[error("the snapshot: {0}")]
    Snapshot(#[from] api::SnapshotProblem),
    /// A part that must run during the measurement has ended by itself.
    #[error("{0} ended before it could be measured")]
    Ended(&'static str),
}
