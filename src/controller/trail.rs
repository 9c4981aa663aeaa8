//! The spans of a reconcile: log lines and traces are found by the attempt that they belong to.

use api::status::Attempt;
use jiff::Timestamp;
use rollout::{TraceId, Transition};
use tracing::Span;

/// The part of a reconcile that belongs to one attempt. A reconcile that ends one attempt and begins the next has two.
#[derive(Default)]
pub(super) struct Trail {
    present: Option<(Option<Timestamp>, Span)>,
}

impl Trail {
    /// The span of the part that works on this attempt. Before the first attempt it belongs to no trace of a rollout.
    pub(super) fn span(&mut self, uid: &str, attempt: Option<&Attempt>) -> Span {
        let began = attempt.map(|attempt| attempt.started_at);
        match &self.present {
            Some((present, span)) if *present == began => span.clone(),
            _ => {
                let span = new_span(uid, attempt);
                self.present = Some((began, span.clone()));
                span
            }
        }
    }

    /// Something of the attempt is over: with its outcome its own span, the parent of the others, is whole.
    pub(super) fn passed(&self, passage: Transition, uid: &str, attempt: Option<&Attempt>) {
        #[cfg(feature = "otlp")]
        if let (Transition::Ended(outcome), Some(attempt)) = (passage, attempt)
            && attempt.outcome() == Some(outcome)
        {
            crate::otlp::ended(uid, attempt);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = (passage, uid, attempt);
    }
}

fn new_span(uid: &str, attempt: Option<&Attempt>) -> Span {
    let Some(attempt) = attempt else { return tracing::info_span!("reconcile") };
    let trace_id = TraceId::of(uid, attempt.number, attempt.started_at);
    let span = tracing::info_span!("reconcile", attempt = attempt.number, %trace_id);
    #[cfg(feature = "otlp")]
    crate::otlp::belongs_to_rollout(&span, uid, attempt);
    span
}
