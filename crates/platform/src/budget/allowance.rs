//! How many requests a minute may be made: as many as the API is said to allow, or fewer while others use the same client.

use std::num::NonZeroU32;

use tokio::time::Instant;

use super::window::WINDOW;

/// Of a hundred requests, how many are kept free for rollbacks.
const RESERVED_PERCENT: u32 = 5;

/// Of a hundred requests, how many are always made, however often the API refuses.
const LEAST_PERCENT: u32 = 10;

/// Of a hundred requests, how many more are made after each minute without a refusal.
const RECOVERED_PERCENT: u32 = 10;

/// The limit, and what is left of it for now. We never exceed the limit by ourselves, so a 429 tells that somebody else uses
/// the client too: then half as many requests are made as before, and a tenth of the limit more after every minute in which
/// none is refused.
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

    /// Requests a minute that the API is said to allow.
    #[must_use]
    pub(crate) fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    pub(crate) fn set_limit(&mut self, limit: NonZeroU32) {
        self.limit = limit;
    }

    /// Of the limit, the places that are kept for rollbacks; a limit of one keeps none.
    #[must_use]
    pub(crate) fn reserve(&self) -> u32 {
        percent(self.limit.get(), RESERVED_PERCENT).min(self.limit.get() - 1)
    }

    /// Requests a minute that may be made for now, rollbacks apart: at least one more than the reserve, at most the limit.
    #[must_use]
    pub(crate) fn effective(&self, now: Instant) -> NonZeroU32 {
        let Some(lowered) = self.lowered else { return self.limit };
        let minutes = now.saturating_duration_since(lowered.recovers_from).as_secs() / WINDOW.as_secs();
        let step = percent(self.limit.get(), RECOVERED_PERCENT);
        let recovered = step.saturating_mul(u32::try_from(minutes).unwrap_or(u32::MAX));
        let effective = lowered.to.saturating_add(recovered).clamp(self.least(), self.limit.get());
        NonZeroU32::new(effective).unwrap_or(self.limit)
    }

    /// The API refused a request that was admitted at `admitted`, and wants to be left alone until `until`. What was under
    /// way together is refused together, and lowers the allowance once.
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

/// So many of a hundred, rounded up.
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
    fn a_refusal_halves_what_is_made_and_every_minute_without_one_gives_a_tenth_back() {
        let start = Instant::now();
        let mut allowance = of(100);
        allowance.refused(start, start, start + Duration::from_secs(30));
        for (after, effective) in [(0, 50), (89, 50), (90, 60), (149, 60), (150, 70), (330, 100), (86_400, 100)] {
            assert_eq!(allowance.effective(start + Duration::from_secs(after)).get(), effective, "after {after} s");
        }
    }

    #[test]
    fn requests_that_were_under_way_together_lower_it_once() {
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
    fn however_often_the_api_refuses_something_beside_rollbacks_may_go() {
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
