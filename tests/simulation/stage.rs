//! Everything around the operator in one run: the API server, the platform, users, and the story of the run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::status::Step;
use bytes::Bytes;
use cognigy_operator::metrics::Metrics;
use http::Request;
use serde::Deserialize;
use serde_json::Value;
use simulator::{Call, RequestFilter, World};
use tokio::sync::{Notify, mpsc};

use super::fault::{Fault, Io, Plan};
use super::faults;
use super::kubernetes::{Answer, Kubernetes, ObjectName};
use super::scenario::{Action, Cue, Planned};
use super::story::{Author, Entry, Exchange, Happening, ProcessId, is_deployment};
use super::time::{ClockError, VirtualTime};

/// A task for the run's director.
pub enum Signal {
    /// The process crashes. The next one starts after `next_in`, from a list that may be old.
    Crash { process: ProcessId, next_in: Duration, list: ListAge },
    /// The process is paused.
    Pause(ProcessId),
    /// Something happens later, whether or not a process runs.
    Later { after: Duration, what: Box<dyn FnOnce(&mut Stage) + Send> },
    /// The current operator crashes.
    KillOperator { next_in: Duration },
    /// The process has nothing to do but wait.
    AtRest(ProcessId),
}

/// The age of the list that a process starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAge {
    /// The current state.
    Current,
    /// The state at this version, for a while.
    AsOf(u64),
}

/// How the operator loses its watch, and how the watch continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLoss {
    /// How long the watch delivers nothing, because the API server is down or the connection is dead.
    pub silent: Duration,
    pub then: WatchReturn,
}

/// How a lost watch continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchReturn {
    /// It continues from its last version.
    Resumes,
    /// It starts with a list that is `versions_old` versions old. The end of the list comes `ends_after` its objects,
    /// and the changes since then are delivered `stays_behind` later.
    Lists { versions_old: u64, ends_after: Duration, stays_behind: Duration },
}

/// Everything around the operator.
pub struct Stage {
    pub time: VirtualTime,
    pub clock_error: ClockError,
    pub kubernetes: Kubernetes,
    pub platform: World,
    /// The call that gets no connection to the platform.
    pub unreachable: Option<Call>,
    pub story: Vec<Entry>,
    /// The metrics of each process.
    pub metrics: Vec<Arc<Metrics>>,
    /// Notified of every change of an object.
    pub changed: Arc<Notify>,
    /// How often the watch was lost, and the last loss.
    pub watch_losses: (u32, Option<WatchLoss>),
    plan: Plan,
    requests: usize,
    /// The requests of the operator, with their kinds. The kind decides which faults can hit a request.
    pub ios: Vec<Io>,
    noted_versions: u64,
    cues: Vec<Planned>,
    received: BTreeMap<Call, u32>,
    signals: mpsc::UnboundedSender<Signal>,
}

/// The stage, shared between the operator's requests and the director.
#[derive(Clone)]
pub struct SharedStage(Arc<Mutex<Stage>>);

impl SharedStage {
    pub fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    pub fn shared(
        platform: World,
        cues: Vec<Planned>,
        plan: Plan,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> SharedStage {
        SharedStage(Arc::new(Mutex::new(Self {
            time: VirtualTime::begin(),
            clock_error: ClockError::default(),
            kubernetes: Kubernetes::default(),
            platform,
            unreachable: None,
            story: Vec::new(),
            metrics: Vec::new(),
            changed: Arc::new(Notify::new()),
            watch_losses: (0, None),
            plan,
            requests: 0,
            ios: Vec::new(),
            noted_versions: 0,
            cues,
            received: BTreeMap::new(),
            signals,
        })))
    }

    pub fn note(&mut self, what: Happening) {
        self.story.push(Entry { at: self.time.passed(), what });
    }

    pub fn signal(&self, signal: Signal) {
        // The director lives as long as the run. After the run the signal does not matter.
        let _ = self.signals.send(signal);
    }

    /// Records the next request of the operator, and returns the fault that hits it.
    pub fn next_request(&mut self, process: ProcessId, io: Io) -> Option<Fault> {
        let index = self.requests;
        self.requests += 1;
        let fault = self.plan.get(&index).copied().filter(|fault| fault.can_hit(&io));
        self.note(Happening::Io { process, index, what: io.what.clone(), fault });
        self.ios.push(io);
        fault
    }

    /// Whether a request to this path of the platform gets no connection.
    pub fn is_unreachable(&self, path: &str) -> bool {
        self.unreachable.is_some_and(|call| faults::is(call, path))
    }

    /// How many requests the operator has made.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// The API server answers the operator.
    pub fn ask_kubernetes(&mut self, process: ProcessId, request: &Request<Bytes>) -> Answer {
        let now = self.time.wall();
        let answer = self.kubernetes.handle(now, request);
        if request.uri().path().contains("/events") && answer.status < 300 {
            self.note_event(&answer.body);
        }
        self.note_changes(Author::Operator(process));
        answer
    }

    /// The platform answers the operator. `Happening::AnswerReceived` records later that the operator received the answer.
    pub fn ask_platform(&mut self, request: &Request<Bytes>) -> (u64, simulator::Reply) {
        let now = self.time.wall();
        self.platform.advance(now);
        let reply = self.platform.handle(now, request);
        let Some(record) = self.platform.requests(&RequestFilter::default()).last() else { return (0, reply) };
        let environment = record.environment_id.as_ref();
        let deployed = environment.and_then(|id| self.platform.environments().find(|(other, _)| *other == id));
        let (number, call) = (record.sequence, record.call);
        let uri = request.uri();
        let server = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
        let exchange = Exchange {
            number,
            server,
            path: uri.path().to_owned(),
            call,
            body: record.body.clone().unwrap_or_default(),
            body_sha256: record.body_sha256.clone(),
            key: record.idempotency_key.clone(),
            job: record.job_id.clone(),
            status: reply.response.status().as_u16(),
            answer: serde_json::from_slice(reply.response.body()).unwrap_or_default(),
            delivery: reply.delivery.clone(),
            repeated: record.repeated,
            deployed: deployed.and_then(|(_, environment)| environment.deployed().job_id.clone()),
            violations: record.violations.clone(),
        };
        self.note(Happening::RequestReceived(Box::new(exchange)));
        if let Some(call) = call {
            let count = self.received.entry(call).or_default();
            *count += 1;
            let count = *count;
            self.cue(|cue| matches!(cue, Cue::RequestReceived(of, nth) if *of == call && *nth == count));
        }
        (number, reply)
    }

    /// Performs an action, and records what it changed.
    pub fn act(&mut self, action: &Action) {
        self.note(Happening::Acted(action.name.clone()));
        (action.act)(self);
        self.note_changes(Author::SomebodyElse);
    }

    /// Another client writes the resource.
    pub fn touch(&mut self, name: &ObjectName) {
        let stamp = self.kubernetes.version().to_string();
        self.kubernetes.edit(name, |object| object["metadata"]["labels"]["touched"] = Value::String(stamp));
        self.note_changes(Author::SomebodyElse);
    }

    /// The operator's watch is lost.
    pub fn lose_watch(&mut self, loss: WatchLoss) {
        self.watch_losses = (self.watch_losses.0 + 1, Some(loss));
        self.changed.notify_waiters();
    }

    fn note_event(&mut self, event: &Value) {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let at = event["eventTime"].as_str().and_then(|time| time.parse().ok());
        let announced = Happening::EventPublished {
            at,
            warning: text("type") == "Warning",
            reason: text("reason"),
            note: text("note"),
        };
        self.note(announced);
    }

    fn note_changes(&mut self, by: Author) {
        let changes = self.kubernetes.changes_since(self.noted_versions).to_vec();
        self.noted_versions = self.kubernetes.version();
        if !changes.is_empty() {
            self.changed.notify_waiters();
        }
        for change in changes.into_iter().filter(|change| change.name.plural != "events") {
            let step =
                change.after.as_ref().and_then(|after| Step::deserialize(&after["status"]["attempt"]["step"]).ok());
            let is_by_operator = matches!(by, Author::Operator(_)) && is_deployment(&change.name);
            let is_gone = is_deployment(&change.name) && change.after.is_none();
            self.note(Happening::Changed { by, name: change.name, after: change.after });
            if let Some(step) = step.filter(|_| is_by_operator) {
                self.cue(|cue| matches!(cue, Cue::Written(wanted) if step == *wanted));
            }
            if is_gone {
                self.cue(|cue| *cue == Cue::Gone);
            }
        }
    }

    /// Performs the actions for this cue.
    fn cue(&mut self, is_it: impl Fn(&Cue) -> bool) {
        let (due, waiting) = std::mem::take(&mut self.cues).into_iter().partition(|planned| is_it(&planned.cue));
        self.cues = waiting;
        for Planned { delay, action, .. } in due {
            if delay.is_zero() {
                self.act(&action);
            } else {
                self.signal(Signal::Later { after: delay, what: Box::new(move |stage| stage.act(&action)) });
            }
        }
    }

    /// Plans an action for a later time.
    pub fn take_timed(&mut self) -> Vec<Planned> {
        let (timed, cued) =
            std::mem::take(&mut self.cues).into_iter().partition(|planned| matches!(planned.cue, Cue::Start));
        self.cues = cued;
        timed
    }
}
