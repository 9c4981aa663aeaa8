//! The ids of spans. They are random, except for a rollout's span: every process must be able to compute its id.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use std::cell::Cell;

thread_local! {
    static GIVEN: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Generates ids: those set by [`with_ids`], otherwise random ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identities;

impl IdGenerator for Identities {
    fn new_trace_id(&self) -> TraceId {
        GIVEN.get().map_or_else(|| RandomIdGenerator::default().new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        GIVEN.get().map_or_else(|| RandomIdGenerator::default().new_span_id(), |(_, span)| span)
    }
}

/// Starts one span without a parent that has these ids.
pub(super) fn with_ids<T>(trace: TraceId, span: SpanId, begin: impl FnOnce() -> T) -> T {
    GIVEN.set(Some((trace, span)));
    let begun = begin();
    GIVEN.set(None);
    begun
}
