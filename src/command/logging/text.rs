//! One line for people: time, level, resource, reason and message, always in the same order.

use super::fields;
use serde_json::{Map, Value};
use std::fmt::{self, Write};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// Fields that have a fixed place in the line, or that do not help a person. The JSON format has all of them.
const NOT_LISTED: [&str; 10] =
    ["attempt", "generation", "level", "message", "namespace", "reason", "resource", "target", "timestamp", "trace_id"];

/// Writes an event as one line, such as `13:34:42 WARN  bots/customer-service #2 HealthCheckFailure: health is bad`. Times
/// are UTC.
pub(super) struct TextLine;

impl<S> FormatEvent<S, JsonFields> for TextLine
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
        let level = *event.metadata().level();
        let (colour, plain) = if writer.has_ansi_escapes() { (colour_of(level), "\x1b[0m") } else { ("", "") };
        write!(writer, "{} {colour}{level:<5}{plain} ", time(&fields))?;
        writeln!(writer, "{}", line(&fields))
    }
}

/// The time of day in `2026-01-01T12:00:00.123456Z`.
fn time(fields: &Map<String, Value>) -> &str {
    let timestamp = text(fields, "timestamp").unwrap_or_default();
    timestamp.split_once('T').and_then(|(_, time)| time.get(..8)).unwrap_or(timestamp)
}

/// The line without its time and level.
fn line(fields: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    if let (Some(namespace), Some(resource)) = (text(fields, "namespace"), text(fields, "resource")) {
        parts.push(format!("{namespace}/{resource}"));
    }
    if let Some(attempt) = fields.get("attempt") {
        parts.push(format!("#{attempt}"));
    }
    let kind = text(fields, "reason").or_else(|| text(fields, "target").filter(|target| !is_own(target)));
    if let Some(kind) = kind {
        parts.push(format!("{kind}:"));
    }
    parts.extend(text(fields, "message").map(str::to_owned));
    let mut line = parts.join(" ");
    for (name, value) in fields.iter().filter(|(name, _)| !NOT_LISTED.contains(&name.as_str())) {
        // Writing into a `String` does not fail.
        let _ = write!(line, " {name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    // One event is one line, even if a message contains line breaks.
    line.replace(['\n', '\r'], " ")
}

/// Whether the target is a module of the operator. Such a target is left out, because it does not help the reader. The
/// target `audit` and those of libraries are shown.
fn is_own(target: &str) -> bool {
    target.starts_with("cognigy_")
}

fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name)?.as_str()
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::logging::written::written;

    /// The rest of the line after its time.
    fn logged(log: impl FnOnce()) -> String {
        let line = written(TextLine, log);
        let (time, rest) = line.split_at(9);
        assert!(time.bytes().filter(u8::is_ascii_digit).count() == 6 && time.matches(':').count() == 2, "{time}");
        rest.trim_end().to_owned()
    }

    #[test]
    fn a_line_begins_with_the_level_the_resource_its_attempt_and_the_reason() {
        let line = logged(|| {
            let resource = tracing::info_span!("resource", namespace = "bots", resource = "bot", generation = 3);
            let attempt = tracing::info_span!(parent: &resource, "reconcile", attempt = 2, trace_id = "4bf9");
            let _entered = attempt.enter();
            tracing::warn!(reason = %"HealthCheckFailure", looks = 3, "health is bad,\n3 of 3 times in a row");
        });
        assert_eq!(line, "WARN  bots/bot #2 HealthCheckFailure: health is bad, 3 of 3 times in a row looks=3");
    }

    #[test]
    fn a_line_about_no_resource_has_only_the_level_the_message_and_its_fields() {
        assert_eq!(logged(|| tracing::info!("cognigy-operator is running")), "INFO  cognigy-operator is running");
        let audit = logged(|| tracing::info!(target: "audit", id = "7", "an audit record was written"));
        assert_eq!(audit, "INFO  audit: an audit record was written id=7");
    }
}
