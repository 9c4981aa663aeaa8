//! Tables that fit the terminal.

use super::{Style, Terminal, one_line};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The space between two columns.
const GAP: usize = 3;
/// A column that is made narrower keeps at least this many columns.
const NARROWEST: usize = 8;

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell without colour.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self::styled(Style::Plain, text)
    }

    /// A cell in the colour of its meaning, without control characters. Line breaks become spaces.
    #[must_use]
    pub fn styled(style: Style, text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self { text: one_line(&text).split_whitespace().collect::<Vec<_>>().join(" "), style }
    }
}

/// A table. If it is wider than the terminal, its last column is cut, and the columns before it if that is not enough.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, with one cell for each heading.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.headings.len());
        self.rows.push(row);
    }

    /// The lines of the table, the heading first.
    #[must_use]
    pub fn lines(&self, terminal: &Terminal) -> Vec<String> {
        let widths = self.widths(terminal);
        let heading = self.headings.iter().map(|heading| Cell::styled(Style::Dim, *heading)).collect();
        let rows = std::iter::once(&heading).chain(&self.rows);
        rows.map(|row: &Vec<Cell>| line(row, &widths, terminal)).collect()
    }

    fn widths(&self, terminal: &Terminal) -> Vec<usize> {
        let width = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.text.width());
            cells.chain(self.headings.get(index).map(|heading| heading.width())).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let Some(room) = terminal.width else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        for index in (0..widths.len()).rev() {
            let total = gaps + widths.iter().sum::<usize>();
            let least = widths[index].min(NARROWEST);
            widths[index] = widths[index].saturating_sub(total.saturating_sub(room)).max(least);
        }
        widths
    }
}

fn line(row: &[Cell], widths: &[usize], terminal: &Terminal) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let text = cut(&cell.text, *width, terminal);
        let padding = width.saturating_sub(text.width());
        line.push_str(&terminal.paint(cell.style, &text));
        if index + 1 < row.len() {
            line.push_str(&" ".repeat(padding + GAP));
        }
    }
    line.trim_end().to_owned()
}

/// Cuts a text to a width, with a mark that it was cut.
pub(super) fn cut(text: &str, width: usize, terminal: &Terminal) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mark = terminal.pick("…", "~");
    let mut kept = String::new();
    let mut used = mark.width();
    for character in text.chars() {
        used += character.width().unwrap_or_default();
        if used > width {
            break;
        }
        kept.push(character);
    }
    kept + mark
}

/// Cuts a line with colours to the width of the terminal. Escape sequences take no room.
#[must_use]
pub fn fit(line: &str, terminal: &Terminal) -> String {
    let Some(room) = terminal.width else { return line.to_owned() };
    let line = line.split_inclusive('\n').map(|part| part.trim_end_matches('\n')).collect::<Vec<_>>().join(" ");
    if anstream::adapter::strip_str(&line).to_string().width() <= room {
        return line;
    }
    let mark = terminal.pick("…", "~");
    let mut kept = String::new();
    let mut used = 0;
    let mut in_escape = false;
    for character in line.chars() {
        in_escape |= character == '\u{1b}';
        let width = if in_escape { 0 } else { character.width().unwrap_or_default() };
        if used + width + mark.width() > room {
            break;
        }
        used += width;
        kept.push(character);
        in_escape &= !character.is_ascii_alphabetic();
    }
    if terminal.has_color { kept + mark + "\u{1b}[0m" } else { kept + mark }
}

/// A text beside its heading, in as many lines as it needs. `indent` is the width of the heading's column.
#[must_use]
pub fn paragraph(heading: &str, indent: usize, text: &str, terminal: &Terminal) -> Vec<String> {
    let room = terminal.width.unwrap_or(100).saturating_sub(indent).max(20);
    let mut lines = vec![String::new()];
    let text = one_line(text);
    // A word that is longer than a line, for example a URL, is continued in the next line: nothing of it is lost.
    for word in text.split_whitespace().flat_map(|word| pieces(word, room)) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&word),
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    let heading = terminal.paint(Style::Dim, &format!("{heading:<indent$}"));
    let mut lines = lines.into_iter();
    let first = format!("{heading}{}", lines.next().unwrap_or_default());
    std::iter::once(first)
        .chain(lines.map(|line| format!("{:<indent$}{line}", "")))
        .map(|line| fit(&line, terminal))
        .collect()
}

/// A word in pieces of at most this width.
fn pieces(word: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for character in word.chars() {
        let width = character.width().unwrap_or_default();
        if used + width > room {
            pieces.push(String::new());
            used = 0;
        }
        used += width;
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(width: Option<usize>) -> Terminal {
        Terminal {
            is_interactive: width.is_some(),
            has_color: false,
            notes_have_color: false,
            has_unicode: true,
            width,
        }
    }

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "STATE", "MESSAGE"]);
        table.push(vec![Cell::plain("bots/a"), Cell::plain("Ready"), Cell::plain("version 2.4.1 runs\nsince today")]);
        table.push(vec![Cell::plain("bots/longer"), Cell::plain("Queued"), Cell::plain("waits")]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let expected = [
            "NAME          STATE    MESSAGE",
            "bots/a        Ready    version 2.4.1 runs since today",
            "bots/longer   Queued   waits",
        ];
        assert_eq!(table().lines(&terminal(None)), expected);
    }

    #[test]
    fn a_table_never_is_wider_than_the_terminal() {
        for width in 40..80 {
            for line in table().lines(&terminal(Some(width))) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        let narrow = table().lines(&terminal(Some(40)));
        assert_eq!(narrow[1], "bots/a        Ready    version 2.4.1 ru…");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_is_shown_in_full() {
        let url = format!("https://{}.example", "x".repeat(100));
        let lines = paragraph("What to do", 12, &format!("open {url} now"), &terminal(Some(40)));
        assert!(lines.iter().all(|line| line.width() <= 40), "{lines:#?}");
        let shown: String = lines.iter().map(|line| line[12..].trim()).collect();
        assert!(shown.contains(&url), "{lines:#?}");
    }

    #[test]
    fn a_cell_and_a_paragraph_hold_no_escape_sequences() {
        let mut table = Table::new(&["MESSAGE"]);
        table.push(vec![Cell::plain("a\u{1b}[2Jb")]);
        assert_eq!(table.lines(&terminal(None))[1], "a\u{fffd}[2Jb");
        assert_eq!(paragraph("", 0, "a\u{1b}[31mb", &terminal(None)), ["a\u{fffd}[31mb"]);
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        assert_eq!(cut("日本語のボット", 7, &terminal(Some(7))), "日本語…");
    }
}
