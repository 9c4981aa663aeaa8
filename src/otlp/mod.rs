//! Traces over OTLP, one for each attempt of a rollout. All spans of an attempt land in the trace that [`TraceId`]
//! derives, in every process and in every reconcile.
//!
//! The spans come from `tracing`: a `reconcile` for each reconcile of an attempt, and in it one span for each request
//! to Cognigy.AI and one for each call to the API server. Their common parent, the attempt itself, is sent once its
//! outcome is recorded. The standard variables of OpenTelemetry set the endpoint and the amount. If none of them is
//! set, nothing is sent.

mod collector;
mod identity;

use api::status::Attempt;
use collector::Collector;
use identity::Identities;
use jiff::Timestamp;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rollout::{RootSpanId, TraceId};
use std::time::{Duration, SystemTime};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

/// The variables with the endpoint, for traces and for all signals (OpenTelemetry, "OpenTelemetry Protocol Exporter").
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The service name, unless `OTEL_SERVICE_NAME` sets another one.
const SERVICE: &str = "cognigy-operator";
/// How long the end of the process waits for the export of the last spans.
const END_WITHIN: Duration = Duration::from_secs(3);

/// The exporter of spans.
pub struct Export {
    provider: SdkTracerProvider,
}

impl Export {
    /// Exports the remaining spans, for three seconds at most.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(END_WITHIN)).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the collector did not accept the last spans"),
            Err(error) => tracing::warn!(%error, "the last spans could not be sent"),
        }
    }
}

/// Starts the export if the environment names an endpoint. Must be called on a tokio runtime. If the endpoint cannot be
/// used, it prints a message to standard error, and the operator runs without traces: rollouts do not depend on them.
/// Spans with the name `excluded_span` are not exported, because such a span may belong to two attempts.
pub fn start<S>(excluded_span: &'static str) -> Option<(impl Layer<S> + Send + Sync + 'static, Export)>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let endpoint = ENDPOINTS.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
    let provider = match provider(&endpoint) {
        Ok(provider) => provider,
        Err(problem) => {
            // The log has not started yet: the export is a part of it.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("no traces are sent, because {problem}; correct {}\n", ENDPOINTS[1]),
            );
            return None;
        }
    };
    global::set_tracer_provider(provider.clone());
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(
            filter_fn(move |metadata| is_sent(metadata, excluded_span)).with_max_level_hint(LevelFilter::DEBUG),
        );
    Some((spans, Export { provider }))
}

/// Selects the operator's own spans, except for the excluded one, and the log lines in them.
fn is_sent(metadata: &Metadata<'_>, excluded_span: &str) -> bool {
    let is_own = metadata.target().starts_with(env!("CARGO_CRATE_NAME")) || metadata.target() == "audit";
    match metadata.is_span() {
        true => is_own && metadata.name() != excluded_span,
        false => is_own && *metadata.level() <= tracing::Level::INFO,
    }
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Collector::at(endpoint)?)
        .build()
        .map_err(|error| error.to_string())?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none_or(|name| name.is_empty()) {
        resource = resource.with_service_name(SERVICE);
    }
    let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    Ok(SdkTracerProvider::builder()
        .with_id_generator(Identities)
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// Adds a span that has not started yet to the trace of a resource's attempt.
pub fn belongs_to_rollout(span: &Span, uid: &str, attempt: &Attempt) {
    let (trace, root) = ids(uid, attempt);
    let parent = SpanContext::new(trace, root, TraceFlags::SAMPLED, true, TraceState::default());
    // An error means that nothing is exported. It needs no report.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Exports the span of an attempt that has ended: the parent of all other spans in its trace.
pub fn ended(uid: &str, attempt: &Attempt) {
    let Some(verdict) = &attempt.verdict else { return };
    let (trace, root) = ids(uid, attempt);
    let tracer = global::tracer(SERVICE);
    let builder = tracer
        .span_builder("rollout")
        .with_kind(SpanKind::Internal)
        .with_start_time(system_time(attempt.started_at))
        .with_attributes([
            KeyValue::new("uid", uid.to_owned()),
            KeyValue::new("attempt", attempt.number),
            KeyValue::new("outcome", verdict.outcome.as_str()),
            KeyValue::new("reason", verdict.reason.as_str()),
        ]);
    let mut span = identity::with_ids(trace, root, || tracer.build_with_context(builder, &Context::new()));
    span.end_with_timestamp(system_time(verdict.at));
}

fn ids(uid: &str, attempt: &Attempt) -> (opentelemetry::trace::TraceId, SpanId) {
    let (number, started_at) = (attempt.number, attempt.started_at);
    let trace = opentelemetry::trace::TraceId::from_bytes(TraceId::of(uid, number, started_at).to_bytes());
    (trace, SpanId::from_bytes(RootSpanId::of(uid, number, started_at).to_bytes()))
}

fn system_time(moment: Timestamp) -> SystemTime {
    SystemTime::from(moment)
}
