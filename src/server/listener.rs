//! Serves HTTP with limits: anybody in the cluster can open connections.

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tower::ServiceExt;

/// Limits for clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections are served at once. A new connection replaces the oldest one, so a client with many
    /// connections cannot lock out the kubelet's probe. A Prometheus, the kubelet and a person need only a few.
    connections: usize,
    /// How long a client may take to send the headers of a request. This also holds for the next request on the same
    /// connection.
    headers_within: Duration,
    /// The maximum life of a connection. A client that reads its answers slowly is disconnected then.
    lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, headers_within: Duration::from_secs(10), lifetime: Duration::from_secs(300) }
    }
}

/// The maximum size of the headers: the smallest value that the HTTP library allows.
const HEADER_BYTES: usize = 8 * 1024;
/// The pause after a connection could not be accepted, for example because there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the future is dropped. After a failure of the listener, it tries again.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits) {
    let mut connections = JoinSet::new();
    let mut by_age: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    by_age.retain(|connection| !connection.is_finished());
                    if by_age.len() >= limits.connections
                        && let Some(oldest) = by_age.pop_front()
                    {
                        oldest.abort();
                    }
                    let router = router.clone();
                    by_age.push_back(connections.spawn(async move {
                        // Errors are ignored: a client may end its connection in any way.
                        let _ = tokio::time::timeout(limits.lifetime, serve_connection(stream, router, limits)).await;
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the metrics port could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, limits: Limits) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: hyper::Request<Incoming>| router.clone().oneshot(request));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers_within)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn start() -> std::net::SocketAddr {
        start_with(Limits::default()).await
    }

    async fn start_with(limits: Limits) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Router::new().route("/healthz", get(|| async { "ok" })), limits));
        address
    }

    /// The server's answer to this request, until it closes the connection.
    async fn answer(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses may reset the connection during the write.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    const REQUEST: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn a_request_is_answered() {
        assert!(answer(start().await, REQUEST).await.ends_with("\r\n\r\nok"));
    }

    #[tokio::test]
    async fn headers_that_are_too_long_are_refused() {
        let long = REQUEST.replace("host: x", &format!("host: x\r\nx: {}", "x".repeat(2 * HEADER_BYTES)));
        assert!(answer(start().await, &long).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_is_disconnected() {
        let address = start_with(Limits { headers_within: Duration::from_millis(50), ..Limits::default() }).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_client_that_holds_all_connections_does_not_block_others() {
        let limits = Limits { connections: 2, ..Limits::default() };
        let address = start_with(limits).await;
        let mut held = Vec::new();
        for _ in 0..limits.connections {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(answer(address, REQUEST).await.ends_with("ok"));
        assert_eq!(held[0].read(&mut [0; 1]).await.unwrap(), 0, "the oldest connection is closed for the new one");
    }
}
