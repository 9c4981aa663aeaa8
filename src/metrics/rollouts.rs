//! Rollouts: their outcomes, the duration of their steps, and the time from bad health to the rollback.

use super::buckets;
use api::status::{Outcome, RollbackReason, Step};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use rollout::Transition;

pub(super) struct Rollouts {
    ended: Family<End, Counter>,
    steps: Family<Taken, Histogram, fn() -> Histogram>,
    rollbacks: Family<Why, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Taken {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

impl Rollouts {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let ended = Family::<End, Counter>::default();
        let steps = Family::new_with_constructor(buckets::of_a_rollout as fn() -> Histogram);
        let rollbacks = Family::new_with_constructor(buckets::of_a_rollout as fn() -> Histogram);
        for outcome in Outcome::ALL {
            drop(ended.get_or_create(&End { outcome: outcome.as_str() }));
        }
        for step in Step::ALL.into_iter().filter(|step| *step != Step::Settled) {
            drop(steps.get_or_create(&Taken { step: step.as_str() }));
        }
        for reason in RollbackReason::ALL {
            drop(rollbacks.get_or_create(&Why { reason: reason.as_str() }));
        }
        registry.register("rollouts", "Attempts that have ended, by outcome", ended.clone());
        registry.register_with_unit("step_duration", "Duration of the steps of attempts", Unit::Seconds, steps.clone());
        registry.register_with_unit(
            "verdict_to_rollback",
            "The time from the decision to roll back until Cognigy.AI accepted the rollback, by the decision's reason",
            Unit::Seconds,
            rollbacks.clone(),
        );
        Self { ended, steps, rollbacks }
    }

    pub(super) fn record_transition(&self, transition: Transition) {
        match transition {
            Transition::Step { step, took } => {
                self.steps.get_or_create(&Taken { step: step.as_str() }).observe(took.as_secs_f64());
            }
            Transition::Ended(outcome) => {
                self.ended.get_or_create(&End { outcome: outcome.as_str() }).inc();
            }
            Transition::RollbackAccepted { reason, took } => {
                self.rollbacks.get_or_create(&Why { reason: reason.as_str() }).observe(took.as_secs_f64());
            }
        }
    }
}
