//! The spans of a reconcile. They connect log lines and traces with the attempt that they belong to.

use api::status::Attempt;
use jiff::Timestamp;
use rollout::{TraceId, Transition};
use tracing::Span;

/// The span of the attempt that a reconcile works on. If a reconcile ends one attempt and starts the next, it has two
/// spans.
#[derive(Default)]
pub(super) struct AttemptSpans {
    present: Option<(Option<Timestamp>, Span)>,
}

impl AttemptSpans {
    /// The span for this attempt. Before the first attempt it belongs to no trace of a rollout.
    pub(super) fn span(&mut self, uid: &str, attempt: Option<&Attempt>) -> Span {
        let started_at = attempt.map(|attempt| attempt.started_at);
        match &self.present {
            Some((present, span)) if *present == started_at => span.clone(),
            _ => {
                let span = new_span(uid, attempt);
                self.present = Some((started_at, span.clone()));
                span
            }
        }
    }

    /// Notes a transition. The attempt's own span, the parent of the others, is sent once the attempt has its outcome.
    pub(super) fn record_transition(&self, transition: Transition, uid: &str, attempt: Option<&Attempt>) {
        #[cfg(feature = "otlp")]
        if let (Transition::Ended(outcome), Some(attempt)) = (transition, attempt)
            && attempt.outcome() == Some(outcome)
        {
            crate::otlp::ended(uid, attempt);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = (transition, uid, attempt);
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
