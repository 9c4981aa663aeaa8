//! One process of the operator: the real reconcile, run by a small scheduler with the rules of kube's controller. A
//! resource is reconciled if the watch delivers a change of it, if its requeue time has come, or if another resource
//! requeues it, but never twice at the same time.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::{ChangeWindow, CognigyDecision};
use cognigy_deployments::{CognigyDeployments, Defaults};
use cognigy_operator::controller::Context;
use cognigy_operator::controller::clock::Clock;
use cognigy_operator::controller::cluster::Cluster;
use cognigy_operator::controller::context::{Platforms, ProcessSettings};
use cognigy_operator::controller::default_webhook::DefaultWebhook;
use cognigy_operator::controller::event_recorder::EventRecorder;
use cognigy_operator::controller::gates::{GateRegistry, WatchedDecision, WatchedObject, WatchedWindow};
use cognigy_operator::controller::leadership::Leadership;
use cognigy_operator::controller::queue::ReconcileQueue;
use cognigy_operator::controller::resources::{ResourceRegistry, name_of};
use cognigy_operator::controller::run::{after_failure, guarded};
use cognigy_operator::controller::sessions::Sessions;
use cognigy_operator::controller::snapshot::Snapshots;
use cognigy_operator::controller::watch::relist::Relist;
use cognigy_operator::controller::watch_scope::{needs_reconcile, observe, users_of, waiting_at_gates};
use cognigy_operator::controller::watched::Watched;
use cognigy_operator::delivery::OutboxSender;
use cognigy_operator::metrics::{Metrics, ResourceGauges};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{self, Store, store::Writer};
use kube::runtime::watcher::Event;
use platform::{Budgets, EgressPolicy, ExchangeOptions, Provider, SubmitRules, Transport, WebhookSender};
use rollout::Settings;
use rollout::admission::ResourceName;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::fault::STALE;
use super::gate::Gate;
use super::kubernetes::{Change, DECISIONS, DEPLOYMENTS, ObjectName, WINDOWS};
use super::services::{KubernetesService, PlatformTransport};
use super::stage::{ListAge, Signal, WatchLoss, WatchReturn};
use super::story::Happening;
use super::time::ProcessClock;

/// The settings of an operator.
#[derive(Clone)]
pub struct Setup {
    pub settings: Settings,
    pub seed: u64,
    /// The delay of the watch.
    pub watch_lag: Duration,
    pub default_webhook: Option<DefaultWebhook>,
    /// Another platform than the simulator.
    pub provider: Option<Arc<dyn Provider>>,
}

/// A running operator.
pub struct Process {
    gate: Gate,
    context: Arc<Context>,
    store: Store<Watched>,
    writer: Writer<Watched>,
    watch: Watch,
    relist: Relist<Watched>,
    decisions: SmallWatch<CognigyDecision>,
    windows: SmallWatch<ChangeWindow>,
    queue: ReconcileQueue,
    started_at: Instant,
    retires: Arc<AtomicBool>,
}

/// The watch of a kind with small objects. It is lost and delayed together with the watch of the resources.
struct SmallWatch<K: Kind> {
    writer: Writer<WatchedObject<K>>,
    relist: Relist<WatchedObject<K>>,
}

/// A kind whose type is known at compile time, and that a watch can read.
trait Kind: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static {}

impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static> Kind for K {}

impl<K: Kind> SmallWatch<K> {
    fn new() -> Self {
        let (store, writer) = reflector::store();
        Self { relist: Relist::new(store), writer }
    }

    /// The changes that an event implies, as the store has them now.
    fn changes(&mut self, event: Event<WatchedObject<K>>) -> Vec<Event<WatchedObject<K>>> {
        let changes = self.relist.changes(event);
        for change in &changes {
            self.writer.apply_watcher_event(change);
        }
        changes
    }

    /// The changes that the beginning of a list implies.
    fn list(&mut self, objects: &[Arc<Value>]) -> Vec<Event<WatchedObject<K>>> {
        let mut changes = self.changes(Event::Init);
        changes.extend(objects.iter().flat_map(|object| self.changes(Event::InitApply(read(object)))));
        changes
    }
}

/// The state of the watch.
struct Watch {
    delivered: u64,
    lag: Duration,
    /// No change is delivered before this time.
    behind_until: Instant,
    /// The time at which the next waiting change may be delivered.
    next_at: Option<Instant>,
    /// How often it was lost so far.
    losses: u32,
    /// The next step of its recovery, and the time of it.
    returns: Option<(Instant, Return)>,
}

/// The recovery of a lost watch.
#[derive(Clone, Copy)]
enum Return {
    /// It delivers a list of all objects from some versions ago. The end of the list comes later.
    List { versions_old: u64, ends_after: Duration, stays_behind: Duration },
    /// Its list is complete.
    ListIsComplete,
}

type Finished = (ResourceName, Arc<Watched>, Result<Option<Duration>, cognigy_operator::controller::error::Error>);

impl Process {
    /// Starts with empty memory, from a list of that age. Once `retires` is set, it finishes what it has started and
    /// starts nothing more.
    pub fn start(gate: Gate, setup: &Setup, list: ListAge, retires: Arc<AtomicBool>) -> Self {
        let (store, writer) = reflector::store();
        let (time, clock_error) = {
            let mut stage = gate.stage.lock();
            stage.note(Happening::Started(gate.process));
            (stage.time, stage.clock_error.clone())
        };
        let clock = Arc::new(ProcessClock::start(time, clock_error));
        let context = Arc::new(context(&gate, setup, clock, store.clone()));
        let now = Instant::now();
        let (delivered, behind_until) = match list {
            ListAge::Current => (gate.stage.lock().kubernetes.version(), now),
            ListAge::AsOf(version) => (version, now + STALE),
        };
        let losses = gate.stage.lock().watch_losses.0;
        let watch = Watch { delivered, lag: setup.watch_lag, behind_until, next_at: None, losses, returns: None };
        let relist = Relist::new(store.clone());
        let mut process = Self {
            gate,
            context,
            store,
            writer,
            watch,
            relist,
            decisions: SmallWatch::new(),
            windows: SmallWatch::new(),
            queue: ReconcileQueue::default(),
            started_at: now,
            retires,
        };
        process.list();
        process
    }

    fn list(&mut self) {
        self.list_gates();
        self.complete_gates();
        self.deliver_event(Event::Init);
        self.deliver_listed();
        self.deliver_event(Event::InitDone);
    }

    /// The decisions and the change windows are listed.
    fn list_gates(&mut self) {
        let listed = |plural| self.gate.stage.lock().kubernetes.list_at(plural, self.watch.delivered);
        let (decisions, windows) = (listed(DECISIONS), listed(WINDOWS));
        self.decisions.list(&decisions).into_iter().for_each(|change| self.decision_changed(change));
        self.windows.list(&windows).into_iter().for_each(|change| self.window_changed(change));
    }

    fn complete_gates(&mut self) {
        self.decisions.changes(Event::InitDone).into_iter().for_each(|change| self.decision_changed(change));
        self.windows.changes(Event::InitDone).into_iter().for_each(|change| self.window_changed(change));
    }

    fn decision_changed(&mut self, change: Event<WatchedDecision>) {
        if let Some(about) = self.context.gates.observe_decision(&change) {
            self.schedule(about, Duration::ZERO);
        }
    }

    fn window_changed(&mut self, change: Event<WatchedWindow>) {
        if let Some(namespace) = self.context.gates.observe_window(&change) {
            waiting_at_gates(&self.context, &namespace).into_iter().for_each(|who| self.schedule(who, Duration::ZERO));
        }
    }

    fn deliver_listed(&mut self) {
        let listed = self.gate.stage.lock().kubernetes.list_at(DEPLOYMENTS, self.watch.delivered);
        for object in listed {
            self.deliver_event(Event::InitApply(received(&object)));
        }
    }

    /// Passes an event of the watch through the same code as in production.
    fn deliver_event(&mut self, event: Event<Watched>) {
        if matches!(event, Event::Init) && self.relist.has_listed() {
            self.context.resources.forget_written();
        }
        self.relist.changes(event).into_iter().for_each(|event| self.deliver_change(event));
    }

    fn deliver_change(&mut self, event: Event<Watched>) {
        let event = observe(event, &self.context);
        self.writer.apply_watcher_event(&event);
        if let Event::Apply(watched) | Event::InitApply(watched) = &event
            && needs_reconcile(watched, &self.context)
        {
            self.schedule(name_of(watched), Duration::ZERO);
        }
    }

    /// Checks whether the watch was lost, and recovers it at its time.
    fn handle_watch_loss(&mut self) {
        let (losses, loss) = self.gate.stage.lock().watch_losses;
        if let Some(WatchLoss { silent, then }) = loss.filter(|_| losses != self.watch.losses) {
            let back = Instant::now() + silent;
            self.watch.losses = losses;
            self.watch.behind_until = back;
            if let WatchReturn::Lists { versions_old, ends_after, stays_behind } = then {
                self.watch.returns = Some((back, Return::List { versions_old, ends_after, stays_behind }));
                self.watch.behind_until = back + ends_after + stays_behind;
            }
            self.watch.next_at = self.watch.next_at.map(|at| at.max(self.watch.behind_until));
        }
        match self.watch.returns.take_if(|(at, _)| *at <= Instant::now()) {
            None => {}
            Some((_, Return::List { versions_old, ends_after, stays_behind })) => {
                self.watch.delivered = self.gate.stage.lock().kubernetes.version().saturating_sub(versions_old);
                if versions_old > 0 {
                    self.gate.stage.lock().note(Happening::ListedOld(self.gate.process));
                }
                // Changes come once the list is complete.
                self.watch.next_at = None;
                self.watch.behind_until = Instant::now() + ends_after + stays_behind;
                self.watch.returns = Some((Instant::now() + ends_after, Return::ListIsComplete));
                self.list_gates();
                self.deliver_event(Event::Init);
                self.deliver_listed();
                let maps = self.gate.stage.lock().kubernetes.names("configmaps");
                maps.iter().for_each(|map| self.config_map_changed(map));
            }
            Some((_, Return::ListIsComplete)) => {
                self.complete_gates();
                self.deliver_event(Event::InitDone);
            }
        }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let mut reconciles: FuturesUnordered<BoxFuture<'static, Finished>> = FuturesUnordered::new();
        let changed = Arc::clone(&self.gate.stage.lock().changed);
        let context = Arc::clone(&self.context);
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            self.handle_watch_loss();
            self.deliver();
            // An event of the watch may requeue other resources.
            let requeued = self.context.resources.take_requeued();
            requeued.into_iter().for_each(|who| self.schedule(who, Duration::ZERO));
            self.start_due(&mut reconciles);
            let returns = self.watch.returns.map(|(at, _)| at);
            let next = self.watch.next_at.into_iter().chain(returns).chain(self.next_due()).min();
            if next.is_none() && reconciles.is_empty() {
                self.gate.stage.lock().signal(Signal::AtRest(self.gate.process));
            }
            tokio::select! {
                biased;
                Some(finished) = reconciles.next(), if !reconciles.is_empty() => self.finish(finished),
                requeued = context.resources.requeued() => {
                    requeued.into_iter().for_each(|who| self.schedule(who, Duration::ZERO));
                }
                () = until(next) => {}
                () = notified => {}
            }
        }
    }

    /// Delivers the changes whose time has come.
    fn deliver(&mut self) {
        let now = Instant::now();
        if self.watch.next_at.is_some_and(|at| at <= now) {
            self.watch.next_at = None;
            let changes = self.gate.stage.lock().kubernetes.changes_since(self.watch.delivered).to_vec();
            changes.into_iter().for_each(|change| self.deliver_one(change));
        }
        let waits = !self.gate.stage.lock().kubernetes.changes_since(self.watch.delivered).is_empty();
        if waits && self.watch.next_at.is_none() {
            self.watch.next_at = Some((now + self.watch.lag).max(self.watch.behind_until));
        }
    }

    fn deliver_one(&mut self, change: Change) {
        self.watch.delivered = change.version;
        let is_gone = change.after.is_none();
        let Some(object) = change.after.or(change.before) else { return };
        match change.name.plural {
            DEPLOYMENTS => self.deliver_event(change_of(received(&object), is_gone)),
            DECISIONS => {
                let changes = self.decisions.changes(change_of(read(&object), is_gone));
                changes.into_iter().for_each(|change| self.decision_changed(change));
            }
            WINDOWS => {
                let changes = self.windows.changes(change_of(read(&object), is_gone));
                changes.into_iter().for_each(|change| self.window_changed(change));
            }
            "configmaps" => self.config_map_changed(&change.name),
            _ => {}
        }
    }

    fn config_map_changed(&mut self, map: &ObjectName) {
        self.context.snapshots.forget(&map.namespace, &map.name);
        let users = users_of(&self.store, &map.namespace, &map.name);
        users.into_iter().for_each(|name| self.schedule(name, Duration::ZERO));
    }

    fn next_due(&self) -> Option<Instant> {
        if self.retires.load(Ordering::Relaxed) {
            return None;
        }
        self.queue.next_at().map(|at| self.started_at + at)
    }

    /// Starts the reconciles that are due, except for resources that are being reconciled.
    fn start_due(&mut self, reconciles: &mut FuturesUnordered<BoxFuture<'static, Finished>>) {
        if self.retires.load(Ordering::Relaxed) {
            return;
        }
        let context = Arc::clone(&self.context);
        while let Some(who) = self.queue.take(self.started_at.elapsed(), |who| context.urgency_of(who)) {
            let Some(object) = context.cluster.find(&who) else {
                self.queue.finish(&who, self.started_at.elapsed());
                continue;
            };
            let context = Arc::clone(&context);
            reconciles.push(Box::pin(async move {
                let result = guarded(Arc::clone(&object), context).await;
                (who, object, result)
            }));
        }
    }

    fn finish(&mut self, (who, object, result): Finished) {
        self.queue.finish(&who, self.started_at.elapsed());
        let come_back = result.unwrap_or_else(|error| {
            self.gate.stage.lock().note(Happening::Failed(error.to_string()));
            after_failure(&object, &error, &self.context)
        });
        if let Some(wait) = come_back {
            self.schedule(who, wait);
        }
    }

    fn schedule(&mut self, who: ResourceName, after: Duration) {
        self.queue.add(who, self.started_at.elapsed() + after);
    }
}

/// Decodes an object as the watch does. An object that cannot be decoded would break the list or the watch of all
/// others.
fn received(object: &Value) -> Watched {
    serde_json::from_str(&object.to_string()).unwrap_or_else(|error| panic!("{error}: {object}"))
}

/// Decodes an object of a small kind as its watch does.
fn read<K: Kind>(object: &Value) -> WatchedObject<K> {
    serde_json::from_str(&object.to_string()).unwrap_or_else(|error| panic!("{error}: {object}"))
}

fn change_of<W>(watched: W, is_gone: bool) -> Event<W> {
    if is_gone { Event::Delete(watched) } else { Event::Apply(watched) }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}

fn context(gate: &Gate, setup: &Setup, clock: Arc<ProcessClock>, store: Store<Watched>) -> Context {
    let kubernetes = kube::Client::new(KubernetesService(gate.clone()), "default");
    let transport: Arc<dyn Transport> = Arc::new(PlatformTransport(gate.clone()));
    let wall = Arc::clone(&clock);
    let options = ExchangeOptions {
        wall_clock: Arc::new(move || wall.now().wall),
        ..ExchangeOptions::new(EgressPolicy::new(Vec::new()))
    };
    let resources = Arc::new(ResourceRegistry::default());
    let gauges: Arc<dyn ResourceGauges> = resources.clone();
    let metrics = Arc::new(Metrics::new(Arc::default(), &[], gauges));
    gate.stage.lock().metrics.push(Arc::clone(&metrics));
    let (seed, shared) = (setup.seed.wrapping_add(u64::from(gate.process.0)), Arc::clone(&transport));
    let cluster =
        Cluster::new(kubernetes.clone(), EventRecorder::new(kubernetes.clone(), None), Leadership::unshared());
    cluster.watch(vec![store]);
    let budgets = Arc::<Budgets>::default();
    let simulator = CognigyDeployments::new(
        Defaults::default(),
        Arc::new(move |_| Ok(Arc::clone(&shared))),
        options.clone(),
        SubmitRules { idempotency: setup.settings.submit_idempotency, key_ttl: setup.settings.submit_key_ttl },
        Arc::clone(&budgets),
        seed,
    );
    let provider = setup.provider.clone().unwrap_or_else(|| Arc::new(simulator));
    let settings = provider.settings(setup.settings.deletion_grace);
    Context {
        cluster,
        platforms: Platforms {
            sessions: Sessions::new(kubernetes.clone(), provider, budgets),
            outbox: OutboxSender::new(WebhookSender::new(transport, options)),
            default_webhook: setup.default_webhook.clone(),
        },
        snapshots: Snapshots::new(kubernetes),
        gates: GateRegistry::new("cognigy-system"),
        resources,
        metrics,
        process: ProcessSettings::new(settings, clock, seed),
    }
}
