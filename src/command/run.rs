//! `cognigy-operator run`: builds the operator from its flags, runs it and stops it.

pub use super::settings::RunArguments;

use super::connection::{ConnectionError, connect};
use super::environment::variable;
use super::logging;
use super::own_client::{self, OwnClientError};
use super::own_webhook::{NoOwnWebhook, own_webhook};
use super::platform::PlatformClient;
use super::settings::ElectionArguments;
use crate::controller::clock::SystemClock;
use crate::controller::cluster::Cluster;
use crate::controller::context::{Platforms, ProcessSettings};
use crate::controller::event_recorder::EventRecorder;
use crate::controller::gates::GateRegistry;
use crate::controller::leadership::{Elector, Leadership, TermsError};
use crate::controller::resources::ResourceRegistry;
use crate::controller::run::Scope;
use crate::controller::sessions::Sessions;
use crate::controller::snapshot::Snapshots;
use crate::controller::watch::Watches;
use crate::controller::{self, Context};
use crate::metrics::{Metrics, ResourceGauges};
use crate::server::probes::{self, Readiness};
use cognigy_deployments::{OwnClient, operations};
use platform::{Budgets, HttpTransportError, OfferedNamespaces, Provider};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a stop waits for reconciles in the middle of a call. The next process continues the work that they leave.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The name of the Lease.
const LEASE: &str = "cognigy-operator";

/// The operator did not start, or it ended. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The connection to the API server cannot be made.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The operator cannot listen on the address for metrics.
    #[error("cannot listen on {address} for metrics: {source}; choose another one with --metrics-addr")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] HttpTransportError),
    /// The operator's own credentials are missing or incomplete.
    #[error(transparent)]
    OwnClient(#[from] OwnClientError),
    /// Namespaces may use a webhook that the operator does not have.
    #[error(transparent)]
    OwnWebhook(#[from] NoOwnWebhook),
    /// The durations of the election do not fit each other.
    #[error("the flags of leader election do not fit each other: {0}")]
    Terms(#[from] TermsError),
    /// The lease was lost. Another process may lead now, so this one must not act any more. Start it again.
    #[error("the lease was lost, and another process may lead now; start this process again")]
    LeaseLost,
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    /// The server for metrics has ended.
    #[error("the server for metrics has ended: {0}")]
    Server(#[source] tokio::task::JoinError),
}

/// Runs the operator until it receives a signal to stop.
///
/// # Errors
/// [`RunError`] if the operator cannot start, lost its lease, or lost its server for metrics.
pub async fn run(arguments: RunArguments) -> Result<(), RunError> {
    let log = logging::start(arguments.log_format);
    let ended = operate(arguments).await;
    log.end().await;
    ended
}

async fn operate(arguments: RunArguments) -> Result<(), RunError> {
    let own_client = own_client::from_environment(&arguments.default_credentials_namespaces)?;
    let connection = connect(arguments.kubeconfig.as_deref()).await?;
    let watches =
        Watches::new(connection.watches.clone(), &connection.url).with_relist_interval(arguments.relist_interval);
    let address = arguments.metrics_addr;
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    // If port 0 was given, the log shows the port that the system chose.
    let address = listener.local_addr().map_err(|source| RunError::Listen { address, source })?;
    let budgets = Arc::new(Budgets::default());
    let resources = Arc::new(ResourceRegistry::new(arguments.resource_metrics));
    let gauges: Arc<dyn ResourceGauges> = resources.clone();
    let metrics = Arc::new(Metrics::new(Arc::clone(&budgets), &operations::ALL, gauges));
    let readiness = Readiness::default();
    let scope = scope(&arguments.namespaces);
    let elector = elector(&arguments.election, &connection.calls)?;
    let leadership = elector.as_ref().map_or_else(Leadership::unshared, Elector::leadership);
    let calls = connection.calls.clone();
    let shared = Shared { metrics: Arc::clone(&metrics), budgets, resources, leadership };
    let context = Arc::new(context(arguments, own_client, calls, shared)?);
    let stop = stop_signal()?;
    // The server runs in its own task. Otherwise each wake of the operator would also poll the server.
    let mut serving = JoinSet::new();
    serving.spawn(probes::serve(listener, Arc::clone(&metrics), readiness.clone()));
    let operator = async {
        tokio::select! {
            () = connection.until_served() => {}
            () = stop.cancelled() => return Ok(()),
        }
        tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, ?scope, "cognigy-operator is running");
        match &elector {
            None => {
                act(context, watches, scope, &metrics, readiness, stop).await;
                Ok(())
            }
            Some(elector) => act_while_leading(elector, context, watches, scope, &metrics, readiness, stop).await,
        }
    };
    tokio::select! {
        ended = operator => ended?,
        Some(served) = serving.join_next() => {
            return served.map_err(RunError::Server);
        }
    }
    tracing::info!("cognigy-operator has stopped");
    Ok(())
}

fn scope(namespaces: &[String]) -> Scope {
    let named: BTreeSet<String> = namespaces.iter().cloned().collect();
    if named.is_empty() { Scope::Cluster } else { Scope::Namespaces(named) }
}

fn elector(election: &ElectionArguments, kubernetes: &kube::Client) -> Result<Option<Elector>, TermsError> {
    let terms = election.terms()?;
    if !election.leader_elect {
        return Ok(None);
    }
    let namespace = election.leader_election_namespace.as_deref().unwrap_or_else(|| kubernetes.default_namespace());
    // The pod's name alone is not enough: a restarted container would take the lease of its predecessor for its own.
    let pod = variable("POD_NAME").unwrap_or_else(|| format!("process-{}", std::process::id()));
    let identity = format!("{pod}_{:016x}", fastrand::u64(..));
    Ok(Some(Elector::new(kubernetes.clone(), namespace, LEASE, identity, terms)))
}

/// Waits for the lease, acts while the process holds it, and releases it at the end.
async fn act_while_leading(
    elector: &Elector,
    context: Arc<Context>,
    watches: Watches,
    scope: Scope,
    metrics: &Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), RunError> {
    // A replica that waits for the lease is ready: it can do no more until it leads.
    readiness.declare();
    tracing::info!("waiting for the lease");
    if !elector.acquire(&stop).await {
        return Ok(());
    }
    tracing::info!("this process leads");
    // The lease is renewed in its own task, also while a long list of resources is being read. The task ends with the
    // set.
    let mut keeping = JoinSet::new();
    let keeper = elector.clone();
    keeping.spawn(async move { keeper.keep().await });
    tokio::select! {
        () = act(context, watches, scope, metrics, readiness, stop) => {}
        _ = keeping.join_next() => return Err(RunError::LeaseLost),
    }
    keeping.shutdown().await;
    elector.release().await;
    Ok(())
}

/// Acts until `stop` is cancelled. Then it waits a few seconds for reconciles in the middle of a call.
async fn act(
    context: Arc<Context>,
    watches: Watches,
    scope: Scope,
    metrics: &Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) {
    metrics.leads(true);
    tokio::select! {
        () = controller::run(context, watches, scope, || readiness.declare(), stop.clone()) => {}
        () = out_of_time(stop) => tracing::warn!("stopping in the middle of a call; the next process continues from the recorded status"),
    }
    metrics.leads(false);
}

/// The parts of the context that the server and the election also use.
struct Shared {
    metrics: Arc<Metrics>,
    budgets: Arc<Budgets>,
    resources: Arc<ResourceRegistry>,
    leadership: Leadership,
}

fn context(
    arguments: RunArguments,
    own_client: Option<OwnClient>,
    kubernetes: kube::Client,
    Shared { metrics, budgets, resources, leadership }: Shared,
) -> Result<Context, RunError> {
    let default_webhook =
        own_webhook(arguments.webhook_url, arguments.default_webhook_namespaces, &arguments.platform.base_url)?;
    let namespaces = OfferedNamespaces::new(arguments.default_credentials_namespaces);
    let PlatformClient { provider, outbox, seed } =
        arguments.platform.client(own_client, namespaces, &budgets, &metrics, leadership.clone())?;
    let settings = provider.settings(arguments.deletion_grace);
    let events = EventRecorder::new(kubernetes.clone(), variable("POD_NAME"));
    Ok(Context {
        platforms: Platforms {
            sessions: Sessions::new(kubernetes.clone(), Arc::new(provider), budgets),
            outbox,
            default_webhook,
        },
        snapshots: Snapshots::new(kubernetes.clone()),
        gates: GateRegistry::new(kubernetes.default_namespace()),
        resources,
        metrics,
        process: ProcessSettings::new(settings, Arc::new(SystemClock::start()), seed),
        cluster: Cluster::new(kubernetes, events, leadership),
    })
}

/// Cancelled by SIGTERM or Ctrl-C.
fn stop_signal() -> Result<CancellationToken, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("received a signal to stop");
        cancelled.cancel();
    });
    Ok(stop)
}

async fn out_of_time(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_WITHIN).await;
}
