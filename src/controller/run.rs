//! Watches resources, and runs the reconcile for each.

use super::context::Context;
use super::error::Error;
use super::received::NamedConfigMap;
use super::reconcile::reconcile;
use super::watch::Watches;
use super::watched::Watched;
use crate::api::WATCH_LABEL;
use crate::server::probes::Readiness;
use futures::future::{self, join_all};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};

/// The pause after a reconcile that failed; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a reconcile that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause while the API server is away: its return must be noticed soon.
const LONGEST_PAUSE_WHILE_AWAY: Duration = Duration::from_secs(10);
/// How often what is remembered of resources that went without a word is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// How many reconciles run at once; each of them may wait for an answer of Cognigy.AI.
const CONCURRENCY: u16 = 256;

/// The span around everything that is done for a resource; inside it, each attempt has its own.
pub const RESOURCE_SPAN: &str = "resource";

/// The namespaces that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// These, with no rights in any other; each once, since two controllers would get in each other's way.
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
    let (stores, writers): (Vec<_>, Vec<_>) = scopes.iter().map(|_| reflector::store()).unzip();
    // Set once: `run` is called once for a context.
    let _ = context.stores.set(stores.clone());
    let controllers = scopes.into_iter().zip(stores).zip(writers).map(|((namespace, store), writer)| {
        control(Arc::clone(&context), namespace, store, writer, watches.clone(), stop.clone())
    });
    let declare = async {
        match context.ready().await {
            Ok(()) => readiness.declare(),
            Err(error) => tracing::error!(%error, "the operator cannot become ready"),
        }
    };
    let forget = async {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            context.forget_the_gone().await;
        }
    };
    tokio::select! {
        _ = future::join(declare, join_all(controllers)) => {}
        () = forget => {}
    }
}

async fn control(
    context: Arc<Context>,
    namespace: Option<String>,
    store: Store<Watched>,
    writer: reflector::store::Writer<Watched>,
    watches: Watches,
    mut stop: watch::Receiver<bool>,
) {
    let client = watches.client();
    let resources: Api<Watched> = scoped(client, namespace.as_deref());
    let (for_watched, for_rested, for_relist) = (Arc::clone(&context), Arc::clone(&context), Arc::clone(&context));
    let census = context.metrics.census().watch();
    let watched = watches
        .changes(resources, watcher::Config::default(), store.clone(), move || for_relist.memories.forget_written())
        .inspect(move |event| census.show(event))
        .map(move |event| Ok(kept(event, &for_watched)))
        .reflect(writer)
        .applied_objects()
        .try_filter(move |watched| future::ready(for_rested.must_look_at(watched)));
    let maps: Api<NamedConfigMap> = scoped(client, namespace.as_deref());
    let labelled = watcher::Config::default().labels(&format!("{WATCH_LABEL}=true"));
    let (map_store, map_writer) = reflector::store();
    let map_changes = watches.changes(maps, labelled, map_store, || {}).map(Ok);
    let map_changes = map_changes.reflect(map_writer).touched_objects();
    let (for_maps, for_stop, known) = (Arc::clone(&context), Arc::clone(&context), store.clone());
    Controller::for_stream(watched, store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_stream(map_changes, move |map| {
            let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
            for_maps.snapshots.forget(&namespace, &name);
            users_of(&known, &namespace, &name)
        })
        .reconcile_on(woken(context.woken.subscribe(), Arc::clone(&context), namespace))
        .graceful_shutdown_on(async move {
            // The sender lives as long as the process; where it is gone, stopping is right as well.
            let _ = stop.wait_for(|stop| *stop).await;
            for_stop.withdrawals.withdraw_all();
        })
        .run(run_once, run_again, context)
        .for_each(|_| async {})
        .await;
}

/// The resources to reconcile because another one has let go of what they wait for, or has taken what they had. If too many
/// come at once, those that must be told that they lost their environment are found again; all others ask by themselves.
fn woken(
    receiver: broadcast::Receiver<ObjectRef<Watched>>,
    context: Arc<Context>,
    namespace: Option<String>,
) -> impl Stream<Item = ObjectRef<Watched>> {
    let each = stream::unfold((receiver, context, Vec::new()), |(mut receiver, context, mut found)| async move {
        loop {
            if let Some(woken) = found.pop() {
                return Some((woken, (receiver, context, found)));
            }
            match receiver.recv().await {
                Ok(woken) => return Some((woken, (receiver, context, found))),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let losers = context.claims.losers();
                    found.extend(losers.iter().map(|who| ObjectRef::new(&who.name).within(&who.namespace)));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    each.filter(move |woken| future::ready(namespace.is_none() || woken.namespace == namespace))
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
    let event = event.modify(|watched| *watched = context.keep(watched.clone()));
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
pub fn users_of(known: &Store<Watched>, namespace: &str, name: &str) -> Vec<ObjectRef<Watched>> {
    let uses = |watched: &Watched| watched.takes_snapshot_from(namespace, name);
    known.state_filter(uses).iter().map(|watched| ObjectRef::from_obj(watched.as_ref())).collect()
}

async fn run_once(object: Arc<Watched>, context: Arc<Context>) -> Result<Action, Error> {
    guarded(object, context).await.map(action)
}

fn run_again(object: Arc<Watched>, error: &Error, context: Arc<Context>) -> Action {
    action(after_failure(&object, error, &context))
}

fn action(come_back: Option<Duration>) -> Action {
    come_back.map_or_else(Action::await_change, Action::requeue)
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

/// A reconcile that failed is run again, after a pause that grows with each failure in a row: at once where it only
/// ended because the resource has changed, and not at all where the resource is gone.
#[must_use]
pub fn after_failure(object: &Watched, error: &Error, context: &Context) -> Option<Duration> {
    if matches!(error, Error::Withdrawn) {
        return Some(Duration::ZERO);
    }
    let uid = object.uid().unwrap_or_default();
    let longest = if error.is_outage() { LONGEST_PAUSE_WHILE_AWAY } else { LONGEST_PAUSE };
    let pause = FIRST_PAUSE.saturating_mul(1 << context.memories.failed(&uid).min(16)).min(longest);
    match error {
        Error::Gone => return None,
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
