//! The connection to the API server: from a kubeconfig or from the pod, and through a proxy only if the kubeconfig
//! names one.

use crate::controller::error::CALL_DEADLINE;
use crate::controller::watch;
use crate::controller::watch::problem::{Problem, ProblemLog};
use api::{ChangeWindow, CognigyDecision, CognigyDeployment};
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::Resource;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The user agent of all requests to the API server. The part before the slash is the field manager of all writes
/// (`metadata.managedFields`), because no write names another one.
const AGENT: &str = concat!("cognigy-operator/", env!("CARGO_PKG_VERSION"));

/// How long a watch may be silent before its connection counts as dead.
const WATCH_SILENCE: Duration = Duration::from_secs(180);

/// The connection to the API server cannot be made. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {}: {}; correct it, or name another with --kubeconfig or KUBECONFIG", files.display(), cause_of(problem))]
    Kubeconfig {
        /// The file, or all files if the error comes from the merged result.
        files: PathBuf,
        /// The cause.
        #[source]
        problem: KubeconfigError,
    },
    /// There is no cluster to talk to.
    #[error("no cluster is configured: {}; name a kubeconfig with --kubeconfig or KUBECONFIG, or run in a pod", cause_of_both(.0))]
    NoCluster(#[from] InferConfigError),
    /// The client for the API server cannot be built.
    #[error("the client for the API server cannot be built: {0}")]
    Client(#[source] Box<kube::Error>),
}

impl ConnectionError {
    /// Makes the error for these files.
    fn of(files: &Path) -> impl Fn(KubeconfigError) -> Self {
        move |problem| Self::Kubeconfig { files: files.to_owned(), problem }
    }
}

/// The connection to one API server.
pub(super) struct Connection {
    /// For calls. It retries by itself if the API server is busy.
    pub(super) calls: kube::Client,
    /// For watches. A watch has a back-off of its own, so this client never waits by itself.
    pub(super) watches: kube::Client,
    /// The API server's URL, for messages.
    pub(super) url: String,
}

/// Connects to the cluster that the kubeconfig names. Without a kubeconfig, connects to the cluster that the process
/// runs in, or to the one in `~/.kube/config`.
///
/// # Errors
/// [`ConnectionError`] if no cluster is configured, or the configuration cannot be used.
pub(super) async fn connect(kubeconfig: Option<&Path>) -> Result<Connection, ConnectionError> {
    let (mut config, names_a_proxy) = match kubeconfig {
        Some(paths) => {
            let kubeconfig = read(paths)?;
            let names_a_proxy = names_a_proxy(&kubeconfig);
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            (config.map_err(ConnectionError::of(paths))?, names_a_proxy)
        }
        None => {
            let names_a_proxy = Kubeconfig::read().is_ok_and(|kubeconfig| names_a_proxy(&kubeconfig));
            (kube::Config::infer().await?, names_a_proxy)
        }
    };
    if !names_a_proxy {
        // kube took this proxy from an environment variable. The operator ignores these variables.
        config.proxy_url = None;
    }
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = |config| kube::Client::try_from(config).map_err(|error| ConnectionError::Client(Box::new(error)));
    let mut for_watches = config.clone();
    for_watches.default_retry = false;
    // The API server sends a bookmark every one or two minutes. This timeout is also the only limit for a request that
    // is accepted and never answered.
    for_watches.read_timeout = Some(WATCH_SILENCE);
    Ok(Connection { calls: client(config)?, watches: client(for_watches)?, url })
}

impl Connection {
    /// Waits until the API server answers and serves all resources of the operator. Logs the problem as long as it does not. A new
    /// version whose CRDs are missing is not ready before that, so a rolling update keeps the old version.
    pub(super) async fn until_served(&self) {
        let group_version = format!("{}/{}", CognigyDeployment::group(&()), CognigyDeployment::version(&()));
        let needed = [CognigyDeployment::plural(&()), CognigyDecision::plural(&()), ChangeWindow::plural(&())];
        let mut logs = needed.each_ref().map(|plural| ProblemLog::new(&self.url, &**plural));
        let mut backoff = watch::backoff();
        loop {
            let listing = self.watches.list_api_group_resources(&group_version);
            let served = match tokio::time::timeout(CALL_DEADLINE, listing).await {
                Ok(Ok(served)) => Ok(served.resources.into_iter().map(|resource| resource.name).collect()),
                Ok(Err(error)) => match Problem::of_call(&error) {
                    Problem::NotServed => Ok(Vec::new()),
                    problem => Err(problem),
                },
                Err(_) => Err(Problem::Unreachable(format!("no answer within {} s", CALL_DEADLINE.as_secs()))),
            };
            match served {
                Ok(served) => {
                    let is_served = |plural: &str| served.iter().any(|name: &String| name == plural);
                    if needed.iter().all(|plural| is_served(plural)) {
                        return;
                    }
                    let missing = needed.iter().zip(&mut logs).filter(|(plural, _)| !is_served(plural));
                    missing.for_each(|(_, log)| log.report(&Problem::NotServed));
                }
                Err(problem) => logs[0].report(&problem),
            }
            tokio::time::sleep(backoff.next().unwrap_or(CALL_DEADLINE)).await;
        }
    }
}

/// Reads the kubeconfig. KUBECONFIG may name several files; they are merged, as kubectl does.
fn read(paths: &Path) -> Result<Kubeconfig, ConnectionError> {
    let mut merged = Kubeconfig::default();
    for path in std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
        let file = Kubeconfig::read_from(&path).map_err(ConnectionError::of(&path))?;
        merged = merged.merge(file).map_err(ConnectionError::of(&path))?;
    }
    Ok(merged)
}

/// Whether the kubeconfig sets a proxy for the current context's cluster.
fn names_a_proxy(kubeconfig: &Kubeconfig) -> bool {
    let current = kubeconfig.contexts.iter().find(|context| Some(&context.name) == kubeconfig.current_context.as_ref());
    let cluster = current.and_then(|context| context.context.as_ref()).map(|context| &context.cluster);
    let cluster = kubeconfig.clusters.iter().find(|named| Some(&named.name) == cluster);
    let proxy = cluster.and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// The problem with a kubeconfig, without its path and without the lines that the parser quotes, because those lines
/// may hold tokens and passwords.
fn cause_of(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(place) => format!(
                "line {}, column {} is not valid YAML, or not a field of a kubeconfig",
                place.line(),
                place.column()
            ),
            None => "it is not valid YAML, or not a kubeconfig".to_owned(),
        },
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        other => other.to_string(),
    }
}

fn cause_of_both(error: &InferConfigError) -> String {
    const DEFAULT: &str = "~/.kube/config";
    match error.source().and_then(|source| source.downcast_ref::<KubeconfigError>()) {
        Some(KubeconfigError::ReadConfig(error, _)) if error.kind() == ErrorKind::NotFound => {
            format!("the process does not run in a pod, and there is no {DEFAULT}")
        }
        Some(problem) => {
            format!("the process does not run in a pod, and {DEFAULT} cannot be used: {}", cause_of(problem))
        }
        None => error.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn refused(paths: &Path) -> String {
        connect(Some(paths)).await.map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn the_error_names_an_unusable_kubeconfig_and_quotes_none_of_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let empty = file("empty", "");
        let broken = file("broken", "users:\n- name: me\n  user:\n    token: s3cr3t\n    exec: s3cr3t\n");
        let no_context = file("no-context", "current-context: nowhere\n");
        let missing = folder.path().join("missing");
        for (paths, named, says) in [
            (&[&missing][..], &missing, "No such file"),
            (&[&broken], &broken, "line 5, column"),
            (&[&empty, &missing], &missing, "No such file"),
            (&[&empty, &broken], &broken, "line 5, column"),
            (&[&no_context], &no_context, "nowhere"),
        ] {
            let message = refused(Path::new(&std::env::join_paths(paths).unwrap())).await;
            assert!(message.contains(named.to_str().unwrap()) && message.contains(says), "{message}");
            assert!(message.contains("--kubeconfig") && !message.contains("s3cr3t"), "{message}");
            let others = [&empty, &broken, &missing].into_iter().filter(|other| *other != named);
            assert!(!others.into_iter().any(|other| message.contains(other.to_str().unwrap())), "{message}");
        }
        let both = std::env::join_paths([&empty, &no_context]).unwrap();
        assert!(refused(Path::new(&both)).await.contains(both.to_str().unwrap()), "the error names both files");
    }
}
