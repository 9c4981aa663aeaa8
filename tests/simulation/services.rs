//! The operator's two connections, both through the gate: the service of a Kubernetes client, and the transport to the
//! platform.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use platform::{MAX_ANSWER_BYTES, Transport, TransportError};
use simulator::{Delivery, Reply};
use tower::Service;

use super::fault::{Io, IoKind};
use super::gate::{Gate, Latency, NoAnswer};
use super::kubernetes::{Answer, DECISIONS, DEPLOYMENTS, ObjectName};
use super::story::Happening;

/// The service of a Kubernetes client.
#[derive(Clone)]
pub struct KubernetesService(pub Gate);

impl Service<Request<Body>> for KubernetesService {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gate = self.0.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let request = Request::from_parts(parts, body);
            let (io, resource) = (kubernetes_io(&request), resource(&request));
            let process = gate.process;
            let answer = gate
                .pass(
                    io,
                    Latency::KUBERNETES,
                    |stage| resource.iter().for_each(|name| stage.touch(name)),
                    move |stage| stage.ask_kubernetes(process, &request),
                )
                .await;
            match answer {
                Ok(answer) => Ok(response(&answer)),
                Err(NoAnswer::NotConnected) => Err(io::Error::other("connection refused")),
                Err(NoAnswer::Interrupted) => Err(io::Error::other("connection reset")),
            }
        }
        .boxed()
    }
}

fn kubernetes_io(request: &Request<Bytes>) -> Io {
    let path = request.uri().path();
    let kind = match *request.method() {
        Method::GET => IoKind::Read,
        _ if request.uri().query().is_some_and(|query| query.contains("dryRun")) => IoKind::Read,
        _ if path.contains("/events") => IoKind::PublishEvent,
        _ if path.contains(DECISIONS) => IoKind::WriteDecision,
        _ => IoKind::WriteResource,
    };
    let tail: Vec<&str> = path.split('/').skip_while(|part| *part != "namespaces").skip(2).collect();
    Io { kind, what: format!("{} {}", request.method(), tail.join("/")) }
}

fn resource(request: &Request<Bytes>) -> Option<ObjectName> {
    let parts: Vec<&str> = request.uri().path().trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        [_, _, _, "namespaces", namespace, plural, name, ..] if *plural == DEPLOYMENTS => {
            Some(ObjectName::new(DEPLOYMENTS, namespace, name))
        }
        _ => None,
    }
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body.to_string())));
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    response
}

/// The transport of the platform's client.
pub struct PlatformTransport(pub Gate);

impl Transport for PlatformTransport {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let gate = self.0.clone();
        async move {
            let io = platform_io(&request);
            if gate.stage.lock().is_unreachable(request.uri().path()) {
                // The request was not sent, so no other fault matters.
                let _ = gate.pass(io, Latency::PLATFORM, |_| {}, |_| {}).await;
                return Err(TransportError::NotConnected("refused".to_owned()));
            }
            let passed = gate.pass(io, Latency::PLATFORM, |_| {}, move |stage| stage.ask_platform(&request)).await;
            let (number, reply) = passed.map_err(|failure| match failure {
                NoAnswer::NotConnected => TransportError::NotConnected("refused".to_owned()),
                NoAnswer::Interrupted => TransportError::Interrupted("reset".to_owned()),
            })?;
            let answer = carry(reply).await;
            // If an answer is too long, the operator has still received its status.
            if matches!(answer, Ok(_) | Err(TransportError::TooLarge { .. })) {
                gate.stage.lock().note(Happening::AnswerReceived(number));
            }
            answer
        }
        .boxed()
    }
}

fn platform_io(request: &Request<Bytes>) -> Io {
    let path = request.uri().path();
    let is_effect =
        ["/deployments", "/rollback", "/logs"].iter().any(|end| path.ends_with(end)) || path.contains("/webhooks/");
    let kind = if is_effect { IoKind::Effect } else { IoKind::Read };
    Io { kind, what: format!("{} {}", request.method(), path.trim_start_matches("/api/v2")) }
}

/// Delivers a reply as the network would.
async fn carry(reply: Reply) -> Result<Response<Bytes>, TransportError> {
    let Reply { response, delivery } = reply;
    let interrupted = || TransportError::Interrupted("the connection ended".to_owned());
    match delivery {
        Delivery::Normal => Ok(response),
        Delivery::DelayedBy(wait) => {
            tokio::time::sleep(wait).await;
            Ok(response)
        }
        Delivery::DroppedBeforeEffect | Delivery::DroppedAfterEffect | Delivery::Truncated { .. } => Err(interrupted()),
        Delivery::SlowDrip { bytes, every } => {
            let pieces = response.body().len().div_ceil(bytes.max(1));
            tokio::time::sleep(every * u32::try_from(pieces).unwrap_or(u32::MAX)).await;
            Ok(response)
        }
        Delivery::Oversized { bytes } if bytes > MAX_ANSWER_BYTES as u64 => {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Err(TransportError::TooLarge { status: response.status() })
        }
        Delivery::Oversized { .. } => Ok(response),
    }
}
