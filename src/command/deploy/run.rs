//! One run: reconcile, wait until it is time for the next reconcile, and again, until there is a verdict and nothing is owed.

use super::ending::{Ending, found, is_done, is_final, timed_out};
use super::inputs::Inputs;
use super::journal::Journal;
use super::progress::Progress;
use super::record::Identity;
use super::result::Report;
use super::signals::Signals;
use super::store::{Store, Told};
use super::{DeployArguments, DeployError, default_journal};
use crate::command::platform::{PlatformArguments, PlatformClient};
use crate::controller::Context;
use crate::controller::clock::SystemClock;
use crate::controller::cluster::Cluster;
use crate::controller::context::{Platforms, ProcessSettings};
use crate::controller::error::Error;
use crate::controller::event_recorder::EventRecorder;
use crate::controller::gates::GateRegistry;
use crate::controller::leadership::Leadership;
use crate::controller::resources::ResourceRegistry;
use crate::controller::run::{after_failure, guarded};
use crate::controller::sessions::Sessions;
use crate::controller::snapshot::Snapshots;
use crate::controller::watched::Watched;
use crate::metrics::{Metrics, ResourceGauges};
use api::{CognigyDeployment, Digest, Finding};
use cognigy_deployments::{OwnClient, operations};
use jiff::Timestamp;
use platform::{Budgets, HttpTransportError, OfferedNamespaces, Provider as _};
use rollout::memory::OBSTACLE_CHECK_INTERVAL;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a stop waits for a reconcile in the middle of a call. The next run continues the work that it leaves.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Nobody deletes this resource.
const DELETION_GRACE: Duration = Duration::ZERO;

/// Deploys what the manifest describes.
///
/// # Errors
/// [`DeployError`] if the run could not begin. Nothing was sent.
pub(super) async fn run(arguments: DeployArguments) -> Result<Report, DeployError> {
    let began = Instant::now();
    let inputs = Inputs::read(&arguments.manifests, arguments.webhook_url.as_ref())?;
    let identity = Identity::of(&inputs.manifest);
    let path = arguments.journal.map_or_else(|| default_journal(&identity), Ok)?;
    let journal = Journal::open(&path, &identity)?;
    // Until here, a signal ends the process: reading the standard input can take for ever, and nothing has begun.
    let signals = Signals::receive().map_err(DeployError::Signals)?;
    let is_resumed = journal.record().is_some();
    let (sender, told) = mpsc::unbounded_channel();
    let store = Store::new(&inputs, journal, sender);
    let kubernetes = kube::Client::new(store.clone(), identity.namespace.as_str());
    let snapshots = Snapshots::new(kubernetes.clone());
    let desired = snapshots.desired(&inputs.deployment, Duration::ZERO).await;
    let desired = desired.map_err(|obstacle| DeployError::Snapshot(obstacle.message))?;
    let mut progress = Progress::new();
    // The validation has said most of what the snapshot is warned about.
    let is_new = |warning: &String| !inputs.warnings.iter().any(|line| line.ends_with(warning));
    for warning in inputs.warnings.iter().cloned().chain(desired.warnings().into_iter().filter(is_new)) {
        progress.note("Warning", warning);
    }
    let begin = store.begin(&inputs, arguments.retry, Timestamp::now());
    let object = begin.map_err(|source| DeployError::Write { path: path.clone(), source })?;
    let (digest, version) = (desired.target.digest, desired.target.version);
    let target = (&digest, version);
    if let Some(ending) = ended_before(&object, &digest) {
        return Ok(Report::of(&ending, &object, target, true, &path));
    }
    progress.note(
        "Journal",
        if is_resumed { format!("{} is continued", path.display()) } else { path.display().to_string() },
    );
    let context = context(arguments.platform, inputs.own_client, kubernetes, snapshots, &identity)?;
    let mut run = Run {
        store,
        context: Arc::new(context),
        digest: digest.clone(),
        progress,
        told,
        signals,
        deadline: arguments.timeout.map(|timeout| began + timeout),
        delivery_timeout: arguments.delivery_timeout,
        final_since: None,
        is_journal_failing: false,
        object,
    };
    let ending = run.until_end().await;
    run.look();
    run.progress.close();
    Ok(Report::of(&ending, &run.object, target, false, &path))
}

/// How the deployment has ended, if an earlier run has done everything.
fn ended_before(object: &CognigyDeployment, digest: &Digest) -> Option<Ending> {
    let status = object.status.as_ref();
    let attempt = status?.attempt.as_ref()?;
    let finding = found(object, digest);
    // Without a verdict, an obstacle may have been removed since.
    let is_over = attempt.digest == *digest && attempt.verdict.is_some() && !attempt.is_in_flight();
    let is_finding = !matches!(finding, Finding::Pending { .. });
    (is_over && is_finding && is_done(status)).then_some(Ending::Found(finding))
}

/// A run.
struct Run {
    store: Store,
    context: Arc<Context>,
    digest: Digest,
    progress: Progress,
    told: UnboundedReceiver<Told>,
    signals: Signals,
    /// When `--timeout` is over.
    deadline: Option<Instant>,
    delivery_timeout: Duration,
    /// When this run first saw a final finding.
    final_since: Option<Instant>,
    /// Whether the last write of the journal has failed.
    is_journal_failing: bool,
    /// The resource, as it was last looked at.
    object: CognigyDeployment,
}

impl Run {
    async fn until_end(&mut self) -> Ending {
        loop {
            let again_in = match self.reconcile().await {
                Ok(again_in) => again_in,
                Err(ending) => return ending,
            };
            if let Some(ending) = self.ending() {
                return ending;
            }
            if let Err(ending) = self.wait(again_in.unwrap_or(OBSTACLE_CHECK_INTERVAL)).await {
                return ending;
            }
        }
    }

    /// One reconcile. Returns when the next one is due.
    async fn reconcile(&mut self) -> Result<Option<Duration>, Ending> {
        self.look();
        let watched = Arc::new(Watched::Whole(Arc::new(self.object.clone())));
        let work = guarded(Arc::clone(&watched), Arc::clone(&self.context));
        let result = self.during(work, STOP_WITHIN).await?;
        self.look();
        Ok(result.unwrap_or_else(|error| {
            // The progress has said already that the journal cannot be written.
            if !matches!(error, Error::Conflict | Error::Cancelled) && !self.is_journal_failing {
                self.progress.note("Error", format!("{error}; trying again"));
            }
            after_failure(&watched, &error, &self.context)
        }))
    }

    /// Waits until it is time for the next reconcile.
    async fn wait(&mut self, time: Duration) -> Result<(), Ending> {
        let (context, until) = (Arc::clone(&self.context), Instant::now() + time);
        let next = async {
            tokio::select! {
                () = sleep_until(until) => {}
                _ = context.resources.requeued() => {}
            }
        };
        self.during(next, Duration::ZERO).await
    }

    /// Shows the progress while something else goes on. At the end of the time, or after a signal, that gets so much time to
    /// end.
    async fn during<T>(&mut self, work: impl Future<Output = T>, to_end: Duration) -> Result<T, Ending> {
        let mut work = pin!(work);
        let until = self.deadlines().min();
        let ending = loop {
            tokio::select! {
                biased;
                Some(told) = self.told.recv() => self.show(&told),
                done = &mut work => return Ok(done),
                interruption = self.signals.first() => break Some(Ending::Interrupted(interruption)),
                () = at(until) => break None,
            }
        };
        // What waits to be sent is not sent any more. What was sent may still be answered.
        self.context.resources.cancel_all();
        let _ = timeout(to_end, work).await;
        self.look();
        Err(ending.unwrap_or_else(|| self.out_of_time()))
    }

    /// The ends of both time limits, as far as they run.
    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let delivery = self.final_since.map(|since| since + self.delivery_timeout);
        self.deadline.into_iter().chain(delivery)
    }

    /// How the run ends, if it does.
    fn ending(&mut self) -> Option<Ending> {
        let (finding, status) = (found(&self.object, &self.digest), self.object.status.as_ref());
        if !is_final(&finding, status, Timestamp::now()) {
            self.final_since = None;
            return None;
        }
        let since = *self.final_since.get_or_insert_with(Instant::now);
        let is_over = is_done(status) || since.elapsed() >= self.delivery_timeout;
        is_over.then_some(Ending::Found(finding))
    }

    fn out_of_time(&self) -> Ending {
        match timed_out(found(&self.object, &self.digest), self.object.status.as_ref()) {
            // The disk is to blame, and not Cognigy.AI.
            Ending::NotReached if self.is_journal_failing => Ending::TimedOut,
            ending => ending,
        }
    }

    fn show(&mut self, told: &Told) {
        match told {
            Told::NotWritten(_) => self.is_journal_failing = true,
            Told::Status { .. } => self.is_journal_failing = false,
            Told::Event { .. } => {}
        }
        self.progress.show(told);
    }

    /// Shows what was told until now, and looks at the resource.
    fn look(&mut self) {
        while let Ok(told) = self.told.try_recv() {
            self.show(&told);
        }
        if let Some(object) = self.store.object() {
            self.object = object;
        }
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

fn context(
    arguments: PlatformArguments,
    own_client: Option<OwnClient>,
    kubernetes: kube::Client,
    snapshots: Snapshots,
    identity: &Identity,
) -> Result<Context, HttpTransportError> {
    // The lock on the journal makes this process the only one, as long as it lives.
    let leadership = Leadership::unshared();
    let budgets = Arc::new(Budgets::default());
    let resources = Arc::new(ResourceRegistry::default());
    let gauges: Arc<dyn ResourceGauges> = resources.clone();
    let metrics = Arc::new(Metrics::new(Arc::clone(&budgets), &operations::ALL, gauges));
    let namespaces = OfferedNamespaces::new([identity.namespace.clone()]);
    let PlatformClient { provider, outbox, seed } =
        arguments.client(own_client, namespaces, &budgets, &metrics, leadership.clone())?;
    let settings = provider.settings(DELETION_GRACE);
    let events = EventRecorder::new(kubernetes.clone(), None);
    let cluster = Cluster::new(kubernetes.clone(), events, leadership);
    // There is nothing to list, so the first list is complete.
    cluster.watch(Vec::new());
    Ok(Context {
        cluster,
        platforms: Platforms {
            sessions: Sessions::new(kubernetes, Arc::new(provider), budgets),
            outbox,
            // The webhook of the environment is among the inputs.
            default_webhook: None,
        },
        snapshots,
        gates: GateRegistry::default(),
        resources,
        metrics,
        process: ProcessSettings::new(settings, Arc::new(SystemClock::start()), seed),
    })
}
