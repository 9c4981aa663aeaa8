//! The way to the API server: a kubeconfig's or the pod's own, and by no proxy that nobody named.

use crate::api::CognigyDeployment;
use crate::controller::error::CALL_DEADLINE;
use crate::controller::watch;
use crate::controller::watch::problem::{Problem, ProblemLog};
use kube::Resource;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::error::Error;
use std::path::Path;

/// Why there is no way to the API server. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {}", told(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// There is no cluster to talk to.
    #[error("no cluster is configured: {}; name a kubeconfig with --kubeconfig or KUBECONFIG, or run in a pod", told_of_both(.0))]
    NoCluster(#[from] InferConfigError),
    /// The client for the API server cannot be built.
    #[error("the client for the API server cannot be built: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// The way to one API server.
pub(super) struct Connection {
    /// For calls. It tries again by itself if the API server is busy.
    pub(super) calls: kube::Client,
    /// For watches. These have a back-off of their own, so this client never waits by itself.
    pub(super) watches: kube::Client,
    /// The API server's URL, for messages.
    pub(super) url: String,
}

/// A connection to the cluster that the kubeconfig names; without one, to the cluster that this runs in or that
/// `~/.kube/config` names.
///
/// # Errors
/// [`ConnectionError`], where nothing names a cluster, or what does cannot be used.
pub(super) async fn connect(kubeconfig: Option<&Path>) -> Result<Connection, ConnectionError> {
    let (mut config, names_a_proxy) = match kubeconfig {
        Some(paths) => {
            let kubeconfig = read(paths)?;
            let names_a_proxy = names_a_proxy(&kubeconfig);
            (kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?, names_a_proxy)
        }
        None => {
            let names_a_proxy = Kubeconfig::read().is_ok_and(|kubeconfig| names_a_proxy(&kubeconfig));
            (kube::Config::infer().await?, names_a_proxy)
        }
    };
    if !names_a_proxy {
        // Then it is from the environment, whose proxies are not ours.
        config.proxy_url = None;
    }
    let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = |config| kube::Client::try_from(config).map_err(|error| ConnectionError::Client(Box::new(error)));
    let mut for_watches = config.clone();
    for_watches.default_retry = false;
    Ok(Connection { calls: client(config)?, watches: client(for_watches)?, url })
}

impl Connection {
    /// Waits until the API server answers and serves the operator's resource; says what is wrong as long as it does not.
    pub(super) async fn until_served(&self) {
        let group_version = format!("{}/{}", CognigyDeployment::group(&()), CognigyDeployment::version(&()));
        let plural = CognigyDeployment::plural(&());
        let mut log = ProblemLog::new(&self.url, &*plural);
        let mut backoff = watch::backoff();
        loop {
            let asked = self.watches.list_api_group_resources(&group_version);
            let problem = match tokio::time::timeout(CALL_DEADLINE, asked).await {
                Ok(Ok(served)) if served.resources.iter().any(|resource| resource.name == plural) => return,
                Ok(Ok(_)) => Problem::NotServed,
                Ok(Err(error)) => Problem::of_call(&error),
                Err(_) => Problem::Unreachable(format!("no answer within {} s", CALL_DEADLINE.as_secs())),
            };
            log.met(&problem);
            tokio::time::sleep(backoff.next().unwrap_or(CALL_DEADLINE)).await;
        }
    }
}

/// KUBECONFIG may name several files; they are merged, as kubectl does.
fn read(paths: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let files = std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).map(Kubeconfig::read_from);
    let mut merged = Kubeconfig::default();
    for file in files {
        merged = merged.merge(file?)?;
    }
    Ok(merged)
}

/// Whether the current context's cluster is to be reached by a proxy.
fn names_a_proxy(kubeconfig: &Kubeconfig) -> bool {
    let current = kubeconfig.contexts.iter().find(|context| Some(&context.name) == kubeconfig.current_context.as_ref());
    let cluster = current.and_then(|context| context.context.as_ref()).map(|context| &context.cluster);
    let cluster = kubeconfig.clusters.iter().find(|named| Some(&named.name) == cluster);
    let proxy = cluster.and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// What is wrong with a kubeconfig, without the lines of it that its parser quotes: tokens and passwords stand in them.
fn told(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(place) => format!("line {}, column {} is not as it should be", place.line(), place.column()),
            None => "it is no YAML, or no kubeconfig".to_owned(),
        },
        other => other.to_string(),
    }
}

fn told_of_both(error: &InferConfigError) -> String {
    match error.source().and_then(|source| source.downcast_ref::<KubeconfigError>()) {
        Some(unreadable @ KubeconfigError::Parse(_)) => {
            format!("this is no pod, and in ~/.kube/config {}", told(unreadable))
        }
        _ => error.to_string(),
    }
}
