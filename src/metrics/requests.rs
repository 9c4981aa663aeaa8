//! Requests to Cognigy.AI and to webhooks: their number, their results and their durations.

use super::buckets;
use platform::{ErrorClass, Operation, WEBHOOK};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

pub(super) struct Requests {
    answered: Family<Answer, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    call: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    call: &'static str,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry, operations: &[Operation]) -> Self {
        let answered = Family::<Answer, Counter>::default();
        let durations = Family::new_with_constructor(buckets::of_a_call as fn() -> Histogram);
        for call in operations.iter().chain([&WEBHOOK]).map(|operation| operation.name) {
            for class in ["success"].into_iter().chain(ErrorClass::REQUEST_LABELS) {
                drop(answered.get_or_create(&Answer { call, class }));
            }
            drop(durations.get_or_create(&Asked { call }));
        }
        registry.register(
            "requests",
            "Requests to Cognigy.AI and to webhooks, by call and class of answer",
            answered.clone(),
        );
        registry.register_with_unit("request_duration", "Duration of requests", Unit::Seconds, durations.clone());
        Self { answered, durations }
    }

    pub(super) fn observed(&self, operation: &Operation, class: &'static str, elapsed: Duration) {
        self.answered.get_or_create(&Answer { call: operation.name, class }).inc();
        self.durations.get_or_create(&Asked { call: operation.name }).observe(elapsed.as_secs_f64());
    }
}
