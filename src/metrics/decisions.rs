//! Decisions of people: what became of them.

use api::decision::{DecisionState, Verb};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The values of the label `state`. A decision that waits is not counted yet.
const STATES: [(DecisionState, &str); 3] =
    [(DecisionState::Acted, "acted"), (DecisionState::Ignored, "ignored"), (DecisionState::Expired, "expired")];

pub(super) struct Decisions {
    decided: Family<Decided, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    verb: &'static str,
    state: &'static str,
}

impl Decisions {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let decided = Family::<Decided, Counter>::default();
        for verb in Verb::ALL {
            for (_, state) in STATES {
                drop(decided.get_or_create(&Decided { verb: verb.as_str(), state }));
            }
        }
        registry.register("decisions", "Decisions of people, by verb and what became of them", decided.clone());
        Self { decided }
    }

    pub(super) fn decided(&self, verb: Verb, state: DecisionState) {
        if let Some((_, state)) = STATES.into_iter().find(|(known, _)| *known == state) {
            self.decided.get_or_create(&Decided { verb: verb.as_str(), state }).inc();
        }
    }
}
