//! The rate limit: an exact sliding window for each client.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::identifier::ClientId;
use super::time::{after, since};

/// Length of the window. A request leaves it exactly this long after it was counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Requests of every client within the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimiter {
    clients: BTreeMap<ClientId, ClientWindow>,
}

/// The request counts of one client.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTraffic {
    /// Requests that were counted, accepted or refused.
    pub requests: u64,
    /// Requests refused with 429.
    pub refused: u64,
    /// The maximum number of requests, accepted or refused, that arrived within any 60 seconds.
    pub most_in_any_minute: usize,
}

#[derive(Clone, Debug, Default)]
struct ClientWindow {
    accepted: VecDeque<Timestamp>,
    arrived: VecDeque<Timestamp>,
    traffic: ClientTraffic,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooManyRequests {
    /// Whole seconds until a slot is free, at least 1.
    pub(super) retry_after_seconds: u64,
}

impl RateLimiter {
    /// Counts a request of `client` and accepts it if fewer than `limit` requests were accepted in the 60 seconds up to
    /// `now`. A refused request uses no slot.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        client: &ClientId,
        limit: NonZeroU32,
    ) -> Result<(), TooManyRequests> {
        let window = self.clients.entry(client.clone()).or_default();
        window.note_arrival(now);
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        forget_before_window(&mut window.accepted, now);
        // The window may contain more requests than the limit if the limit was lowered in the meantime.
        let blocking = window.accepted.len().checked_sub(limit).and_then(|index| window.accepted.get(index).copied());
        match blocking {
            None => {
                window.accepted.push_back(now);
                Ok(())
            }
            Some(leaves_first) => {
                window.traffic.refused += 1;
                let wait = since(after(leaves_first, WINDOW), now);
                let retry_after_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(TooManyRequests { retry_after_seconds: retry_after_seconds.max(1) })
            }
        }
    }

    /// The request counts of each client so far.
    pub(super) fn traffic(&self) -> impl Iterator<Item = (&ClientId, &ClientTraffic)> {
        self.clients.iter().map(|(client, window)| (client, &window.traffic))
    }
}

impl ClientWindow {
    fn note_arrival(&mut self, now: Timestamp) {
        forget_before_window(&mut self.arrived, now);
        self.arrived.push_back(now);
        self.traffic.requests += 1;
        self.traffic.most_in_any_minute = self.traffic.most_in_any_minute.max(self.arrived.len());
    }
}

fn forget_before_window(moments: &mut VecDeque<Timestamp>, now: Timestamp) {
    while moments.front().is_some_and(|&first| since(now, first) >= WINDOW) {
        moments.pop_front();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: u32) -> NonZeroU32 {
        NonZeroU32::new(requests).unwrap()
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn a_slot_is_free_again_exactly_a_minute_after_it_was_used() {
        let client = ClientId::new("demo");
        let mut limiter = RateLimiter::default();
        assert!(limiter.admit(at(0), &client, limit(1)).is_ok());
        let refused = limiter.admit(at(59_999), &client, limit(1)).unwrap_err();
        assert_eq!(refused.retry_after_seconds, 1);
        assert!(limiter.admit(at(60_000), &client, limit(1)).is_ok());
    }

    #[test]
    fn each_client_has_its_own_limit() {
        let mut limiter = RateLimiter::default();
        assert!(limiter.admit(at(0), &ClientId::new("one"), limit(1)).is_ok());
        assert!(limiter.admit(at(0), &ClientId::new("two"), limit(1)).is_ok());
    }

    proptest! {
        #[test]
        fn no_sliding_minute_has_more_accepted_requests_than_the_limit(
            pauses in prop::collection::vec(0_i64..20_000, 1..200),
            requests in 1_u32..12,
        ) {
            let client = ClientId::new("demo");
            let mut limiter = RateLimiter::default();
            let mut now = 0;
            let mut accepted: Vec<i64> = Vec::new();
            for pause in pauses {
                now += pause;
                match limiter.admit(at(now), &client, limit(requests)) {
                    Ok(()) => accepted.push(now),
                    Err(refusal) => {
                        // A client that obeys Retry-After is accepted.
                        let retry_at = now + i64::try_from(refusal.retry_after_seconds).unwrap() * 1000;
                        prop_assert!(limiter.clone().admit(at(retry_at), &client, limit(requests)).is_ok());
                    }
                }
            }
            for (index, &end) in accepted.iter().enumerate() {
                let within = accepted[..=index].iter().filter(|&&start| end - start < 60_000).count();
                prop_assert!(within <= requests as usize);
            }
        }
    }
}
