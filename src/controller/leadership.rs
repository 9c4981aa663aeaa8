//! One operator acts at a time.
//!
//! Leadership is a Lease. Its holder renews it every few seconds, and stops acting by its own clock, which no adjustment
//! moves, before anybody else may take it: fail-stop. A candidate takes a lease over only when it has seen it unchanged
//! for the lease's whole duration on its own clock, so that no two clocks are ever compared. Every write to the Lease is
//! guarded by its resource version.
//!
//! Leadership saves work and keeps events tidy; what keeps a rollout from being submitted twice are the guarded intent
//! and the key, which hold between two leaders as well.

use super::error::{Error, call};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long a lease that is not renewed keeps others away.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after the start of its last renewal the holder may act. What lies between this and the duration is the margin
/// for a call that is under way.
pub const ACT_WITHIN: Duration = Duration::from_secs(10);
/// How often the holder renews, and a candidate looks.
pub const RETRY_EVERY: Duration = Duration::from_secs(2);

/// Until when this process may act.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
    is_elected: bool,
}

impl Leadership {
    /// A process that is the only one.
    #[must_use]
    pub fn unshared() -> Self {
        Self { until: Arc::default(), is_elected: false }
    }

    fn elected() -> Self {
        Self { until: Arc::default(), is_elected: true }
    }

    /// Whether this process may act now.
    #[must_use]
    pub fn may_act(&self) -> bool {
        !self.is_elected || self.lock().is_some_and(|until| Instant::now() < until)
    }

    fn extend(&self, asked_at: Instant) {
        *self.lock() = Some(asked_at + ACT_WITHIN);
    }

    fn give_up(&self) {
        *self.lock() = None;
    }

    /// The end of it, as far as it is known now.
    fn until(&self) -> Option<Instant> {
        *self.lock()
    }

    /// A panic elsewhere leaves the time whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes part in the election for one Lease.
pub struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    leadership: Leadership,
}

/// What a candidate has seen of the Lease, and since when by its own clock.
struct Seen {
    resource_version: Option<String>,
    since: Instant,
}

impl Elector {
    /// A candidate for that Lease; the identity must be unlike every other candidate's.
    #[must_use]
    pub fn new(kubernetes: kube::Client, namespace: &str, name: &str, identity: String) -> Self {
        let leases = Api::namespaced(kubernetes, namespace);
        Self { leases, name: name.to_owned(), identity, leadership: Leadership::elected() }
    }

    /// What tells the rest of the process whether it may act.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until this process leads; `false` where it was told to stop before.
    pub async fn acquire(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let mut seen = None;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return false,
                acquired = self.try_acquire(&mut seen) => match acquired {
                    Ok(true) => return true,
                    Ok(false) | Err(Error::Conflict) => {}
                    Err(error) => tracing::warn!(%error, "the lease could not be looked at; trying again"),
                },
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return false,
                () = sleep(RETRY_EVERY) => {}
            }
        }
    }

    async fn try_acquire(&self, seen: &mut Option<Seen>) -> Result<bool, Error> {
        let asked_at = Instant::now();
        let Some(lease) = call("read the lease", self.leases.get_opt(&self.name)).await? else {
            let lease = self.held(Lease::default());
            call("create the lease", self.leases.create(&PostParams::default(), &lease)).await?;
            self.leadership.extend(asked_at);
            return Ok(true);
        };
        if !self.is_free(&lease, seen, asked_at) {
            return Ok(false);
        }
        self.replace(self.held(lease)).await?;
        self.leadership.extend(asked_at);
        Ok(true)
    }

    /// Whether the lease was let go, is our own from before a restart, or was not renewed for its whole duration while we
    /// were looking.
    fn is_free(&self, lease: &Lease, seen: &mut Option<Seen>, now: Instant) -> bool {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let version = lease.metadata.resource_version.clone();
        let since = match seen {
            Some(seen) if seen.resource_version == version => seen.since,
            _ => {
                *seen = Some(Seen { resource_version: version, since: now });
                return false;
            }
        };
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        now.duration_since(since) >= seconds.map_or(LEASE_DURATION, Duration::from_secs).max(LEASE_DURATION)
    }

    /// Renews until that fails for too long or somebody else holds the lease; this process must not act after that.
    pub async fn keep(&self) {
        while self.leadership.may_act() {
            sleep(RETRY_EVERY).await;
            let Some(until) = self.leadership.until() else { return };
            match tokio::time::timeout_at(until, self.renew()).await {
                Ok(Ok(())) => {}
                Ok(Err(Error::Conflict | Error::Gone)) => break,
                Ok(Err(error)) => tracing::warn!(%error, "the lease could not be renewed; trying again"),
                Err(_) => break,
            }
        }
        self.leadership.give_up();
        tracing::error!("the lease is lost; this process stops acting");
    }

    async fn renew(&self) -> Result<(), Error> {
        let asked_at = Instant::now();
        let lease = call("read the lease", self.leases.get(&self.name)).await?;
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&self.identity) {
            return Err(Error::Conflict);
        }
        self.replace(self.held(lease)).await?;
        self.leadership.extend(asked_at);
        Ok(())
    }

    /// Lets the lease go, so that another process may lead at once.
    pub async fn release(&self) {
        self.leadership.give_up();
        let released = async {
            let mut lease = call("read the lease", self.leases.get(&self.name)).await?;
            let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
            else {
                return Ok(());
            };
            spec.holder_identity = Some(String::new());
            self.replace(lease).await
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "the lease could not be let go; the next process waits until it expires");
        }
    }

    async fn replace(&self, lease: Lease) -> Result<(), Error> {
        call("write the lease", self.leases.replace(&self.name, &PostParams::default(), &lease)).await.map(drop)
    }

    fn held(&self, lease: Lease) -> Lease {
        let before = lease.spec.unwrap_or_default();
        let is_ours = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let now = MicroTime(jiff::Timestamp::now());
        Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..lease.metadata },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                acquire_time: if is_ours { before.acquire_time.or(Some(now.clone())) } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!is_ours)),
                ..LeaseSpec::default()
            }),
        }
    }
}
