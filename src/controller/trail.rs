//! The spans of a reconcile: log lines and traces are found by the attempt that they belong to.

use crate::api::status::Attempt;
use crate::rollout::{Passage, TraceId};
use tracing::Span;

/// The part of a reconcile that belongs to one attempt. A reconcile that ends one attempt and begins the next has two.
#[derive(Default)]
pub(super) struct Trail {
    present: Option<(i64, Span)>,
}

impl Trail {
    /// The span of the part that works on this attempt; where there is none yet, on the first one.
    pub(super) fn span(&mut self, uid: &str, attempt: Option<&Attempt>) -> Span {
        let number = attempt.map_or(1, |attempt| attempt.number);
        match &self.present {
            Some((present, span)) if *present == number => span.clone(),
            _ => {
                let span = tracing::info_span!("reconcile", attempt = number, trace_id = %TraceId::of(uid, number));
                #[cfg(feature = "otlp")]
                crate::otlp::belongs_to_rollout(&span, uid, number);
                self.present = Some((number, span.clone()));
                span
            }
        }
    }

    /// Something of the attempt is over: with its outcome its own span, the parent of the others, is whole.
    pub(super) fn passed(&self, passage: Passage, uid: &str, attempt: Option<&Attempt>) {
        #[cfg(feature = "otlp")]
        if let (Passage::Ended(outcome), Some(attempt)) = (passage, attempt)
            && attempt.outcome() == Some(outcome)
        {
            crate::otlp::ended(uid, attempt);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = (passage, uid, attempt);
    }
}
