//! The upper bounds of histograms, in seconds.

use prometheus_client::metrics::histogram::Histogram;

/// For work that ends within a call's deadline: from milliseconds to half a minute.
pub(super) fn of_a_call() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// For the wait in a request budget's queue: from a hundredth of a second to a little more than the longest wait of a
/// request.
pub(super) fn of_a_wait() -> Histogram {
    Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 80.0])
}

/// For the steps of a rollout: from a tenth of a second to the longest time-out, a day.
pub(super) fn of_a_rollout() -> Histogram {
    Histogram::new([
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0,
    ])
}
