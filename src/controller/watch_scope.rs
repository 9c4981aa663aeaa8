//! Watches the resources of one namespace, or of all, and the ConfigMaps with their snapshots.

use super::claiming::in_use_by;
use super::cluster::GateStores;
use super::context::Context;
use super::gates::{WatchedDecision, WatchedWindow};
use super::received::NamedConfigMap;
use super::resources::claims::Certainty;
use super::resources::name_of;
use super::watch::Watches;
use super::watched::Watched;
use api::WATCH_LABEL;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, future, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use rollout::admission::ResourceName;
use std::sync::Arc;

/// Watches one namespace, or all. Returns the store with its resources, and the names of those to reconcile.
pub(super) fn watch_scope(
    context: &Arc<Context>,
    watches: &Watches,
    namespace: Option<&str>,
) -> (Store<Watched>, BoxStream<'static, ResourceName>) {
    let client = watches.client();
    let (store, writer) = reflector::store();
    let (for_events, for_filter, for_relist) = (Arc::clone(context), Arc::clone(context), Arc::clone(context));
    let resources: Api<Watched> = scoped(client, namespace);
    let on_relist = move || for_relist.resources.forget_written();
    let changed = watches
        .changes(resources, watcher::Config::default(), store.clone(), on_relist)
        .map(move |event| Ok(observe(event, &for_events)))
        .reflect(writer)
        .applied_objects()
        .filter_map(|watched: watcher::Result<Watched>| future::ready(watched.ok()))
        .filter(move |watched| future::ready(needs_reconcile(watched, &for_filter)))
        .map(|watched| name_of(&watched));
    let (for_maps, known) = (Arc::clone(context), store.clone());
    let users = watch_config_maps(watches, namespace).flat_map(move |map| {
        let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
        for_maps.snapshots.forget(&namespace, &name);
        stream::iter(users_of(&known, &namespace, &name))
    });
    (store, stream::select(changed, users).boxed())
}

/// The watches of the gates: their stores, and the names of the resources to reconcile.
pub(super) fn watch_gates(
    context: &Arc<Context>,
    watches: &Watches,
    namespaces: &[Option<&str>],
) -> (GateStores, BoxStream<'static, ResourceName>) {
    context.gates.set_watched_namespaces(namespaces);
    let mut stores = GateStores::default();
    let mut triggers = Vec::new();
    for namespace in namespaces {
        let (store, decided) = watch_decisions(context, watches, *namespace);
        stores.decisions.push(store);
        triggers.push(decided);
    }
    // The change windows in the operator's own namespace apply to all resources.
    let own = Some(context.gates.operator_namespace()).filter(|own| {
        !own.is_empty() && !namespaces.iter().any(|watched| watched.is_none_or(|watched| watched == *own))
    });
    for namespace in namespaces.iter().copied().chain(own.map(Some)) {
        let (store, changed) = watch_windows(context, watches, namespace);
        stores.windows.push(store);
        triggers.push(changed);
    }
    (stores, stream::select_all(triggers).boxed())
}

fn watch_decisions(
    context: &Arc<Context>,
    watches: &Watches,
    namespace: Option<&str>,
) -> (Store<WatchedDecision>, BoxStream<'static, ResourceName>) {
    let (store, writer) = reflector::store();
    let decisions: Api<WatchedDecision> = scoped(watches.client(), namespace);
    let context = Arc::clone(context);
    let decided = watches
        .changes(decisions, watcher::Config::default(), store.clone(), || {})
        .map(Ok)
        .reflect(writer)
        .filter_map(move |event: watcher::Result<watcher::Event<WatchedDecision>>| {
            future::ready(event.ok().and_then(|event| observe_decision(&event, &context)))
        });
    (store, decided.boxed())
}

/// Handles a change of a decision. Returns the resource that it is about. A new decision to end or undo a rollout does not wait
/// for a request that the resource's reconcile waits to send.
fn observe_decision(event: &watcher::Event<WatchedDecision>, context: &Context) -> Option<ResourceName> {
    let resource = context.gates.observe_decision(event)?;
    // Nothing is in flight for a resource at rest.
    if let Some(watched) = context.cluster.find(&resource)
        && let Some(object) = watched.whole()
        && context.gates.interrupts(event, object)
        && let Some(uid) = watched.uid()
    {
        context.resources.interrupt(&uid);
    }
    Some(resource)
}

fn watch_windows(
    context: &Arc<Context>,
    watches: &Watches,
    namespace: Option<&str>,
) -> (Store<WatchedWindow>, BoxStream<'static, ResourceName>) {
    let (store, writer) = reflector::store();
    let windows: Api<WatchedWindow> = scoped(watches.client(), namespace);
    let context = Arc::clone(context);
    let changed =
        watches.changes(windows, watcher::Config::default(), store.clone(), || {}).map(Ok).reflect(writer).flat_map(
            move |event: watcher::Result<watcher::Event<WatchedWindow>>| {
                let changed = event.ok().and_then(|event| context.gates.observe_window(&event));
                stream::iter(changed.map(|namespace| waiting_at_gates(&context, &namespace)).unwrap_or_default())
            },
        );
    (store, changed.boxed())
}

/// The resources that a change window of this namespace may concern: those that wait between their checks and their submit.
#[must_use]
pub fn waiting_at_gates(context: &Context, namespace: &str) -> Vec<ResourceName> {
    let is_concerned = |watched: &Watched| {
        context.gates.window_applies_in(namespace, watched.meta().namespace.as_deref().unwrap_or_default())
            && watched.is_at_gates()
    };
    let watched = context.cluster.resources();
    watched.iter().filter(|watched| is_concerned(watched)).map(|watched| name_of(watched.as_ref())).collect()
}

/// The labelled ConfigMaps that have changed or were deleted.
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

/// Handles an event of the watch, and returns it in the form in which the store keeps it.
#[must_use]
pub fn observe(event: watcher::Event<Watched>, context: &Context) -> watcher::Event<Watched> {
    context.resources.observe(&event);
    context.requeue_downstream(&event);
    let event = event.modify(|watched| {
        share_snapshot(watched, context);
        *watched = note_claim(watched.clone(), context);
    });
    match &event {
        watcher::Event::Apply(Watched::Unreadable(unreadable))
        | watcher::Event::InitApply(Watched::Unreadable(unreadable)) => {
            let ObjectMeta { namespace, name, .. } = &unreadable.metadata;
            let error = &unreadable.problem;
            tracing::error!(namespace, resource = name, error, "a resource cannot be read and is left alone");
        }
        watcher::Event::Delete(watched) => {
            if let Some(uid) = watched.meta().uid.as_deref() {
                context.resources.requeue_rivals(uid);
            }
        }
        _ => {}
    }
    event
}

/// Lets a resource share its snapshot with the stored version if the text is the same. During a rollout, every write of
/// the status brings another copy of the resource.
fn share_snapshot(received: &mut Watched, context: &Context) {
    if let Some(known) = context.cluster.find(&name_of(received)) {
        received.share_snapshot(&known);
    }
}

/// Notes the claim of a resource, and returns the copy of the resource that is kept.
fn note_claim(received: Watched, context: &Context) -> Watched {
    let claim = received.recorded_claim();
    let other_owner = received.meta().uid.as_deref().and_then(|uid| other_owner(&received, uid, context));
    let kept = received.pruned(&context.process.settings, other_owner, context.now());
    if let Some((environment, claimant)) = claim {
        let certainty = if kept.whole().is_some() { Certainty::Provisional } else { Certainty::Final };
        context.resources.note_claim(&environment, claimant, certainty);
    }
    kept
}

fn other_owner(watched: &Watched, uid: &str, context: &Context) -> Option<String> {
    let object = watched.whole()?;
    let owner = context.resources.other_owner(uid)?;
    Some(in_use_by(&object.spec.environment_id, &owner.resource, &object.namespace().unwrap_or_default()))
}

/// Whether a watched resource needs a reconcile: there may be work for it, or state to drop. A version that this
/// process wrote itself needs none, and neither does a resource that was at rest before and still is.
#[must_use]
pub fn needs_reconcile(watched: &Watched, context: &Context) -> bool {
    match watched {
        Watched::Whole(object) => !context.resources.has_written(&object.metadata),
        Watched::AtRest(_) => {
            let uid = watched.meta().uid.as_deref();
            uid.is_some_and(|uid| context.resources.is_active(uid) || context.is_replaced(watched, uid))
        }
        Watched::Unreadable(_) => true,
    }
}

/// The resources that take their snapshot from a ConfigMap.
#[must_use]
pub fn users_of(known: &Store<Watched>, namespace: &str, name: &str) -> Vec<ResourceName> {
    let uses = |watched: &Watched| watched.takes_snapshot_from(namespace, name);
    known.state_filter(uses).iter().map(|watched| name_of(watched.as_ref())).collect()
}
