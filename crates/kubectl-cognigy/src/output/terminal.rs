//! The terminal, or what stands in for it: a file, a pipe or the log of a pipeline.

use super::sanitize;
use crate::arguments::Color;
use crate::exit::{Exit, Failure};
use anstyle::{AnsiColor, Style as AnsiStyle};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// The width of a line if nobody says otherwise.
const WIDTH: usize = 100;

/// A terminal that is narrower gets lines of this width all the same.
const NARROWEST: usize = 40;

/// What stdout is, and what it can show.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether stdout is a terminal, which can be painted over.
    pub is_interactive: bool,
    /// Whether to use colour. Colour never says anything that the text does not say.
    pub has_color: bool,
    /// Whether to use colour on stderr, which may be a file although stdout is a terminal.
    pub notes_have_color: bool,
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
        let has_color = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && variable("NO_COLOR").is_none() && !is_dumb,
        };
        let (has_color, notes_have_color) = (has_color(is_interactive), has_color(std::io::stderr().is_terminal()));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let has_unicode = locale.contains("utf-8") || locale.contains("utf8") || cfg!(windows);
        let columns = variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let size = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = is_interactive.then(|| size.or(columns).unwrap_or(WIDTH).max(NARROWEST));
        Self { is_interactive: is_interactive && !is_dumb, has_color, notes_have_color, has_unicode, width }
    }

    /// The same terminal with the width that its window has now.
    #[must_use]
    pub fn resized(&self) -> Self {
        let now = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).max(NARROWEST));
        Self { width: self.width.map(|before| now.unwrap_or(before)), ..*self }
    }

    /// The text in the colour of its meaning, or without colour. It becomes one line without control characters.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        let text = sanitize::one_line(text);
        let ansi = match style {
            Style::Plain => return text,
            _ if text.trim().is_empty() => return text,
            // A colour that stderr does not show is removed when the note is written.
            _ if !self.has_color && !self.notes_have_color => return text,
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

    /// Writes lines to stdout. Control characters and commands of pipelines are removed.
    ///
    /// # Errors
    /// Stdout cannot be written, or its reader has gone ([`Failure::OutputClosed`]).
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::AutoStream::new(std::io::stdout(), choice(self.has_color)).lock();
        writeln!(stdout, "{}", sanitize::lines(text.trim_end()))?;
        Ok(stdout.flush()?)
    }

    /// Writes a command for the log of a pipeline. The caller has sanitized the texts in it. The command goes to stderr if
    /// stdout is for data.
    ///
    /// # Errors
    /// The stream cannot be written, or its reader has gone ([`Failure::OutputClosed`]).
    pub fn command(&self, text: &str, has_data: bool) -> Result<(), Failure> {
        match has_data {
            true => writeln!(std::io::stderr().lock(), "{text}")?,
            false => writeln!(std::io::stdout().lock(), "{text}")?,
        }
        Ok(())
    }

    /// Asks a question on stderr, and stays in its line.
    ///
    /// # Errors
    /// Stderr cannot be written.
    pub fn ask(&self, text: &str) -> Result<(), Failure> {
        let mut stderr = anstream::AutoStream::new(std::io::stderr(), choice(self.notes_have_color));
        write!(stderr, "{}", sanitize::lines(text))?;
        Ok(stderr.flush()?)
    }

    /// Writes a note for people to stderr, where it does not disturb programs that read stdout. Control characters and
    /// commands of pipelines are removed.
    pub fn note(&self, text: &str) {
        let mut stderr = anstream::AutoStream::new(std::io::stderr(), choice(self.notes_have_color));
        // If stderr is closed, nobody reads it.
        writeln!(stderr, "{}", sanitize::lines(text)).ok();
    }

    /// Writes a failure to stderr, and returns its exit code. If the reader of stdout has gone, for example `head`, the command
    /// ends quietly.
    #[must_use]
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        if matches!(failure, Failure::OutputClosed) {
            return Exit::Succeeded.into();
        }
        self.note(&format!("{} {failure}", self.paint(Style::Bad, "error:")));
        Exit::Usage.into()
    }
}

fn choice(has_color: bool) -> anstream::ColorChoice {
    if has_color { anstream::ColorChoice::Always } else { anstream::ColorChoice::Never }
}
