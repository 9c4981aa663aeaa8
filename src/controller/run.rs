//! Watches resources, and runs the reconcile for each.

use super::context::Context;
use super::error::Error;
use super::reconcile::reconcile;
use crate::api::{CognigyDeployment, WATCH_LABEL};
use crate::server::probes::Readiness;
use futures::future::{self, join_all};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
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
/// How often what is remembered of resources that went without a word is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// How many reconciles run at once; each of them may wait for an answer of Cognigy.AI.
const CONCURRENCY: u16 = 256;

/// The namespaces that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// These, with no rights in any other; each once, since two controllers would get in each other's way.
    Namespaces(BTreeSet<String>),
}

/// Runs until `stop` turns true; what is in the middle of a reconcile by then is finished first.
pub async fn run(context: Arc<Context>, scope: Scope, readiness: Readiness, stop: watch::Receiver<bool>) {
    let scopes = match scope {
        Scope::Cluster => vec![None],
        Scope::Namespaces(namespaces) => namespaces.into_iter().map(Some).collect(),
    };
    let (stores, writers): (Vec<_>, Vec<_>) = scopes.iter().map(|_| reflector::store()).unzip();
    // Set once: `run` is called once for a context.
    let _ = context.stores.set(stores.clone());
    let controllers = scopes
        .into_iter()
        .zip(stores)
        .zip(writers)
        .map(|((namespace, store), writer)| control(Arc::clone(&context), namespace, store, writer, stop.clone()));
    let declare = async {
        match context.ready().await {
            Ok(()) => readiness.declare(),
            Err(error) => tracing::error!(%error, "the operator cannot become ready"),
        }
    };
    let forget = async {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            context.forget_the_gone();
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
    store: Store<CognigyDeployment>,
    writer: reflector::store::Writer<CognigyDeployment>,
    mut stop: watch::Receiver<bool>,
) {
    let client = context.kubernetes.clone();
    let changed = Arc::clone(&context);
    let resources: Api<DeserializeGuard<CognigyDeployment>> = scoped(&client, namespace.as_deref());
    // Not a streaming list: Kubernetes 1.33 refuses one unless a feature gate is set.
    let census = context.metrics.census().watch();
    let watched = watcher(resources, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| async { readable(event) })
        .inspect_ok(move |event| census.show(event))
        .reflect(writer)
        .inspect_ok(move |event| changed.withdrawals.heard(event))
        .applied_objects();
    let maps: Api<PartialObjectMeta<ConfigMap>> = scoped(&client, namespace.as_deref());
    let labelled = watcher::Config::default().labels(&format!("{WATCH_LABEL}=true"));
    let map_changes = watcher(maps, labelled).default_backoff().touched_objects();
    let (for_maps, known) = (Arc::clone(&context), store.clone());
    Controller::for_stream(watched, store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_stream(map_changes, move |map| {
            let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
            for_maps.snapshots.forget(&namespace, &name);
            users_of(&known, &namespace, &name)
        })
        .reconcile_on(woken(context.woken.subscribe(), namespace))
        .graceful_shutdown_on(async move {
            // The sender lives as long as the process; where it is gone, stopping is right as well.
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .run(run_once, run_again, context)
        .for_each(|_| async {})
        .await;
}

/// The resources to reconcile because another one has let go of what they wait for.
fn woken(
    receiver: broadcast::Receiver<ObjectRef<CognigyDeployment>>,
    namespace: Option<String>,
) -> impl Stream<Item = ObjectRef<CognigyDeployment>> {
    let each = stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(woken) => return Some((woken, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
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

/// One object that cannot be read must not stop the watch of all others.
fn readable(
    event: watcher::Result<watcher::Event<DeserializeGuard<CognigyDeployment>>>,
) -> Option<watcher::Result<watcher::Event<CognigyDeployment>>> {
    let read = |guard: DeserializeGuard<CognigyDeployment>| match guard.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            let namespace = invalid.metadata.namespace.unwrap_or_default();
            tracing::error!(%namespace, %name, error = %invalid.error, "a resource cannot be read and is left alone");
            None
        }
    };
    match event {
        Ok(watcher::Event::Apply(guard)) => read(guard).map(|object| Ok(watcher::Event::Apply(object))),
        Ok(watcher::Event::InitApply(guard)) => read(guard).map(|object| Ok(watcher::Event::InitApply(object))),
        Ok(watcher::Event::Delete(guard)) => read(guard).map(|object| Ok(watcher::Event::Delete(object))),
        Ok(watcher::Event::Init) => Some(Ok(watcher::Event::Init)),
        Ok(watcher::Event::InitDone) => Some(Ok(watcher::Event::InitDone)),
        Err(error) => {
            tracing::warn!(%error, "the watch was interrupted and goes on");
            Some(Err(error))
        }
    }
}

/// The resources that take their snapshot from a ConfigMap.
fn users_of(known: &Store<CognigyDeployment>, namespace: &str, name: &str) -> Vec<ObjectRef<CognigyDeployment>> {
    let uses = |object: &CognigyDeployment| {
        let source = object.spec.configuration_snapshot_from.as_ref();
        object.metadata.namespace.as_deref() == Some(namespace)
            && source.is_some_and(|source| source.config_map_key_ref.name == name)
    };
    known.state_filter(uses).iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

async fn run_once(object: Arc<CognigyDeployment>, context: Arc<Context>) -> Result<Action, Error> {
    guarded(object, context).await.map(action)
}

fn run_again(object: Arc<CognigyDeployment>, error: &Error, context: Arc<Context>) -> Action {
    action(after_failure(&object, error, &context))
}

fn action(come_back: Option<Duration>) -> Action {
    come_back.map_or_else(Action::await_change, Action::requeue)
}

/// One reconcile, in its span and counted. A panic in one reconcile must not end all others.
///
/// # Errors
/// As for [`reconcile`], and [`Error::Panicked`].
pub async fn guarded(object: Arc<CognigyDeployment>, context: Arc<Context>) -> Result<Option<Duration>, Error> {
    let began = Instant::now();
    let span = tracing::info_span!(
        "reconcile",
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        generation = object.metadata.generation,
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
pub fn after_failure(object: &CognigyDeployment, error: &Error, context: &Context) -> Option<Duration> {
    if matches!(error, Error::Withdrawn) {
        return Some(Duration::ZERO);
    }
    let uid = object.uid().unwrap_or_default();
    let pause = FIRST_PAUSE.saturating_mul(1 << context.memories.failed(&uid).min(16)).min(LONGEST_PAUSE);
    match error {
        Error::Gone => return None,
        Error::Conflict => tracing::debug!("the resource was written by somebody else; deciding anew"),
        error => tracing::warn!(
            namespace = object.namespace().unwrap_or_default(),
            name = object.name_any(),
            %error,
            "the reconcile failed and is run again"
        ),
    }
    Some(pause.mul_f64(0.5 + 0.5 * context.draw()))
}
