//! Watches resources, and runs the reconcile for each.

use super::context::Context;
use super::error::Error;
use super::fleet::name_of;
use super::received::NamedConfigMap;
use super::reconcile::reconcile;
use super::runner::Runner;
use super::watch::Watches;
use super::watched::Watched;
use crate::server::probes::Readiness;
use api::WATCH_LABEL;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, future, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use rollout::admission::ResourceName;
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The pause after a reconcile that failed; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a reconcile that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause while the API server is away: its return must be noticed soon.
const LONGEST_PAUSE_WHILE_AWAY: Duration = Duration::from_secs(10);
/// How often what is remembered of resources that went without a word is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// The span around everything that is done for a resource; inside it, each attempt has its own.
pub const RESOURCE_SPAN: &str = "resource";

/// The namespaces that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// These, with no rights in any other; each once, since two watches would tell of the same resources.
    Namespaces(BTreeSet<String>),
}

/// Runs until `stop` turns true; what is in the middle of a reconcile by then is finished first.
pub async fn run(
    context: Arc<Context>,
    watches: Watches,
    scope: Scope,
    readiness: Readiness,
    stop: watch::Receiver<bool>,
) {
    let scopes = match scope {
        Scope::Cluster => vec![None],
        Scope::Namespaces(namespaces) => namespaces.into_iter().map(Some).collect(),
    };
    let (stores, triggers): (Vec<_>, Vec<_>) =
        scopes.into_iter().map(|namespace| watch_scope(&context, &watches, namespace.as_deref())).unzip();
    // Set once: `run` is called once for a context.
    let _ = context.stores.set(stores);
    let runner = Runner::new(Arc::clone(&context)).run(stream::select_all(triggers), stop);
    let declare = async {
        if context.ready().await.is_ok() {
            readiness.declare();
        }
    };
    let forget = async {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            context.forget_the_gone().await;
        }
    };
    tokio::select! {
        _ = future::join(declare, runner) => {}
        () = forget => {}
    }
}

/// Watches one namespace, or all: the store that its resources are in, and those that are worth a reconcile.
fn watch_scope(
    context: &Arc<Context>,
    watches: &Watches,
    namespace: Option<&str>,
) -> (Store<Watched>, BoxStream<'static, ResourceName>) {
    let client = watches.client();
    let (store, writer) = reflector::store();
    let (for_kept, for_filter, for_relist) = (Arc::clone(context), Arc::clone(context), Arc::clone(context));
    let census = context.metrics.census().watch();
    let resources: Api<Watched> = scoped(client, namespace);
    let changed = watches
        .changes(resources, watcher::Config::default(), store.clone(), move || for_relist.memories.forget_written())
        .inspect(move |event| census.show(event))
        .map(move |event| Ok(kept(event, &for_kept)))
        .reflect(writer)
        .applied_objects()
        .filter_map(|watched: watcher::Result<Watched>| future::ready(watched.ok()))
        .filter(move |watched| future::ready(for_filter.must_look_at(watched)))
        .map(|watched| name_of(&watched));
    let (for_maps, known) = (Arc::clone(context), store.clone());
    let users = watch_config_maps(watches, namespace).flat_map(move |map| {
        let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
        for_maps.snapshots.forget(&namespace, &name);
        stream::iter(users_of(&known, &namespace, &name))
    });
    (store, stream::select(changed, users).boxed())
}

/// The labelled ConfigMaps that have changed or are gone.
fn watch_config_maps(watches: &Watches, namespace: Option<&str>) -> impl Stream<Item = NamedConfigMap> + Send + use<> {
    let maps: Api<NamedConfigMap> = scoped(watches.client(), namespace);
    let labelled = watcher::Config::default().labels(&format!("{WATCH_LABEL}=true"));
    let (store, writer) = reflector::store();
    let changes = watches.changes(maps, labelled, store, || {}).map(Ok);
    changes.reflect(writer).touched_objects().filter_map(|map: watcher::Result<NamedConfigMap>| future::ready(map.ok()))
}

fn scoped<K>(client: &kube::Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// What the watch tells, with what is kept of it. A running reconcile hears of it while it is whole.
#[must_use]
pub fn kept(event: watcher::Event<Watched>, context: &Context) -> watcher::Event<Watched> {
    context.withdrawals.heard(&event);
    let event = event.modify(|watched| {
        context.share_snapshot(watched);
        *watched = context.keep(watched.clone());
    });
    if let watcher::Event::Apply(Watched::Unreadable(unreadable))
    | watcher::Event::InitApply(Watched::Unreadable(unreadable)) = &event
    {
        let ObjectMeta { namespace, name, .. } = &unreadable.metadata;
        tracing::error!(
            namespace,
            resource = name,
            error = unreadable.problem,
            "a resource cannot be read and is left alone"
        );
    }
    if let watcher::Event::Delete(watched) = &event {
        context.may_be_gone(watched);
    }
    event
}

/// The resources that take their snapshot from a ConfigMap.
#[must_use]
pub fn users_of(known: &Store<Watched>, namespace: &str, name: &str) -> Vec<ResourceName> {
    let uses = |watched: &Watched| watched.takes_snapshot_from(namespace, name);
    known.state_filter(uses).iter().map(|watched| name_of(watched.as_ref())).collect()
}

/// One reconcile, in its span and counted. A panic in one reconcile must not end all others.
///
/// # Errors
/// As for [`reconcile`], and [`Error::Panicked`].
pub async fn guarded(object: Arc<Watched>, context: Arc<Context>) -> Result<Option<Duration>, Error> {
    let began = Instant::now();
    let span = tracing::info_span!(
        RESOURCE_SPAN,
        namespace = object.namespace().unwrap_or_default(),
        resource = object.name_any(),
        generation = object.meta().generation,
    );
    let work = tracing::Instrument::instrument(reconcile(object, Arc::clone(&context)), span);
    let result = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(Error::Panicked(words_of(panic.as_ref()))),
    };
    context.metrics.reconciled(result.as_ref().err(), began.elapsed());
    result
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// A reconcile that failed is run again, after a pause that grows with each failure in a row; at once if it only ended
/// because the resource has changed.
#[must_use]
pub fn after_failure(object: &Watched, error: &Error, context: &Context) -> Option<Duration> {
    if matches!(error, Error::Withdrawn) {
        return Some(Duration::ZERO);
    }
    let uid = object.uid().unwrap_or_default();
    let longest = if error.is_outage() { LONGEST_PAUSE_WHILE_AWAY } else { LONGEST_PAUSE };
    let pause = FIRST_PAUSE.saturating_mul(1 << context.memories.failed(&uid).min(16)).min(longest);
    match error {
        // If it is really gone, the watch says so as well, and nothing is run again.
        Error::Gone => {
            tracing::debug!("the API server does not find the resource; looking again later");
            return Some(LONGEST_PAUSE);
        }
        Error::Conflict => tracing::debug!("the resource was written by somebody else; deciding anew"),
        error => tracing::warn!(
            namespace = object.namespace().unwrap_or_default(),
            resource = object.name_any(),
            %error,
            "the reconcile failed and is run again"
        ),
    }
    Some(pause.mul_f64(0.5 + 0.5 * context.draw()))
}
