//! The ids of spans: drawn at random, but for the span of a rollout, which every process must be able to name.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use std::cell::Cell;

thread_local! {
    static GIVEN: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Gives out the ids of [`given`] if there are any, else random ones.
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

/// Begins one span, without a parent, that has these ids.
pub(super) fn given<T>(trace: TraceId, span: SpanId, begin: impl FnOnce() -> T) -> T {
    GIVEN.set(Some((trace, span)));
    let begun = begin();
    GIVEN.set(None);
    begun
}
