//! Growing pauses between tries, with jitter.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// The pauses after failures in a row. The first is between half of `first` and `first`. Each next one is twice as long, up
/// to `longest`. They never end. The seed decides the jitter, so that a simulation can repeat a run.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, seed: u64) -> ExponentialBackoff {
    // backon adds up to the pause itself as jitter.
    ExponentialBuilder::default()
        .with_min_delay(first / 2)
        .with_max_delay(longest / 2)
        .with_jitter()
        .with_jitter_seed(seed)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_the_first_to_the_longest_with_jitter() {
        for seed in 0..20 {
            let pauses = backoff(Duration::from_secs(2), Duration::from_secs(7), seed).take(4);
            for (pause, whole) in pauses.zip([2, 4, 7, 7]) {
                let whole = Duration::from_secs(whole);
                assert!((whole / 2..=whole).contains(&pause), "{pause:?} of {whole:?}");
            }
        }
    }
}
