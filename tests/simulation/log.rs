//! What the operator logs in one run.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{fmt, registry};

/// A log in memory.
pub struct Log {
    production: Pages,
    trace: Option<Pages>,
}

impl Log {
    /// Records the log at the default level, and if requested also at trace level.
    pub fn new(with_trace: bool) -> Self {
        Self { production: Pages::default(), trace: with_trace.then(Pages::default) }
    }

    /// Writes into this log.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let layer = |pages: &Pages, level: LevelFilter| {
            fmt::layer().with_writer(pages.clone()).with_ansi(false).without_time().with_filter(level).boxed()
        };
        let production = layer(&self.production, LevelFilter::INFO);
        let trace = self.trace.as_ref().map(|pages| layer(pages, LevelFilter::TRACE));
        registry().with(Vec::from_iter(trace.into_iter().chain([production])))
    }

    /// The log at the default level.
    pub fn text(&self) -> String {
        self.production.text()
    }

    /// The log at trace level, if it was requested.
    pub fn trace(&self) -> Option<String> {
        self.trace.as_ref().map(Pages::text)
    }
}

#[derive(Clone, Default)]
struct Pages(Arc<Mutex<Vec<u8>>>);

impl Pages {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl<'w> MakeWriter<'w> for Pages {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
