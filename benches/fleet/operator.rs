//! The whole operator on its own thread in virtual time: its controller, its client of Cognigy.AI, and real sockets.

use crate::Failure;
use crate::kubernetes::{self, Counter};
use crate::network::Network;
use crate::time::{ThreadClock, Time};
use cognigy_deployments::{CognigyDeployments, Defaults, operations};
use cognigy_operator::controller::clock::Clock;
use cognigy_operator::controller::cluster::Cluster;
use cognigy_operator::controller::context::{Platforms, ProcessSettings};
use cognigy_operator::controller::event_recorder::EventRecorder;
use cognigy_operator::controller::gates::GateRegistry;
use cognigy_operator::controller::leadership::Leadership;
use cognigy_operator::controller::resources::ResourceRegistry;
use cognigy_operator::controller::run::Scope;
use cognigy_operator::controller::sessions::Sessions;
use cognigy_operator::controller::snapshot::Snapshots;
use cognigy_operator::controller::watch::Watches;
use cognigy_operator::controller::{self, Context};
use cognigy_operator::delivery::OutboxSender;
use cognigy_operator::metrics::{Metrics, ResourceGauges};
use jiff::{Timestamp, Unit};
use platform::{
    Budgets, EgressPolicy, EgressRule, ExchangeOptions, HttpOptions, HttpTransport, Provider, SubmitRules, Transport,
    WallClock, WebhookSender,
};
use rollout::Now;
use rollout::facts::SubmitIdempotency;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The surroundings of an operator.
#[derive(Clone)]
pub struct Place {
    /// The API server.
    pub kubeconfig: PathBuf,
    /// The virtual time.
    pub time: Time,
    /// The wall-clock time at the start of virtual time.
    pub epoch: Timestamp,
    /// The seed of the delays of the network.
    pub seed: u64,
}

impl Place {
    /// The network to Cognigy.AI.
    ///
    /// # Errors
    /// If no transport can be made.
    pub fn network(&self) -> Result<Arc<dyn Transport>, Failure> {
        let http = HttpOptions { policy: policy()?, ..HttpOptions::default() };
        Ok(Arc::new(Network::new(Arc::new(HttpTransport::new(&http)?), self.time.clone(), self.seed)))
    }
}

/// A running operator. It ends when this value is dropped.
pub struct Running {
    /// Counts its requests to the API server.
    pub counter: Counter,
    /// The processor time of its thread, which also drives its clock.
    pub processor: ThreadClock,
    _stop: DropGuard,
}

/// Which operator is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This operator.
    Cognigy,
    /// An ordinary operator, to compare with.
    Ordinary,
}

impl Kind {
    /// Starts an operator. Virtual time need not have started yet.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start(self, place: &Place) -> Result<Running, Failure> {
        let counter = Counter::default();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (ready, is_ready) = oneshot::channel();
        let (own, counts) = (place.clone(), counter.clone());
        place.time.spawn("operator", move || async move {
            match self.prepare(&own, &counts, stopped).await {
                // If nobody receives the result, the run is already over.
                Ok((work, processor)) => {
                    if ready.send(Ok(processor)).is_ok() {
                        work.await;
                    }
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        let processor = is_ready.await.map_err(|_| Failure::Ended("the operator"))??;
        Ok(Running { counter, processor, _stop: stop.drop_guard() })
    }

    async fn prepare(
        self,
        place: &Place,
        counter: &Counter,
        stopped: CancellationToken,
    ) -> Result<(Work, ThreadClock), Failure> {
        let client = kubernetes::connect(&place.kubeconfig, &place.time, counter).await?;
        let work = match self {
            Self::Cognigy => run(place, client, stopped)?,
            Self::Ordinary => crate::ordinary::run(place, client, stopped).await?,
        };
        Ok((work, ThreadClock::of_this_thread()?))
    }
}

/// The work of an operator until it is stopped.
pub type Work = futures::future::BoxFuture<'static, ()>;

fn run(place: &Place, client: kube::Client, stopped: CancellationToken) -> Result<Work, Failure> {
    let watches = Watches::new(client.clone(), "the bench's API server");
    let context = Arc::new(context(place, client)?);
    Ok(Box::pin(async move {
        let over = stopped.clone();
        tokio::select! {
            () = controller::run(context, watches, Scope::Cluster, || {}, stopped) => {}
            () = over.cancelled() => {}
        }
    }))
}

/// The wall clock of virtual time.
struct WallOf {
    epoch: Timestamp,
    started: tokio::time::Instant,
}

impl Clock for WallOf {
    fn now(&self) -> Now {
        let uptime = self.started.elapsed();
        let wall = self.epoch.checked_add(uptime).unwrap_or(Timestamp::MAX);
        Now { wall: wall.round(Unit::Microsecond).unwrap_or(wall), uptime }
    }
}

fn policy() -> Result<EgressPolicy, Failure> {
    let local: EgressRule = "127.0.0.1".parse()?;
    Ok(EgressPolicy::new(vec![local]))
}

/// The same context as `cognigy-operator run` builds, with the network and the clock of this place.
fn context(place: &Place, kubernetes: kube::Client) -> Result<Context, Failure> {
    let transport = place.network()?;
    let clock = Arc::new(WallOf { epoch: place.epoch, started: tokio::time::Instant::now() });
    let budgets = Arc::new(Budgets::default());
    let resources = Arc::new(ResourceRegistry::default());
    let gauges: Arc<dyn ResourceGauges> = resources.clone();
    let metrics = Arc::new(Metrics::new(Arc::clone(&budgets), &operations::ALL, gauges));
    let wall = Arc::clone(&clock);
    let wall_clock: WallClock = Arc::new(move || wall.now().wall);
    let options = ExchangeOptions { observer: Some(metrics.clone()), wall_clock, ..ExchangeOptions::new(policy()?) };
    let shared = Arc::clone(&transport);
    let transports = Arc::new(move |_: Option<&str>| Ok(Arc::clone(&shared)));
    let rules = SubmitRules { idempotency: SubmitIdempotency::Supported, key_ttl: Duration::from_secs(24 * 3600) };
    let provider = CognigyDeployments::new(
        Defaults::default(),
        transports,
        options.clone(),
        rules,
        Arc::clone(&budgets),
        place.seed,
    );
    let settings = provider.settings(Duration::from_secs(15 * 60));
    let events = EventRecorder::new(kubernetes.clone(), None);
    Ok(Context {
        platforms: Platforms {
            sessions: Sessions::new(kubernetes.clone(), Arc::new(provider), budgets),
            outbox: OutboxSender::new(WebhookSender::new(transport, options)),
            default_webhook: None,
        },
        snapshots: Snapshots::new(kubernetes.clone()),
        gates: GateRegistry::default(),
        resources,
        metrics,
        process: ProcessSettings::new(settings, clock, place.seed),
        cluster: Cluster::new(kubernetes, events, Leadership::unshared()),
    })
}
