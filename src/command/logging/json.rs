//! One flat JSON object per line: the fields of the surrounding spans stand next to the event's own fields. The keys
//! are stable.

use super::fields;
use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// Writes the [fields](fields::of) of an event as one JSON object.
pub(super) struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let fields = fields::of(context, event);
        let line = serde_json::to_string(&fields).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::command::logging::written::written;
    use serde_json::Value;

    fn logged(log: impl FnOnce()) -> Value {
        serde_json::from_str(&written(FlatJson, log)).unwrap()
    }

    #[test]
    fn a_line_has_the_fields_of_its_event_and_of_the_spans_around_it() {
        let line = logged(|| {
            let resource = tracing::info_span!("resource", namespace = "bots", resource = "bot");
            let attempt = tracing::info_span!(parent: &resource, "reconcile", attempt = 2, trace_id = "4bf9");
            let _entered = attempt.enter();
            tracing::info!(target: "audit", id = %"7", waited = 0.5, "an audit \"record\"\nwas written");
        });
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
        let expected = serde_json::json!({
            "timestamp": timestamp, "level": "INFO", "target": "audit", "message": "an audit \"record\"\nwas written",
            "id": "7", "waited": 0.5, "namespace": "bots", "resource": "bot", "attempt": 2, "trace_id": "4bf9",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn of_fields_with_the_same_name_the_innermost_is_kept() {
        let line = logged(|| {
            let outer = tracing::info_span!("outer", name = "outer", level = "none");
            let _entered = outer.enter();
            tracing::warn!(name = "inner", "here");
        });
        assert_eq!((line["name"].as_str(), line["level"].as_str()), (Some("inner"), Some("WARN")));
    }
}
