//! The fields of an event and of the spans around it, as one flat object.

use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The fields of the spans around an event, then the event's own fields, and `timestamp`, `level` and `target`. If two
/// fields have the same name, the later one is kept.
pub(super) fn of<S>(context: &FmtContext<'_, S, JsonFields>, event: &Event<'_>) -> Map<String, Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut fields = Fields(Map::new());
    for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
        if let Some(fields_of_span) = span.extensions().get::<FormattedFields<JsonFields>>()
            && let Ok(fields_of_span) = serde_json::from_str::<Map<String, Value>>(&fields_of_span.fields)
        {
            fields.0.extend(fields_of_span);
        }
    }
    event.record(&mut fields);
    let mut timestamp = String::new();
    // Writing into a `String` does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    fields.0.insert("timestamp".to_owned(), timestamp.into());
    fields.0.insert("level".to_owned(), event.metadata().level().as_str().into());
    fields.0.insert("target".to_owned(), event.metadata().target().into());
    fields.0
}

/// Collects the fields of an event as JSON.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // The name of a raw identifier is used without its `r#`.
        self.0.insert(field.name().trim_start_matches("r#").to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
