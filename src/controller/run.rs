//! The controller: watches resources, and runs the reconcile for each.

use super::context::Context;
use super::error::Error;
use super::reconcile::reconcile;
use super::resources::LONGEST_PAUSE;
use super::runner::Runner;
use super::watch::Watches;
use super::watch_scope::{waiting_at_gates, watch_gates, watch_scope};
use super::watched::Watched;
use futures::{FutureExt, future, stream};
use kube::{Resource, ResourceExt};
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// The longest pause while the API server is unreachable, so that its return is noticed soon.
const LONGEST_PAUSE_WHILE_AWAY: Duration = Duration::from_secs(10);
/// How often the process forgets resources that disappeared without an event.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// How long decisions to delete are gathered.
const PRUNE_AFTER: Duration = Duration::from_secs(1);

/// The span around all work for a resource. Each attempt has its own span inside it.
pub const RESOURCE_SPAN: &str = "resource";

/// The namespaces that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All namespaces.
    Cluster,
    /// These namespaces. The operator needs no rights in others. Each is named once: two watches would show the same
    /// resources.
    Namespaces(BTreeSet<String>),
}

/// Runs until `stop` is cancelled, then waits for the running reconciles to finish. `on_ready` is called once the first
/// lists are complete.
pub async fn run(
    context: Arc<Context>,
    watches: Watches,
    scope: Scope,
    on_ready: impl FnOnce(),
    stop: CancellationToken,
) {
    let scopes = match scope {
        Scope::Cluster => vec![None],
        Scope::Namespaces(namespaces) => namespaces.into_iter().map(Some).collect(),
    };
    let (stores, triggers): (Vec<_>, Vec<_>) =
        scopes.iter().map(|namespace| watch_scope(&context, &watches, namespace.as_deref())).unzip();
    let namespaces: Vec<Option<&str>> = scopes.iter().map(Option::as_deref).collect();
    let (gate_stores, at_gates) = watch_gates(&context, &watches, &namespaces);
    context.gates.begin_listing();
    context.cluster.watch_gates(gate_stores);
    context.cluster.watch(stores);
    let triggers = stream::select(stream::select_all(triggers), at_gates);
    let runner = Runner::new(Arc::clone(&context)).run(triggers, stop);
    let declare_ready = async {
        if context.cluster.ready().await.is_ok() {
            on_ready();
        }
    };
    let list_gates = async {
        if context.cluster.gates_ready().await.is_ok() {
            context.gates.listed();
            context.resources.requeue(waiting_at_gates(&context, context.gates.operator_namespace()));
        }
        future::pending::<()>().await;
    };
    let forget_gone = async {
        // If a first list was started twice, it may have shown resources that no longer exist.
        let _ = context.cluster.ready().await;
        loop {
            context.forget_gone().await;
            let pruning = async {
                loop {
                    context.prune_decisions().await;
                    context.gates.until_crowded().await;
                    tokio::time::sleep(PRUNE_AFTER).await;
                }
            };
            let _ = tokio::time::timeout(FORGET_EVERY, pruning).await;
        }
    };
    tokio::select! {
        _ = future::join(declare_ready, runner) => {}
        () = forget_gone => {}
        () = context.keep_window_statuses() => {}
        () = list_gates => {}
    }
}

/// Runs one reconcile in its span and counts it. A panic in one reconcile does not end the others.
///
/// # Errors
/// See [`reconcile`]; also [`Error::Panicked`].
pub async fn guarded(watched: Arc<Watched>, context: Arc<Context>) -> Result<Option<Duration>, Error> {
    let began = Instant::now();
    let span = tracing::info_span!(
        RESOURCE_SPAN,
        namespace = watched.namespace().unwrap_or_default(),
        resource = watched.name_any(),
        generation = watched.meta().generation,
    );
    let work = reconcile(watched, Arc::clone(&context)).instrument(span);
    let result = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(Error::Panicked(message_of(panic.as_ref()))),
    };
    context.metrics.reconciled(result.as_ref().err().map(Error::kind), began.elapsed());
    result
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// When to run a failed reconcile again: after a pause that grows with each failure in a row, or at once if it ended
/// only because the resource has changed.
#[must_use]
pub fn after_failure(watched: &Watched, error: &Error, context: &Context) -> Option<Duration> {
    if matches!(error, Error::Cancelled) {
        return Some(Duration::ZERO);
    }
    let pause = context.resources.failed(&watched.uid().unwrap_or_default(), context.seed());
    match error {
        // If the resource is really gone, the watch reports that as well, and nothing runs again.
        Error::Gone => {
            tracing::debug!("the API server does not have the resource; the operator checks again later");
            return Some(LONGEST_PAUSE);
        }
        Error::Conflict => tracing::debug!("another client has written the resource; deciding again"),
        error => tracing::warn!(
            namespace = watched.namespace().unwrap_or_default(),
            resource = watched.name_any(),
            %error,
            "the reconcile failed and is run again"
        ),
    }
    let longest = if error.is_outage() { LONGEST_PAUSE_WHILE_AWAY } else { LONGEST_PAUSE };
    Some(pause.min(longest.mul_f64(0.5 + 0.5 * context.draw())))
}
