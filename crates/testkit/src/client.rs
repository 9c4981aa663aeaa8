//! Clients of the API server.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::Path;

/// A client for this kubeconfig. Each test needs its own client, because a client stops working when its runtime ends.
pub async fn client_of(kubeconfig: &Path) -> Client {
    client(Kubeconfig::read_from(kubeconfig).unwrap()).await
}

/// The same, but as another user: an administrator may act as anybody.
pub(crate) async fn client_as(kubeconfig: &Path, user: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    for named in &mut kubeconfig.auth_infos {
        named.auth_info.get_or_insert_default().impersonate = Some(user.to_owned());
    }
    client(kubeconfig).await
}

async fn client(kubeconfig: Kubeconfig) -> Client {
    // Another test may have installed the TLS provider already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}
