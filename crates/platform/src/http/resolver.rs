//! Resolves a name once for each connection, so that the client connects only to addresses that were checked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::egress::{EgressPolicy, EgressRefusal, Route};

/// Finds the addresses of a name. The port of these addresses is ignored.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|host| Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) }))
}

/// Returns only addresses that the route allows. The name is not resolved again before the connection is made, so DNS
/// rebinding is not possible.
pub(super) struct CheckedResolver {
    pub(super) lookup: Lookup,
    pub(super) policy: EgressPolicy,
    pub(super) route: Route,
    /// The host of the operator's own proxy, which may have any address. This gives a URL with the same host no extra
    /// access, because its request is sent through the proxy.
    pub(super) proxy_host: Option<String>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let route = if self.proxy_host.as_deref() == Some(name.as_str()) { Route::Listed } else { self.route };
        let policy = self.policy.clone();
        let looked_up = (self.lookup)(host.clone());
        Box::pin(async move {
            let found = looked_up.await?;
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| policy.admits(route, address.ip())).collect();
            if allowed.is_empty() {
                return Err(EgressRefusal::Address { host }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
