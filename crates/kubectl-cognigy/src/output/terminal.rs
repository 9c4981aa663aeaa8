//! The terminal, or what stands in for it: a file, a pipe or the log of a pipeline.

use crate::arguments::Color;
use crate::exit::{Exit, Failure};
use anstyle::{AnsiColor, Style as AnsiStyle};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// The width of a line if nobody says otherwise.
const WIDTH: usize = 100;

/// What stdout is, and what it can show.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether stdout is a terminal, which can be painted over.
    pub is_interactive: bool,
    /// Whether to use colour. Colour never says anything that the text does not say.
    pub has_color: bool,
    /// Whether the locale can show more than ASCII.
    pub has_unicode: bool,
    /// Columns. `None` if the output is no terminal: then no line is cut.
    pub width: Option<usize>,
}

/// What a text means. Each meaning has one colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Ordinary text.
    Plain,
    /// Healthy, done.
    Good,
    /// In progress, or a warning.
    Attention,
    /// Failed.
    Bad,
    /// Less important.
    Dim,
    /// A heading or a name.
    Strong,
}

impl Terminal {
    /// Looks at stdout and the environment.
    #[must_use]
    pub fn detect(color: Color) -> Self {
        let is_interactive = std::io::stdout().is_terminal();
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let has_color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_interactive && variable("NO_COLOR").is_none() && !is_dumb,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let has_unicode = locale.contains("utf-8") || locale.contains("utf8") || cfg!(windows);
        let columns = variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let size = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = is_interactive.then(|| size.or(columns).unwrap_or(WIDTH).max(40));
        Self { is_interactive: is_interactive && !is_dumb, has_color, has_unicode, width }
    }

    /// The text in the colour of its meaning, or as it is.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        let ansi = match style {
            Style::Plain => return text.to_owned(),
            _ if !self.has_color => return text.to_owned(),
            Style::Good => AnsiColor::Green.on_default(),
            Style::Attention => AnsiColor::Yellow.on_default(),
            Style::Bad => AnsiColor::Red.on_default().bold(),
            Style::Dim => AnsiStyle::new().dimmed(),
            Style::Strong => AnsiStyle::new().bold(),
        };
        format!("{}{text}{}", ansi.render(), ansi.render_reset())
    }

    /// The first text if the locale can show it, or else the second, which is ASCII.
    #[must_use]
    pub fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.has_unicode { unicode } else { ascii }
    }

    /// Writes a line to stdout. If the reader has closed the pipe, for example `head`, the process ends quietly.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::AutoStream::new(std::io::stdout(), self.choice()).lock();
        match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            result => Ok(result?),
        }
    }

    /// Writes a line with control sequences of its own, for example those that a pipeline's log understands.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn raw_line(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}")?;
        Ok(stdout.flush()?)
    }

    /// Writes a note for people to stderr, where it does not disturb programs that read stdout.
    pub fn note(&self, text: &str) {
        let mut stderr = anstream::AutoStream::new(std::io::stderr(), self.choice());
        // If stderr is closed, nobody reads it.
        writeln!(stderr, "{text}").ok();
    }

    /// Writes a failure to stderr, and returns its exit code.
    #[must_use]
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        self.note(&format!("{} {failure}", self.paint(Style::Bad, "error:")));
        Exit::Usage.into()
    }

    fn choice(&self) -> anstream::ColorChoice {
        if self.has_color { anstream::ColorChoice::Always } else { anstream::ColorChoice::Never }
    }
}
