//! What a run of a fleet is like.

use crate::operator::Kind;
use crate::platform::Manners;
use std::time::Duration;

/// One run of a fleet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names it in reports and files.
    pub name: &'static str,
    /// Which operator works.
    pub kind: Kind,
    /// How many resources there are.
    pub size: usize,
    /// What the platform is like.
    pub manners: Manners,
    /// Seconds to a verdict.
    pub timeout_seconds: u32,
    /// What the resources go through.
    pub course: Course,
}

/// What the resources of a run go through.
#[derive(Clone, Copy, Debug)]
pub enum Course {
    /// Another rollout whenever one has ended, so that the fleet is never done.
    Busy {
        /// How long before anything counts.
        warm_up: Duration,
        /// How long it goes on after that.
        measured: Duration,
    },
    /// One rollout each, all asked for before the operator starts.
    Once {
        /// How long before throughput counts.
        warm_up: Duration,
        /// By when all must have ended.
        give_up: Duration,
    },
}

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);

impl Plan {
    /// Every run that can be made; quick ones are not for the record.
    pub fn all(is_quick: bool) -> Vec<Self> {
        let shorter = |length: Duration| if is_quick { length / 6 } else { length };
        let busy = |minutes| Course::Busy { warm_up: 10 * MINUTE, measured: shorter(minutes * MINUTE) };
        let once = |minutes| Course::Once { warm_up: 5 * MINUTE, give_up: minutes * MINUTE };
        let saturated = Self {
            name: "saturated-150",
            kind: Kind::Cognigy,
            size: 150,
            manners: Manners { job_seconds: 60, requests_per_minute: 100 },
            timeout_seconds: 300,
            course: busy(120),
        };
        vec![
            saturated.clone(),
            Self { name: "ordinary-150", kind: Kind::Ordinary, course: busy(60), ..saturated.clone() },
            Self { name: "saturated-1000", size: 1000, course: once(200), ..saturated.clone() },
            Self {
                name: "in-flight",
                size: 200,
                manners: Manners { job_seconds: 600, ..saturated.manners },
                timeout_seconds: 1200,
                course: once(200),
                ..saturated
            },
        ]
    }
}
