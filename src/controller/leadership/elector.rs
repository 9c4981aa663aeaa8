//! Acquires, keeps and releases the Lease.

use super::{Leadership, Terms};
use crate::controller::error::{Error, call};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// The longest time for releasing the lease: a stop must not wait for an API server that does not answer.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// Takes part in the election for one Lease.
#[derive(Clone)]
pub struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    terms: Terms,
    leadership: Leadership,
}

/// A candidate's observation of a Lease that another process holds.
struct Seen {
    resource_version: Option<String>,
    /// When the answer had arrived, by the local clock. The renewal that it shows happened before this time.
    since: Instant,
    /// How long that renewal is valid.
    lasts: Duration,
}

impl Seen {
    /// Whether the observed renewal had expired when the request was sent.
    fn has_run_out(&self, asked_at: Instant) -> bool {
        asked_at.saturating_duration_since(self.since) >= self.lasts
    }
}

/// The result of a renewal.
#[derive(Debug, PartialEq, Eq)]
enum Renewal {
    Done,
    /// Another process holds the Lease.
    TakenOver,
}

impl Elector {
    /// A candidate for that Lease. The identity must be unique. A process that restarts must not reuse the
    /// identity of its predecessor.
    #[must_use]
    pub fn new(kubernetes: kube::Client, namespace: &str, name: &str, identity: String, terms: Terms) -> Self {
        let leases = Api::namespaced(kubernetes, namespace);
        Self { leases, name: name.to_owned(), identity, terms, leadership: Leadership::elected() }
    }

    /// The leadership, which tells the rest of the process whether it may act.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until this process leads. Returns `false` if `stop` was cancelled first.
    pub async fn acquire(&self, stop: &CancellationToken) -> bool {
        let mut seen = None;
        let leads = loop {
            tokio::select! {
                () = stop.cancelled() => break false,
                acquired = self.try_acquire(&mut seen) => match acquired {
                    Ok(true) => break true,
                    // Another process holds it, or was faster.
                    Ok(false) | Err(Error::Conflict) => {}
                    Err(error) => tracing::warn!(%error, "the lease could not be read or acquired; trying again"),
                },
            }
            tokio::select! {
                () = stop.cancelled() => break false,
                () = sleep(self.terms.retry_period()) => {}
            }
        };
        if !leads {
            // A write whose answer did not arrive may have acquired the lease for this process.
            self.release().await;
        }
        leads
    }

    async fn try_acquire(&self, seen: &mut Option<Seen>) -> Result<bool, Error> {
        let asked_at = Instant::now();
        match call("read the lease", self.leases.get_opt(&self.name)).await? {
            Some(lease) if self.is_free(&lease, seen, asked_at) => self.replace(self.held(lease)).await?,
            // Somebody deleted the Lease. Its holder continues until its next renewal.
            None if seen.as_ref().is_none_or(|seen| seen.has_run_out(asked_at)) => self.create().await?,
            _ => return Ok(false),
        }
        self.extend(asked_at);
        Ok(true)
    }

    /// Whether the lease is free: it was released; or this process already holds it, by a write whose answer was lost;
    /// or nobody renewed it for its whole duration while this process was watching.
    fn is_free(&self, lease: &Lease, seen: &mut Option<Seen>, asked_at: Instant) -> bool {
        let holder = holder(lease);
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let resource_version = lease.metadata.resource_version.clone();
        if let Some(seen) = seen.as_ref().filter(|seen| seen.resource_version == resource_version) {
            return seen.has_run_out(asked_at);
        }
        *seen = Some(Seen { resource_version, since: Instant::now(), lasts: self.duration_of(lease) });
        false
    }

    /// The lease duration that the holder has written. It may be longer than ours while the flags are being changed.
    fn duration_of(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let recorded = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        recorded.unwrap_or_default().max(self.terms.lease_duration())
    }

    /// Renews the lease until that fails for too long or another process holds it. After that, this process must not
    /// act.
    pub async fn keep(&self) {
        while let Some(until) = self.leadership.until() {
            sleep_until(until.min(Instant::now() + self.terms.retry_period())).await;
            if !self.leadership.may_act() {
                tracing::error!("the lease could not be renewed in time");
                break;
            }
            let renewal = timeout(self.terms.one_renewal(), self.renew());
            match timeout_at(until, renewal).await {
                Ok(Ok(Ok(Renewal::Done))) => {}
                Ok(Ok(Ok(Renewal::TakenOver))) => {
                    tracing::error!("another process has taken the lease");
                    break;
                }
                Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease could not be renewed; trying again"),
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!("the API server did not answer the renewal of the lease; trying again")
                }
            }
        }
        self.leadership.give_up();
        tracing::error!("the lease is lost; this process stops acting");
    }

    /// Renews the lease once. A conflict alone does not mean that the lease is lost: an earlier renewal of ours may
    /// have arrived late, or somebody has labelled the Lease. The next read decides.
    async fn renew(&self) -> Result<Renewal, Error> {
        let asked_at = Instant::now();
        match call("read the lease", self.leases.get_opt(&self.name)).await? {
            Some(lease) if holder(&lease) != self.identity => return Ok(Renewal::TakenOver),
            Some(lease) => self.replace(self.held(lease)).await?,
            None => self.create().await?,
        }
        self.extend(asked_at);
        Ok(Renewal::Done)
    }

    /// Releases the lease, so that another process may lead at once. Does nothing if this process does not hold it.
    pub async fn release(&self) {
        self.leadership.give_up();
        let released = async {
            loop {
                match self.try_release().await {
                    // A renewal that was under way was written in between.
                    Err(Error::Conflict) => {}
                    ended => return ended,
                }
            }
        };
        match timeout(RELEASE_WITHIN, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be released; the next process waits until it expires")
            }
            Err(_) => {
                tracing::warn!("the lease could not be released in time; the next process waits until it expires")
            }
        }
    }

    async fn try_release(&self) -> Result<(), Error> {
        let Some(mut lease) = call("read the lease", self.leases.get_opt(&self.name)).await? else { return Ok(()) };
        if holder(&lease) != self.identity {
            return Ok(());
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
        }
        self.replace(lease).await
    }

    fn extend(&self, asked_at: Instant) {
        self.leadership.extend(asked_at + self.terms.renew_deadline());
    }

    async fn create(&self) -> Result<(), Error> {
        let lease = self.held(Lease::default());
        call("create the lease", self.leases.create(&PostParams::default(), &lease)).await.map(drop)
    }

    async fn replace(&self, lease: Lease) -> Result<(), Error> {
        call("write the lease", self.leases.replace(&self.name, &PostParams::default(), &lease)).await.map(drop)
    }

    /// The lease with this process as its holder, renewed now.
    fn held(&self, lease: Lease) -> Lease {
        let is_ours = holder(&lease) == self.identity;
        let before = lease.spec.unwrap_or_default();
        let now = MicroTime(jiff::Timestamp::now());
        Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..lease.metadata },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(self.terms.lease_duration().as_secs()).ok(),
                acquire_time: before.acquire_time.filter(|_| is_ours).or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(before.lease_transitions.unwrap_or(0).saturating_add(i32::from(!is_ours))),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// The holder of the lease. Empty if nobody holds it.
fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}
