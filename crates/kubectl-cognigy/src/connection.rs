//! The connection to the cluster, chosen as kubectl chooses it.

use crate::arguments::GlobalArguments;
use crate::exit::{Failure, causes};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::time::Duration;

/// The longest that one request may take, unless `--request-timeout` says otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A client, and the namespace that commands work in.
pub struct Connection {
    /// The client of the API server.
    pub client: Client,
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
        config.read_timeout = None;
        config.connect_timeout = Some(arguments.request_timeout.unwrap_or(REQUEST_TIMEOUT));
        if let Some(user) = &arguments.as_user {
            config.auth_info.impersonate = Some(user.clone());
        }
        if !arguments.as_group.is_empty() {
            config.auth_info.impersonate_groups = Some(arguments.as_group.clone());
        }
        let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)
            .map_err(|error| Failure::Connection(format!("cannot use the kubeconfig: {}", causes(&error))))?;
        Ok(Self { client, namespace })
    }
}

async fn config(arguments: &GlobalArguments) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: arguments.context.clone(), cluster: None, user: None };
    let wrong = |error: kube::config::KubeconfigError| {
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
        None if arguments.context.is_none() && Kubeconfig::read().is_err() => Config::infer().await.map_err(|error| {
            Failure::Connection(format!(
                "there is no kubeconfig and no cluster around this process ({}); name one with --kubeconfig",
                causes(&error)
            ))
        }),
        None => Config::from_kubeconfig(&options).await.map_err(wrong),
    }
}
