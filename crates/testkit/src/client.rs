//! Clients of the API server.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::Path;

/// A client for this kubeconfig. Each test needs its own client, because a client stops working when its runtime ends.
pub async fn client_of(kubeconfig: &Path) -> Client {
    // Another test may have installed the TLS provider already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}
