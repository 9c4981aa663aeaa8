//! Serves the world over HTTP/1.1, with real time and real network faults.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::control;
use super::journal::RequestFilter;
use super::reply::{Refusal, Reply};
use super::scenario::Scenario;
use super::stream::{BrokenOff, OutgoingBody, send};
use super::time::after;
use super::tls::{Tls, TlsError};
use super::world::World;

/// The maximum number of bytes of a request body; a longer body is answered with 413.
const LONGEST_BODY: usize = 8 * 1024 * 1024;

/// The pause after a connection could not be accepted, for example because the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A simulated platform that listens on an address. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    handle: WorldHandle,
    tasks: JoinSet<()>,
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The server cannot listen on the address: choose another, or port 0 for any free port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error from the operating system.
        source: io::Error,
    },
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Starts to listen on `address` (port 0: any free port), with TLS if a certificate is given.
    ///
    /// # Errors
    /// If the server cannot listen on the address, or if the certificate cannot be used.
    pub async fn bind(address: SocketAddr, scenario: Scenario, tls: Option<Tls>) -> Result<Self, ServerError> {
        let acceptor = tls.map(|tls| tls.acceptor()).transpose()?;
        let listening = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let handle = WorldHandle::new(World::new(scenario));
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_connections(listener, acceptor, handle.clone()));
        Ok(Self { address, scheme, handle, tasks })
    }

    /// The base URL, such as `http://127.0.0.1:8090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The URL of the token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/oauth/token", self.url())
    }

    /// The world behind it.
    #[must_use]
    pub fn handle(&self) -> WorldHandle {
        self.handle.clone()
    }

    /// Closes the listener and every connection, and waits until they are closed.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

/// A world in real time, shared with a server.
#[derive(Clone, Debug)]
pub struct WorldHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    changed: Notify,
    /// The wall time and the monotonic time of the same moment. Wall time advances with the monotonic clock, so that a
    /// correction of the system clock does not disturb a scenario.
    started_at: (Timestamp, Instant),
}

impl WorldHandle {
    fn new(world: World) -> Self {
        let started_at = (Timestamp::now(), Instant::now());
        Self { shared: Arc::new(Shared { world: Mutex::new(world), changed: Notify::new(), started_at }) }
    }

    /// The world's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (wall, monotonic) = self.shared.started_at;
        after(wall, monotonic.elapsed())
    }

    /// Reads the world, or changes it. No request is handled in the meantime.
    pub fn with<T>(&self, use_world: impl FnOnce(&mut World) -> T) -> T {
        let result = {
            let mut world = self.shared.world.lock();
            use_world(&mut world)
        };
        self.shared.changed.notify_waiters();
        result
    }

    /// Waits until `condition` holds. It is checked after every request and every change. Put `tokio::time::timeout`
    /// around this call.
    pub async fn wait_until(&self, mut condition: impl FnMut(&World) -> bool) {
        loop {
            // Subscribe before the check, so that no change in between is missed.
            let changed = self.shared.changed.notified();
            let holds = {
                let world = self.shared.world.lock();
                condition(&world)
            };
            if holds {
                return;
            }
            changed.await;
        }
    }

    /// Waits until at least `count` requests that match `filter` have arrived.
    pub async fn wait_for_requests(&self, filter: &RequestFilter, count: usize) {
        self.wait_until(|world| world.requests(filter).take(count).count() >= count).await;
    }

    fn handle(&self, request: &Request<Bytes>) -> Reply {
        self.with(|world| world.handle(self.now(), request))
    }
}

async fn accept_connections(listener: TcpListener, acceptor: Option<TlsAcceptor>, handle: WorldHandle) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, acceptor.clone(), handle.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, handle: WorldHandle) {
    match acceptor {
        None => serve_requests(stream, handle).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => serve_requests(stream, handle).await,
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        },
    }
}

async fn serve_requests(stream: impl AsyncRead + AsyncWrite + Unpin, handle: WorldHandle) {
    let service = service_fn(|request| respond(&handle, request));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(handle: &WorldHandle, request: Request<Incoming>) -> Result<Response<OutgoingBody>, BrokenOff> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, LONGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is longer than {LONGEST_BODY} bytes");
            let refused = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_long", message);
            return send(Reply::normal(refused.response())).await;
        }
        Err(_) => return Err(BrokenOff),
    };
    let request = Request::from_parts(head, body);
    if let Some(wait) = control::wait_of(&request) {
        // After the time-out the answer contains the requests that have arrived.
        let arrived = handle.wait_for_requests(&wait.filter, wait.count);
        tokio::time::timeout(wait.timeout, arrived).await.ok();
    }
    send(handle.handle(&request)).await
}
