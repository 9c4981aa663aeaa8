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
    /// The renewal that was last seen, and when it was first seen. Two clocks are never compared.
    renewal: Option<(String, Instant, Duration)>,
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
        self.renewal.as_ref().is_some_and(|(_, seen_at, lasts)| seen_at.elapsed() >= *lasts * DURATIONS)
    }

    /// What is known, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.renewal {
            Some((renewal, seen_at, _)) if seen_at.elapsed() >= INTERVAL => {
                format!("its Lease was last renewed at {renewal}, and not for {} s since", seen_at.elapsed().as_secs())
            }
            Some((renewal, ..)) => {
                format!("its Lease was renewed at {renewal}: it runs, but perhaps not for this namespace")
            }
            None => "no Lease of it can be read".to_owned(),
        }
    }

    async fn read(&mut self) {
        let Some(leases) = &self.leases else { return };
        let by_name = ListParams::default().fields(&format!("metadata.name={LEASE}"));
        let Ok(listed) = leases.list(&by_name).await else {
            // No right to read Leases, or no answer.
            self.leases = None;
            return;
        };
        let specs = listed.items.into_iter().filter_map(|lease| lease.spec);
        let newest = specs.filter_map(|spec| Some((spec.renew_time?.0, spec.lease_duration_seconds?))).max();
        let Some((renewed, seconds)) = newest else { return };
        let lasts = Duration::try_from(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(INTERVAL);
        let renewal = renewed.to_string();
        if self.renewal.as_ref().is_none_or(|(seen, ..)| *seen != renewal) {
            self.renewal = Some((renewal, Instant::now(), lasts));
        }
    }
}
