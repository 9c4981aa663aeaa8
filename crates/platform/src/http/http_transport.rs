//! The production transport: HTTP over TLS, only to the destinations that the egress rules allow.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use reqwest::{Certificate, Method, Proxy, Request, redirect, retry};
use url::Url;

use super::egress::{EgressPolicy, EgressRefusal, Route};
use super::large_answers::{LargeAnswers, MAX_SHORT_ANSWER_BYTES};
use super::proxy::{ProxyUrl, is_never_public};
use super::resolver::{self, CheckedResolver, Lookup};
use super::transport::{MAX_ANSWER_BYTES, Transport, TransportError};

/// The timeout of a connection attempt. It is shorter than any call's deadline, so a timeout here proves that nothing
/// was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// HTTP/2 limits: how many unread bytes a server may send on one stream and on one connection, and the maximum size of an
/// answer's headers. The defaults of the HTTP library would use megabytes for each connection of each tenant.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 256 * 1024;
const HTTP2_HEADERS: u32 = 32 * 1024;

/// The options of a transport.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// The egress rules.
    pub policy: EgressPolicy,
    /// Certificates (PEM) to trust in addition to the system's.
    pub ca_pem: Option<String>,
    /// A proxy for `https`, from the operator's own flags. The proxy resolves names. So the transport checks only schemes,
    /// literal addresses and names that are never public; the proxy must check the addresses to which a name resolves.
    pub https_proxy: Option<ProxyUrl>,
    /// The permits for large answers, shared with all other transports.
    pub large_answers: LargeAnswers,
}

/// Why a transport cannot be made. The author of the certificates or of the proxy's URL must correct them.
#[derive(Debug, thiserror::Error)]
pub enum HttpTransportError {
    /// `ca.crt` is not PEM, or holds no certificate.
    #[error("it must contain one or more PEM blocks of type CERTIFICATE")]
    Certificates,
    /// The proxy's URL cannot be used.
    #[error("the proxy's URL cannot be used")]
    Proxy,
    /// TLS cannot be set up, for example because the system's certificates are missing.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Sends requests with reqwest: no redirects, no proxy from the environment, no retries, answers up to 1 MiB.
///
/// There is one reqwest client for each route, because a resolver receives only the name and not the URL.
pub struct HttpTransport {
    policy: EgressPolicy,
    public: reqwest::Client,
    network: Option<reqwest::Client>,
    listed: Option<reqwest::Client>,
    has_proxy: bool,
    large_answers: LargeAnswers,
}

impl HttpTransport {
    /// Makes a transport with its own connections. The process must have installed a TLS provider before.
    ///
    /// # Errors
    /// [`HttpTransportError`] if the options cannot be used.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpTransportError> {
        Self::with_lookup(options, &resolver::system())
    }

    fn with_lookup(options: &HttpOptions, lookup: &Lookup) -> Result<Self, HttpTransportError> {
        let policy = &options.policy;
        let client = |route| client(options, route, lookup);
        Ok(Self {
            public: client(Route::Public)?,
            network: policy.has_networks().then(|| client(Route::Network)).transpose()?,
            listed: policy.has_hosts().then(|| client(Route::Listed)).transpose()?,
            policy: policy.clone(),
            has_proxy: options.https_proxy.is_some(),
            large_answers: options.large_answers.clone(),
        })
    }

    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let mut request =
            Request::try_from(request).map_err(|_| TransportError::NotConnected("not a URL".to_owned()))?;
        if request.method() == Method::GET {
            // An empty body is still a body: some servers refuse its `Content-Length` on a GET.
            *request.body_mut() = None;
        }
        let client = match self.route(request.url())? {
            Route::Public => Some(&self.public),
            Route::Network => self.network.as_ref(),
            Route::Listed => self.listed.as_ref(),
        };
        let response = client.unwrap_or(&self.public).execute(request).await.map_err(failed)?;
        read(response, &self.large_answers).await
    }

    fn route(&self, url: &Url) -> Result<Route, EgressRefusal> {
        let route = self.policy.route(url)?;
        match url.domain() {
            Some(name) if self.has_proxy && route == Route::Public && is_never_public(name) => {
                Err(EgressRefusal::Address { host: name.to_owned() })
            }
            _ => Ok(route),
        }
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(self.exchange(request))
    }
}

fn client(options: &HttpOptions, route: Route, lookup: &Lookup) -> Result<reqwest::Client, HttpTransportError> {
    // The client of this route sends only plain http, which never uses the proxy. So it checks the proxy's host like any
    // other host.
    let proxy = options.https_proxy.as_ref().filter(|_| route != Route::Network);
    let resolver = CheckedResolver {
        lookup: lookup.clone(),
        policy: options.policy.clone(),
        route,
        proxy_host: proxy.map(|proxy| proxy.host().to_owned()),
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("cognigy-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(4)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .http2_max_header_list_size(HTTP2_HEADERS)
        .dns_resolver(resolver);
    if let Some(pem) = &options.ca_pem {
        let certificates =
            Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| HttpTransportError::Certificates)?;
        if certificates.is_empty() {
            return Err(HttpTransportError::Certificates);
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(proxy) = proxy {
        let proxy = Proxy::https(proxy.expose().clone()).map_err(|_| HttpTransportError::Proxy)?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| HttpTransportError::Tls(root_cause(&error)))
}

/// Reads the body up to the maximum size. Waits for a permit if the body is large.
async fn read(
    mut response: reqwest::Response,
    large_answers: &LargeAnswers,
) -> Result<http::Response<Bytes>, TransportError> {
    let too_large = TransportError::TooLarge { status: response.status() };
    if response.content_length().is_some_and(|length| length > MAX_ANSWER_BYTES as u64) {
        return Err(too_large);
    }
    let (mut body, mut permit) = (BytesMut::new(), None);
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if permit.is_none() && body.len() + chunk.len() > MAX_SHORT_ANSWER_BYTES {
            permit = large_answers.acquire().await;
        }
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = http::Response::new(body.freeze());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// Classifies an error by what it proves about the request. The error's URL is left out.
fn failed(error: reqwest::Error) -> TransportError {
    if let Some(refusal) = causes(&error).find_map(|cause| cause.downcast_ref::<EgressRefusal>()) {
        return TransportError::EgressRefused(refusal.clone());
    }
    let message = root_cause(&error);
    if error.is_connect() || error.is_builder() {
        TransportError::NotConnected(message)
    } else {
        TransportError::Interrupted(message)
    }
}

/// The innermost cause: it describes the failure and contains no URL.
fn root_cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "the request failed".to_owned(), ToString::to_string)
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

#[cfg(test)]
mod tests;
