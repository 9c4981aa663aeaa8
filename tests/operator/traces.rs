//! Traces, as an OTLP collector receives them.

use crate::support::*;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use kube::ResourceExt;
use rollout::{RootSpanId, TraceId};
use std::collections::BTreeSet;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

/// A collector that keeps the spans that it receives.
struct Collector {
    url: String,
    spans: watch::Receiver<Vec<Span>>,
}

/// The fields of a span that these tests use.
#[derive(Clone, Debug, Default)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    started_at: u64,
    ended_at: u64,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, spans) = watch::channel(Vec::new());
        let take =
            move |body: Bytes| async move { sender.send_modify(|spans: &mut Vec<Span>| spans.extend(spans_in(&body))) };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, spans }
    }

    /// Waits for a span with this name, and returns all spans so far.
    async fn until(&self, name: &str) -> Vec<Span> {
        let mut spans = self.spans.clone();
        let seen = timeout(DEADLINE, spans.wait_for(|spans| spans.iter().any(|span| span.name == name))).await;
        seen.unwrap_or_else(|_| panic!("no span {name} among {:?}", self.spans.borrow())).unwrap().clone()
    }
}

/// Reads an `ExportTraceServiceRequest` (opentelemetry-proto, `trace_service.proto` and `trace.proto`).
fn spans_in(request: &[u8]) -> Vec<Span> {
    let resource_spans = parts(request).into_iter().filter(|(number, _)| *number == 1);
    let scope_spans = resource_spans.flat_map(|(_, part)| parts(part)).filter(|(number, _)| *number == 2);
    let spans = scope_spans.flat_map(|(_, part)| parts(part)).filter(|(number, _)| *number == 2);
    spans.map(|(_, span)| read_span(span)).collect()
}

fn read_span(bytes: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, part) in parts(bytes) {
        match number {
            1 => span.trace = part.to_vec(),
            2 => span.id = part.to_vec(),
            4 => span.parent = part.to_vec(),
            5 => span.name = String::from_utf8(part.to_vec()).unwrap(),
            7 => span.started_at = u64::from_le_bytes(part.try_into().unwrap()),
            8 => span.ended_at = u64::from_le_bytes(part.try_into().unwrap()),
            _ => {}
        }
    }
    span
}

/// The fields of a protobuf message, by number. The value of a varint is left out, because no test uses it.
fn parts(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut parts = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = match tag & 7 {
            0 => {
                varint(&mut message);
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (part, rest) = message.split_at(length);
        parts.push((tag >> 3, part));
        message = rest;
    }
    parts
}

fn varint(message: &mut &[u8]) -> u64 {
    let length = message.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let (bytes, rest) = message.split_at(length);
    *message = rest;
    bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}

fn names(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

#[tokio::test]
async fn the_spans_of_two_processes_for_one_rollout_are_one_trace() {
    let collector = Collector::start().await;
    let running = "faults: [{call: job, times: forever, fault: {body: {status: running}}}]";
    let plan = plan().await.scenario(running).variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let mut namespace = plan.variable("OTEL_BSP_SCHEDULE_DELAY", "50").start().await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_step(Step::RollingOut).await;
    assert!(namespace.take_operator().terminate().await.success());
    let of_the_first = collector.until("submit").await;
    for name in ["reconcile", "token", "validate", "trace", "write the status"] {
        assert!(names(&of_the_first).contains(name), "{name} is missing: {of_the_first:#?}");
    }
    assert!(!names(&of_the_first).contains("rollout"), "the rollout has not ended");

    namespace.start_operator().await;
    namespace.let_jobs_end();
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert!(namespace.take_operator().terminate().await.success());
    let spans = collector.until("rollout").await;
    for name in ["job", "health", "audit"] {
        assert!(names(&spans).contains(name), "{name} is missing: {spans:#?}");
    }

    let (uid, began) = (object.uid().unwrap(), object.attempt().started_at);
    let (trace, root) = (TraceId::of(&uid, 1, began), RootSpanId::of(&uid, 1, began));
    // The finalizer is set before the attempt starts.
    let (spans, before): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(|span| span.trace == trace.to_bytes());
    assert_eq!(names(&before), BTreeSet::from(["reconcile", "write the finalizer"]));
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.id.as_slice()).collect();
    assert_eq!(ids.len(), spans.len(), "each span has an id of its own");
    for span in &spans {
        match span.name.as_str() {
            "rollout" => assert_eq!((span.id.as_slice(), span.parent.len()), (&root.to_bytes()[..], 0)),
            "reconcile" => assert_eq!(span.parent, root.to_bytes()),
            _ => assert!(ids.contains(span.parent.as_slice()) && span.parent != root.to_bytes(), "{span:?}"),
        }
    }
    let rollout = spans.iter().find(|span| span.name == "rollout").unwrap();
    let ended = namespace.resource("bot").get().await;
    let nanoseconds = |moment: jiff::Timestamp| u64::try_from(moment.as_nanosecond()).unwrap();
    assert_eq!(rollout.started_at, nanoseconds(ended.attempt().started_at));
    assert_eq!(rollout.ended_at, nanoseconds(ended.attempt().verdict.as_ref().unwrap().at));
}

#[tokio::test]
async fn a_collector_that_is_unreachable_delays_nothing() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let mut namespace = plan().await.variable("OTEL_EXPORTER_OTLP_ENDPOINT", &url).start().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert!(namespace.take_operator().terminate().await.success());
}
