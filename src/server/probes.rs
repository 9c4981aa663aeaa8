//! `/healthz`, `/readyz` and `/metrics`.

use super::listener::Limits;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Whether the operator is ready. It is ready if its first list of resources is complete, or if it waits for the lease.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Declares the operator ready, for the rest of its life.
    pub fn declare(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_declared(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, readiness: Readiness) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .with_state(Shown { metrics, readiness });
    super::listener::serve(listener, router, Limits::default()).await;
}

async fn readyz(State(shown): State<Shown>) -> impl IntoResponse {
    match shown.readiness.is_declared() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the first list of resources is not complete"),
    }
}

async fn show_metrics(State(shown): State<Shown>) -> impl IntoResponse {
    match shown.metrics.encode() {
        Ok(text) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
