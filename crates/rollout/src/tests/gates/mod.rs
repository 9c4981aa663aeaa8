//! The gates between the checks and the submit.

mod acted;
mod approvals;
mod decided;
mod standing;
mod waiting;
mod windows;

use super::fixture::Rollout;
use crate::Decision;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{ClosedGate, Outcome};

impl Rollout {
    /// The closed gates, as the status records them.
    fn closed_gates(&self) -> &[ClosedGate] {
        self.attempt().gates.as_ref().map_or(&[], |gates| &gates.closed)
    }

    fn closed_reasons(&self) -> Vec<Reason> {
        self.closed_gates().iter().map(|gate| gate.reason).collect()
    }

    fn is_submitted(&self) -> bool {
        self.count(&Decision::Intend) > 0 && self.attempt().has_intent()
    }

    fn assert_waits(&self, reason: Reason) {
        assert_eq!(self.closed_gates().first().map(|gate| gate.reason), Some(reason));
        assert_eq!(self.count(&Decision::Submit), 0, "nothing is submitted");
        assert_eq!(self.condition_text(ConditionType::GatesOpen), format!("False/{reason}"));
        assert_eq!(self.condition_text(ConditionType::Ready), format!("Unknown/{reason}"));
        assert_eq!(self.condition_text(ConditionType::Reconciling), format!("True/{reason}"));
    }

    fn assert_succeeded(&self) {
        assert_eq!(self.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
        assert_eq!(self.condition_text(ConditionType::Ready), "True/Succeeded");
    }
}
