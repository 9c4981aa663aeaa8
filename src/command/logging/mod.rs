//! The operator's log, on standard error, and its traces where they are asked for.

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

/// What is logged if nobody says otherwise.
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

/// A log that was started. To be ended, so that the last spans arrive where they are sent to.
#[must_use = "the last spans are lost unless the log is ended"]
pub struct Log {
    #[cfg(feature = "otlp")]
    export: Option<crate::otlp::Export>,
}

impl Log {
    /// Sends what is still to be sent, for a few seconds at most.
    pub async fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(export) = self.export {
            export.end().await;
        }
    }
}

/// What no RUST_LOG switches on. kube logs an answer that it cannot read as a whole: all tenants' specs, or a Secret. And it
/// dumps what the operator itself says in words.
const ALWAYS_OFF: [&str; 2] = ["kube_client::client=off", "kube_runtime::watcher=off"];

/// Starts the log. `RUST_LOG` says how much of it (default `info`).
pub fn start(format: LogFormat) -> Log {
    let off = ALWAYS_OFF.iter().filter_map(|directive| directive.parse().ok());
    let filter = off.fold(filter(variable("RUST_LOG").as_deref()), EnvFilter::add_directive);
    let log = fmt::layer().with_ansi(is_coloured()).with_writer(io::stderr).fmt_fields(JsonFields::new());
    let log = match format {
        LogFormat::Text => log.event_format(TextLine).boxed(),
        LogFormat::Json => log.event_format(FlatJson).boxed(),
    };
    let registry = registry().with(log.with_filter(filter));
    #[cfg(feature = "otlp")]
    {
        let (spans, export) = crate::otlp::start(crate::controller::run::RESOURCE_SPAN).unzip();
        // A second start, which only tests make, keeps the first.
        let _ = registry.with(spans).try_init();
        Log { export }
    }
    #[cfg(not(feature = "otlp"))]
    {
        // A second start, which only tests make, keeps the first.
        let _ = registry.try_init();
        Log {}
    }
}

/// What is wanted, if that can be read. An empty wish is none: read as a filter, it would show errors only.
fn filter(wanted: Option<&str>) -> EnvFilter {
    wanted.and_then(|wanted| EnvFilter::try_new(wanted).ok()).unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER))
}

/// Colours are for a terminal, and only where nobody asks for none (<https://no-color.org>); in a file or a collector they
/// are noise.
fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_or_is_not_there_is_the_usual_one() {
        let shown = |wanted| filter(wanted).to_string();
        for unreadable in [None, Some("cognigy_operator=lots"), Some("=,=")] {
            assert_eq!(shown(unreadable), EnvFilter::new(DEFAULT_FILTER).to_string(), "{unreadable:?}");
        }
        assert_eq!(shown(Some("debug")), "debug");
    }
}
