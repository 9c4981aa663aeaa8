//! The plans of the runs.

use crate::operator::Kind;
use crate::platform::PlatformBehaviour;
use std::time::Duration;

/// One run of a fleet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name in reports and files.
    pub name: &'static str,
    /// The operator that is measured.
    pub kind: Kind,
    /// The number of resources.
    pub size: usize,
    /// The behaviour of the platform.
    pub behaviour: PlatformBehaviour,
    /// The time-out of a rollout, in seconds.
    pub timeout_seconds: u32,
    /// The rollouts of the resources.
    pub workload: Workload,
}

/// The rollouts of the resources of a run.
#[derive(Clone, Copy, Debug)]
pub enum Workload {
    /// Each rollout is followed by another one, so the fleet is always busy.
    Busy {
        /// The time before the measurement begins.
        warm_up: Duration,
        /// The duration of the measurement.
        measured: Duration,
    },
    /// Each resource has one rollout. All resources are created before the operator starts.
    Once {
        /// The time before the throughput is measured.
        warm_up: Duration,
        /// The time at which the run is stopped if not all rollouts have ended.
        give_up: Duration,
    },
    /// Each resource has one rollout. A change window holds all of them back, until it opens.
    Gated {
        /// When the window opens. By then, all checks must have been made.
        opens_at: Duration,
        /// How long before this moment the operator is watched while it has nothing to do.
        quiet: Duration,
        /// The time at which the run is stopped if not all rollouts have ended.
        give_up: Duration,
    },
}

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);

impl Plan {
    /// All plans. The figures of quick runs are not published.
    pub fn all(is_quick: bool) -> Vec<Self> {
        let shorter = |length: Duration| if is_quick { length / 6 } else { length };
        let busy = |minutes| Workload::Busy { warm_up: 10 * MINUTE, measured: shorter(minutes * MINUTE) };
        let once = |minutes| Workload::Once { warm_up: 5 * MINUTE, give_up: minutes * MINUTE };
        let saturated = Self {
            name: "saturated-150",
            kind: Kind::Cognigy,
            size: 150,
            behaviour: PlatformBehaviour { job_seconds: 60, requests_per_minute: 100 },
            timeout_seconds: 300,
            workload: busy(120),
        };
        vec![
            saturated.clone(),
            Self { name: "ordinary-150", kind: Kind::Ordinary, workload: busy(60), ..saturated.clone() },
            Self { name: "saturated-1000", size: 1000, workload: once(200), ..saturated.clone() },
            Self {
                name: "gated-1000",
                size: 1000,
                // The checks of 1,000 rollouts take 20 minutes. They must not be an hour old when the window opens.
                workload: Workload::Gated { opens_at: 50 * MINUTE, quiet: 15 * MINUTE, give_up: 250 * MINUTE },
                ..saturated.clone()
            },
            Self {
                name: "in-flight",
                size: 200,
                behaviour: PlatformBehaviour { job_seconds: 600, ..saturated.behaviour },
                timeout_seconds: 1200,
                workload: once(200),
                ..saturated
            },
        ]
    }
}
