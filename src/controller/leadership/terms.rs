//! The three durations of an election. They depend on each other.

use std::time::Duration;

/// How long a leader may act, and how long others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// The three durations do not fit each other. The message says which flag to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// A Lease counts whole seconds.
    #[error("--lease-duration is {0:?}: write whole seconds, from 1s to 1h")]
    LeaseDuration(Duration),
    /// The holder would continue to act while another process may have taken the lease.
    #[error(
        "--renew-deadline ({renew_deadline:?}) must be shorter than --lease-duration ({lease_duration:?}): a leader has \
         to stop before another may start"
    )]
    RenewDeadline {
        /// The given renew deadline.
        renew_deadline: Duration,
        /// The given lease duration.
        lease_duration: Duration,
    },
    /// A single failed renewal would end the leadership, or the holder would renew without a pause.
    #[error(
        "--retry-period ({retry_period:?}) must be above 0 and at most half of --renew-deadline ({renew_deadline:?}): a \
         renewal that fails must leave time for another"
    )]
    RetryPeriod {
        /// The given retry period.
        retry_period: Duration,
        /// The given renew deadline.
        renew_deadline: Duration,
    },
}

impl Terms {
    /// The longest lease, in seconds. After a crash, nothing acts for this long.
    const LONGEST: u64 = 3600;

    /// Durations with which a holder stops before another process starts.
    ///
    /// # Errors
    /// [`TermsError`] names the flag to change.
    pub fn new(lease_duration: Duration, renew_deadline: Duration, retry_period: Duration) -> Result<Self, TermsError> {
        let whole_seconds = lease_duration.subsec_nanos() == 0;
        if !whole_seconds || !(1..=Self::LONGEST).contains(&lease_duration.as_secs()) {
            return Err(TermsError::LeaseDuration(lease_duration));
        }
        if renew_deadline >= lease_duration {
            return Err(TermsError::RenewDeadline { renew_deadline, lease_duration });
        }
        if retry_period.is_zero() || retry_period > renew_deadline / 2 {
            return Err(TermsError::RetryPeriod { retry_period, renew_deadline });
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }

    /// How long a lease without renewals keeps others away: whole seconds, 1 to 3600.
    #[must_use]
    pub fn lease_duration(self) -> Duration {
        self.lease_duration
    }

    /// How long after the start of its last renewal the holder may act. The difference to the lease duration is the
    /// margin for a call that is under way.
    #[must_use]
    pub fn renew_deadline(self) -> Duration {
        self.renew_deadline
    }

    /// How often the holder renews the lease, and a candidate reads it.
    #[must_use]
    pub fn retry_period(self) -> Duration {
        self.retry_period
    }

    /// The maximum duration of one renewal: a connection that died unnoticed must not use up the whole renew deadline.
    #[must_use]
    pub fn one_renewal(self) -> Duration {
        self.renew_deadline / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_durations_are_refused_with_the_name_of_the_flag() {
        let cases = [
            ((15_000, 10_000, 2_000), None),
            ((3_000, 2_000, 500), None),
            ((1_000, 999, 1), None),
            ((3_600_000, 10_000, 5_000), None),
            ((0, 10_000, 2_000), Some("--lease-duration")),
            ((2_500, 2_000, 500), Some("--lease-duration")),
            ((3_601_000, 10_000, 2_000), Some("--lease-duration")),
            ((15_000, 15_000, 2_000), Some("--renew-deadline")),
            ((15_000, 20_000, 2_000), Some("--renew-deadline")),
            ((15_000, 10_000, 5_001), Some("--retry-period")),
            ((15_000, 10_000, 0), Some("--retry-period")),
            ((15_000, 0, 0), Some("--retry-period")),
        ];
        for ((lease, deadline, retry), flag) in cases {
            let [lease, deadline, retry] = [lease, deadline, retry].map(Duration::from_millis);
            let refused = Terms::new(lease, deadline, retry).err().map(|error| error.to_string());
            let named = refused.as_deref().and_then(|message| message.split(' ').next());
            assert_eq!(named, flag, "{lease:?} {deadline:?} {retry:?}: {refused:?}");
        }
    }
}
