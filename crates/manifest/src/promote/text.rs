//! Edits of a text, and its lines.

use std::ops::Range;

/// One replacement in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) new: String,
}

/// Makes all edits at once. `None` if two of them are about the same characters.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let (mut edited, mut done) = (String::with_capacity(text.len()), 0);
    for Edit { range, new } in edits {
        edited.push_str(text.get(done..range.start)?);
        edited.push_str(&new);
        done = range.end;
    }
    edited.push_str(text.get(done..)?);
    Some(edited)
}

/// Where the line of a position begins.
pub(super) fn line_begin(text: &str, position: usize) -> usize {
    text.get(..position).and_then(|before| before.rfind('\n')).map_or(0, |place| place + 1)
}

/// Where the line of a position ends, without its line break.
pub(super) fn line_end(text: &str, position: usize) -> usize {
    let end = text.get(position..).and_then(|rest| rest.find('\n')).map_or(text.len(), |place| position + place);
    let has_return = end > position && text.as_bytes().get(end - 1) == Some(&b'\r') && end < text.len();
    if has_return { end - 1 } else { end }
}

/// Where the next line begins. `None` in the last line.
pub(super) fn next_line(text: &str, position: usize) -> Option<usize> {
    text.get(position..)?.find('\n').map(|place| position + place + 1)
}

/// Whether a line has nothing but spaces.
pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// The line break of a text: that of its first line.
pub(super) fn line_break(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Where a carriage return stands alone. YAML reads it as a line break, editors often do not show it.
pub(super) fn lone_return(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|place| bytes.get(*place) == Some(&b'\r') && bytes.get(place + 1) != Some(&b'\n'))
}
