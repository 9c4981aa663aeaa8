//! Runs one story: starts processes, performs the users' actions and the faults, and ends when everything is at rest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use simulator::{Scenario as PlatformScenario, World};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fault::{Io, LEASE, PAUSE, Plan};
use super::gate::Gate;
use super::kubernetes::Kubernetes;
use super::log::Log;
use super::process::{Process, Setup};
use super::scenario::Scenario;
use super::stage::{ListAge, SharedStage, Signal, Stage};
use super::story::{Entry, Happening, ProcessId};

/// A run that has ended.
pub struct Run {
    pub story: Vec<Entry>,
    /// The operator's requests, in order.
    pub ios: Vec<Io>,
    /// The API server at the end.
    pub kubernetes: Kubernetes,
    /// The platform at the end.
    pub platform: World,
    /// The operator's log.
    pub log: String,
    /// The operator's log at trace level, if the run has no faults.
    pub trace: Option<String>,
    /// The metrics of each process at the end.
    pub metrics: Vec<String>,
    /// Whether the operator came to rest. Otherwise it was stopped at the end of the scenario.
    pub rests: bool,
}

/// The maximum number of requests in a run. It stops an operator that never rests.
const MAX_REQUESTS: usize = 6000;

/// How long the platform continues after the end of the run.
const AFTERWARDS: Duration = Duration::from_secs(3600);

/// Runs a scenario with faults.
pub fn run(scenario: &Scenario, plan: &Plan) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let log = Log::new(plan.is_empty());
    let run = tracing::subscriber::with_default(log.subscriber(), || match runtime {
        Ok(runtime) => runtime.block_on(async { Director::new(scenario, plan).direct().await }),
        Err(error) => panic!("no runtime: {error}"),
    });
    Run { log: log.text(), trace: log.trace(), ..run }
}

struct Actor {
    id: ProcessId,
    future: Pin<Box<dyn Future<Output = ()>>>,
    retires: Arc<AtomicBool>,
    stands_still: bool,
    /// The version of all objects when it came to rest: only a change requeues a resource.
    rested_at: Option<u64>,
}

enum Item {
    Start(ListAge),
    Resume(ProcessId),
    Do(Box<dyn FnOnce(&mut Stage) + Send>),
}

struct Director<'s> {
    scenario: &'s Scenario,
    setup: Setup,
    stage: SharedStage,
    signals: mpsc::UnboundedReceiver<Signal>,
    /// The planned items, by time and then in the order of planning.
    agenda: BTreeMap<(Instant, usize), Item>,
    planned: usize,
    actors: Vec<Actor>,
    started: u32,
}

enum Turn {
    Signal(Signal),
    Item(Item),
    End,
}

impl<'s> Director<'s> {
    fn new(scenario: &'s Scenario, plan: &Plan) -> Self {
        let platform = match PlatformScenario::parse(&scenario.platform) {
            Ok(platform) => World::new(platform),
            Err(error) => panic!("{}: {error}", scenario.name),
        };
        let (sender, signals) = mpsc::unbounded_channel();
        let stage = Stage::shared(platform, scenario.planned.clone(), plan.clone(), sender);
        let mut director = Self {
            scenario,
            setup: scenario.setup.clone(),
            stage,
            signals,
            agenda: BTreeMap::new(),
            planned: 0,
            actors: Vec::new(),
            started: 0,
        };
        director.plan(Duration::ZERO, Item::Start(ListAge::Current));
        let timed = director.stage.lock().take_timed();
        for planned in timed {
            director.plan(planned.delay, Item::Do(Box::new(move |stage| stage.act(&planned.action))));
        }
        director
    }

    fn plan(&mut self, after: Duration, item: Item) {
        self.planned += 1;
        self.agenda.insert((Instant::now() + after, self.planned), item);
    }

    async fn direct(mut self) -> Run {
        let end = Instant::now() + self.scenario.horizon;
        let rests = loop {
            self.drain();
            if self.is_over() {
                break true;
            }
            if self.stage.lock().requests() > MAX_REQUESTS {
                break false;
            }
            match self.turn(end).await {
                Turn::End => break false,
                Turn::Item(item) => self.carry_out(item),
                Turn::Signal(signal) => self.handle_signal(signal),
            }
        };
        let mut stage = self.stage.lock();
        // Jobs that are running at the platform end, also without an operator.
        let later = stage.time.wall() + AFTERWARDS;
        stage.platform.advance(later);
        Run {
            story: std::mem::take(&mut stage.story),
            ios: std::mem::take(&mut stage.ios),
            kubernetes: std::mem::take(&mut stage.kubernetes),
            platform: stage.platform.clone(),
            log: String::new(),
            trace: None,
            metrics: stage.metrics.iter().filter_map(|metrics| metrics.encode().ok()).collect(),
            rests,
        }
    }

    fn is_over(&self) -> bool {
        let stage = self.stage.lock();
        let now = stage.kubernetes.version();
        self.agenda.is_empty()
            && !self.actors.is_empty()
            && self.actors.iter().all(|actor| actor.rested_at == Some(now))
    }

    /// Waits for the next task while the processes run.
    async fn turn(&mut self, end: Instant) -> Turn {
        let next = self.agenda.keys().next().map(|(at, _)| *at).filter(|at| *at < end).unwrap_or(end);
        let signals = RefCell::new(&mut self.signals);
        let actors = &mut self.actors;
        let processes = poll_fn(|context| {
            for actor in actors.iter_mut().filter(|actor| !actor.stands_still) {
                // A process never ends by itself.
                let _ = actor.future.as_mut().poll(context);
                // A pause or a crash is handled before the next process is polled.
                if let Ok(signal) = signals.borrow_mut().try_recv() {
                    return Poll::Ready(Turn::Signal(signal));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            turn = processes => turn,
            () = tokio::time::sleep_until(next) => match self.agenda.first_entry() {
                Some(entry) if entry.key().0 <= next && next < end => Turn::Item(entry.remove()),
                _ => Turn::End,
            },
        }
    }

    fn carry_out(&mut self, item: Item) {
        match item {
            Item::Start(list) => self.start(list),
            Item::Do(what) => what(&mut self.stage.lock()),
            Item::Resume(id) => {
                if let Some(actor) = self.actors.iter_mut().find(|actor| actor.id == id) {
                    actor.stands_still = false;
                    self.stage.lock().note(Happening::Resumed(id));
                }
            }
        }
    }

    /// Handles the signals that did not come from a process.
    fn drain(&mut self) {
        while let Ok(signal) = self.signals.try_recv() {
            self.handle_signal(signal);
        }
    }

    fn handle_signal(&mut self, signal: Signal) {
        match signal {
            Signal::AtRest(id) => {
                let stage = self.stage.lock();
                let now = stage.kubernetes.version();
                self.actors.iter_mut().filter(|actor| actor.id == id).for_each(|actor| actor.rested_at = Some(now));
            }
            Signal::Crash { process, next_in, list } => self.crash(process, next_in, list),
            Signal::KillOperator { next_in } => {
                let operator = self.actors.iter().find(|actor| !actor.retires.load(Ordering::Relaxed));
                if let Some(id) = operator.map(|actor| actor.id) {
                    self.crash(id, next_in, ListAge::Current);
                }
            }
            Signal::Pause(id) => {
                let Some(actor) = self.actors.iter_mut().find(|actor| actor.id == id) else { return };
                actor.stands_still = true;
                self.stage.lock().note(Happening::Paused(id));
                // A process that was already replaced is not replaced again.
                if !actor.retires.swap(true, Ordering::Relaxed) {
                    self.plan(LEASE, Item::Start(ListAge::Current));
                }
                self.plan(PAUSE, Item::Resume(id));
            }
            Signal::Later { after, what } => self.plan(after, Item::Do(what)),
        }
    }

    fn start(&mut self, list: ListAge) {
        self.started += 1;
        let id = ProcessId(self.started);
        let retires = Arc::new(AtomicBool::new(false));
        let gate = Gate { stage: self.stage.clone(), process: id };
        let process = Process::start(gate, &self.setup, list, Arc::clone(&retires));
        self.actors.push(Actor { id, future: Box::pin(process.run()), retires, stands_still: false, rested_at: None });
    }

    /// Ends the process and its memory. If it was already replaced, no other one starts.
    fn crash(&mut self, id: ProcessId, next_in: Duration, list: ListAge) {
        let Some(place) = self.actors.iter().position(|actor| actor.id == id) else { return };
        let gone = self.actors.remove(place);
        self.stage.lock().note(Happening::Crashed(id));
        if !gone.retires.load(Ordering::Relaxed) {
            self.plan(next_in, Item::Start(list));
        }
    }
}
