//! The operator's log, on standard error, and its traces, if they are enabled.

mod fields;
mod json;
mod text;
#[cfg(test)]
mod written;

use super::environment::variable;
use clap::ValueEnum;
use json::FlatJson;
use std::io::{self, IsTerminal};
use text::TextLine;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

/// The log filter if RUST_LOG is not set.
const DEFAULT_FILTER: &str = "info";

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// A log that was started. Call `end`, so that the last spans are exported.
#[must_use = "the last spans are lost unless the log is ended"]
pub struct Log {
    #[cfg(feature = "otlp")]
    export: Option<crate::otlp::Export>,
}

impl Log {
    /// Exports the remaining spans, for a few seconds at most.
    pub async fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(export) = self.export {
            export.end().await;
        }
    }
}

/// Targets that RUST_LOG cannot switch on. kube logs the whole answer if it cannot read it: the specs of all
/// tenants, or a Secret. It also dumps errors that the operator itself logs in a readable form.
const ALWAYS_OFF: [&str; 2] = ["kube_client::client=off", "kube_runtime::watcher=off"];

/// Starts the log. `RUST_LOG` sets the filter (default `info`).
pub fn start(format: LogFormat) -> Log {
    start_with(format, DEFAULT_FILTER)
}

/// Starts the log with another filter for the case that `RUST_LOG` is not set.
pub fn start_with(format: LogFormat, default: &str) -> Log {
    let off = ALWAYS_OFF.iter().filter_map(|directive| directive.parse().ok());
    let filter = off.fold(filter(variable("RUST_LOG").as_deref(), default), EnvFilter::add_directive);
    let log = fmt::layer().with_ansi(is_coloured()).with_writer(io::stderr).fmt_fields(JsonFields::new());
    let log = match format {
        LogFormat::Text => log.event_format(TextLine).boxed(),
        LogFormat::Json => log.event_format(FlatJson).boxed(),
    };
    let registry = registry().with(log.with_filter(filter));
    #[cfg(feature = "otlp")]
    {
        let (spans, export) = crate::otlp::start(crate::controller::run::RESOURCE_SPAN).unzip();
        // Only tests start the log twice. The first one is kept.
        let _ = registry.with(spans).try_init();
        Log { export }
    }
    #[cfg(not(feature = "otlp"))]
    {
        // Only tests start the log twice. The first one is kept.
        let _ = registry.try_init();
        Log {}
    }
}

/// The wanted filter, if it can be parsed; else the default. An empty text counts as not set: as a filter, it would
/// show errors only.
fn filter(wanted: Option<&str>, default: &str) -> EnvFilter {
    wanted.and_then(|wanted| EnvFilter::try_new(wanted).ok()).unwrap_or_else(|| EnvFilter::new(default))
}

/// Colours are used only on a terminal, and only if NO_COLOR is not set (<https://no-color.org>). In a file or a
/// collector they are noise.
fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_invalid_filter_is_replaced_by_the_default() {
        let shown = |wanted| filter(wanted, DEFAULT_FILTER).to_string();
        for unreadable in [None, Some("cognigy_operator=lots"), Some("=,=")] {
            assert_eq!(shown(unreadable), EnvFilter::new(DEFAULT_FILTER).to_string(), "{unreadable:?}");
        }
        assert_eq!(shown(Some("debug")), "debug");
    }
}
