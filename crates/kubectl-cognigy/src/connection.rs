//! The connection to the cluster, chosen as kubectl chooses it.

use crate::arguments::GlobalArguments;
use crate::exit::{Failure, causes};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::time::Duration;

/// How long the API server may take to answer, unless `--request-timeout` says otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A client, and the namespace that commands work in.
pub struct Connection {
    /// The client of the API server.
    pub client: Client,
    /// The client for watches. Its answers may be silent for minutes.
    pub watching: Client,
    /// The namespace of `--namespace`, or else of the context.
    pub namespace: String,
}

impl Connection {
    /// Connects as the flags say. Sends no request yet.
    ///
    /// # Errors
    /// [`Failure::Connection`] if the kubeconfig cannot be read or names no such context.
    pub async fn open(arguments: &GlobalArguments) -> Result<Self, Failure> {
        // Another part of the process may have installed a TLS provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut config = config(arguments).await?;
        // As for kubectl, 0 means no limit.
        let limit = Some(arguments.request_timeout.unwrap_or(REQUEST_TIMEOUT)).filter(|limit| !limit.is_zero());
        (config.connect_timeout, config.write_timeout) = (limit, limit);
        if let Some(user) = &arguments.as_user {
            config.auth_info.impersonate = Some(user.clone());
        }
        if !arguments.as_group.is_empty() {
            config.auth_info.impersonate_groups = Some(arguments.as_group.clone());
        }
        let namespace = arguments
            .namespace
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| config.default_namespace.clone());
        let client = |read_timeout| {
            let mut config = config.clone();
            config.read_timeout = read_timeout;
            Client::try_from(config)
                .map_err(|error| Failure::Connection(format!("cannot use the kubeconfig: {}", causes(&error))))
        };
        Ok(Self { client: client(limit)?, watching: client(None)?, namespace })
    }

    /// The same connection, for another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { client: self.client.clone(), watching: self.watching.clone(), namespace: namespace.to_owned() }
    }
}

async fn config(arguments: &GlobalArguments) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: arguments.context.clone(), cluster: None, user: None };
    let wrong = |error: KubeconfigError| {
        Failure::Connection(format!(
            "cannot read the kubeconfig: {}; name another one with --kubeconfig or KUBECONFIG, or another context with \
             --context",
            causes(&error)
        ))
    };
    match &arguments.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)
        }
        None if arguments.context.is_none() && Kubeconfig::read().is_err_and(|error| is_absent(&error)) => {
            Config::infer().await.map_err(|error| {
                Failure::Connection(format!(
                    "there is no kubeconfig and no cluster around this process ({}); name one with --kubeconfig",
                    causes(&error)
                ))
            })
        }
        None => Config::from_kubeconfig(&options).await.map_err(wrong),
    }
}

/// Whether there is no kubeconfig. One that is broken is an error: in a pod, the plugin would otherwise act on another cluster.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_kubeconfig_is_not_taken_for_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        assert!(is_absent(&Kubeconfig::read_from(&file).unwrap_err()));
        std::fs::write(&file, "clusters: {").unwrap();
        assert!(!is_absent(&Kubeconfig::read_from(&file).unwrap_err()));
    }
}
