//! The number of requests per minute that may be sent: the API's limit, or fewer while another program uses the same client.

use std::num::NonZeroU32;

use tokio::time::Instant;

use super::window::WINDOW;

/// Percentage of the limit that is reserved for rollbacks.
const RESERVED_PERCENT: u32 = 5;

/// Percentage of the limit that is always allowed, however often the API refuses requests.
const LEAST_PERCENT: u32 = 10;

/// Percentage of the limit that is added after each minute without a refusal.
const RECOVERED_PERCENT: u32 = 10;

/// The configured limit, and the effective limit, which may be lower for a time. The operator never exceeds the limit, so
/// a 429 means that another program uses the client too. Then the effective limit is halved. After every minute without a
/// refusal it grows by a tenth of the configured limit.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    limit: NonZeroU32,
    lowered: Option<Lowered>,
}

#[derive(Debug, Clone, Copy)]
struct Lowered {
    to: u32,
    at: Instant,
    recovers_from: Instant,
}

impl Allowance {
    #[must_use]
    pub(crate) fn new(limit: NonZeroU32) -> Self {
        Self { limit, lowered: None }
    }

    /// Requests per minute that the API allows, as configured.
    #[must_use]
    pub(crate) fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    pub(crate) fn set_limit(&mut self, limit: NonZeroU32) {
        self.limit = limit;
    }

    /// How many requests of the limit are reserved for rollbacks. A limit of one has no reserve.
    #[must_use]
    pub(crate) fn reserve(&self) -> u32 {
        percent(self.limit.get(), RESERVED_PERCENT).min(self.limit.get() - 1)
    }

    /// The effective limit: requests per minute that may be sent now, without rollbacks. It is at least one more than the
    /// reserve and at most the limit.
    #[must_use]
    pub(crate) fn effective(&self, now: Instant) -> NonZeroU32 {
        let Some(lowered) = self.lowered else { return self.limit };
        let minutes = now.saturating_duration_since(lowered.recovers_from).as_secs() / WINDOW.as_secs();
        let step = percent(self.limit.get(), RECOVERED_PERCENT);
        let recovered = step.saturating_mul(u32::try_from(minutes).unwrap_or(u32::MAX));
        let effective = lowered.to.saturating_add(recovered).clamp(self.least(), self.limit.get());
        NonZeroU32::new(effective).unwrap_or(self.limit)
    }

    /// Records that the API refused a request that was admitted at `admitted`, and requested a pause until `until`. If
    /// several requests that were in progress at the same time are refused, they lower the limit only once.
    pub(crate) fn refused(&mut self, admitted: Instant, now: Instant, until: Instant) {
        let to = self.effective(now).get() / 2;
        self.lowered = Some(match self.lowered {
            Some(lowered) if admitted < lowered.at => {
                Lowered { recovers_from: lowered.recovers_from.max(until), ..lowered }
            }
            _ => Lowered { to: to.max(self.least()), at: now, recovers_from: until },
        });
    }

    fn least(&self) -> u32 {
        percent(self.limit.get(), LEAST_PERCENT).max(self.reserve() + 1)
    }
}

/// This percentage of the number, rounded up.
pub(crate) fn percent(of: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(limit: u32) -> Allowance {
        Allowance::new(NonZeroU32::new(limit).unwrap())
    }

    #[test]
    fn a_refusal_halves_the_effective_limit_and_each_minute_without_one_restores_a_tenth() {
        let start = Instant::now();
        let mut allowance = of(100);
        allowance.refused(start, start, start + Duration::from_secs(30));
        for (after, effective) in [(0, 50), (89, 50), (90, 60), (149, 60), (150, 70), (330, 100), (86_400, 100)] {
            assert_eq!(allowance.effective(start + Duration::from_secs(after)).get(), effective, "after {after} s");
        }
    }

    #[test]
    fn refusals_of_simultaneous_requests_lower_the_limit_once() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut allowance = of(100);
        allowance.refused(start, later, later);
        allowance.refused(start, later, later);
        assert_eq!(allowance.effective(later).get(), 50);
        allowance.refused(later, later, later);
        assert_eq!(allowance.effective(later).get(), 25);
    }

    #[test]
    fn the_effective_limit_always_allows_more_than_rollbacks() {
        for (limit, least) in [(1, 1), (2, 2), (5, 2), (20, 2), (100, 10), (6000, 600)] {
            let mut allowance = of(limit);
            let now = Instant::now();
            for _ in 0..40 {
                allowance.refused(now, now, now);
            }
            assert_eq!(allowance.effective(now).get(), least, "of {limit}");
            assert!(allowance.effective(now).get() > allowance.reserve());
        }
    }
}
