//! Whether the operator is alive, by its Lease.

use crate::connection::Connection;
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use std::time::Duration;
use tokio::time::Instant;

/// The name of the operator's Lease, in its own namespace.
const LEASE: &str = "cognigy-operator";
/// How often the Lease is read.
const INTERVAL: Duration = Duration::from_secs(15);
/// If a Lease was not renewed for this many of its own durations, the operator counts as gone.
const DURATIONS: u32 = 4;

/// Reads the Lease from time to time. If the caller may not read it, nothing is known about the operator, and it does
/// not count as gone.
pub struct Observer {
    leases: Option<Api<Lease>>,
    read_at: Option<Instant>,
    renewal: Option<Renewal>,
}

/// The renewal that was last seen. Two clocks are never compared.
#[derive(Debug)]
struct Renewal {
    at: String,
    lasts: Duration,
    first_seen: Instant,
    /// When it was last read. While the API server does not answer, nothing is known about the operator.
    last_seen: Instant,
}

impl Renewal {
    /// The renewal after another look at the Lease.
    fn after(before: Option<Self>, at: String, lasts: Duration, now: Instant) -> Self {
        match before {
            Some(before) if before.at == at => Self { last_seen: now, ..before },
            Some(_) | None => Self { at, lasts, first_seen: now, last_seen: now },
        }
    }

    fn seen_for(&self) -> Duration {
        self.last_seen.duration_since(self.first_seen)
    }

    fn is_expired(&self) -> bool {
        self.seen_for() >= self.lasts * DURATIONS
    }
}

impl Observer {
    /// An observer that has seen nothing yet.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self { leases: Some(Api::all(connection.client.clone())), read_at: None, renewal: None }
    }

    /// Whether the Lease has not been renewed for so long that no operator can be acting.
    pub async fn is_expired(&mut self) -> bool {
        if self.read_at.is_none_or(|read_at| read_at.elapsed() >= INTERVAL) {
            self.read_at = Some(Instant::now());
            self.read().await;
        }
        self.renewal.as_ref().is_some_and(Renewal::is_expired)
    }

    /// What is known, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.renewal {
            Some(renewal) if renewal.seen_for() >= renewal.lasts => {
                format!(
                    "its Lease was last renewed at {}, and not for {} s since",
                    renewal.at,
                    renewal.seen_for().as_secs()
                )
            }
            Some(renewal) => {
                format!("its Lease was renewed at {}: it runs, but perhaps not for this namespace", renewal.at)
            }
            None => "no Lease of it can be read".to_owned(),
        }
    }

    async fn read(&mut self) {
        let Some(leases) = &self.leases else { return };
        let by_name = ListParams::default().fields(&format!("metadata.name={LEASE}"));
        let listed = match leases.list(&by_name).await {
            Ok(listed) => listed,
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
                (self.leases, self.renewal) = (None, None);
                return;
            }
            // No answer says nothing about the operator. The Lease is read again later.
            Err(_) => return,
        };
        let specs = listed.items.into_iter().filter_map(|lease| lease.spec);
        let newest = specs.filter_map(|spec| Some((spec.renew_time?.0, spec.lease_duration_seconds?))).max();
        let Some((renewed, seconds)) = newest else { return };
        let lasts = Duration::try_from(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(INTERVAL);
        self.renewal = Some(Renewal::after(self.renewal.take(), renewed.to_string(), lasts, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_expires_only_while_it_can_be_read() {
        let (start, lasts) = (Instant::now(), Duration::from_secs(15));
        let look = |before, at: &str, seconds| {
            Renewal::after(before, at.to_owned(), lasts, start + Duration::from_secs(seconds))
        };
        let first = look(None, "12:00:00", 0);
        assert!(!first.is_expired(), "an API server that does not answer says nothing about the operator");
        let old = look(Some(first), "12:00:00", 59);
        assert!(!old.is_expired());
        let renewed = look(Some(old), "12:00:58", 59);
        assert!(!look(Some(renewed), "12:00:58", 100).is_expired());
        assert!(look(Some(look(None, "12:00:00", 0)), "12:00:00", 60).is_expired());
    }
}
