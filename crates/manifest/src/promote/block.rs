//! Entries of a YAML map in block style, as lines of text.

use super::layout::{Entry, Place};
use super::text::{Edit, is_blank, line_begin, line_end, next_line};
use std::ops::Range;

/// The lines of an entry, without the last line break. Comments and blank lines after its last value are not a part of it.
///
/// `Err` with a position if the key is not the first thing in its line.
pub(super) fn lines_of(text: &str, map: &Place, index: usize) -> Result<Lines, usize> {
    let entries = map.entries();
    let Some(Entry { key, value, .. }) = entries.get(index) else { return Err(map.begin) };
    let begin = line_begin(text, *key);
    let indent = key - begin;
    if !text.get(begin..*key).is_some_and(|before| before.bytes().all(|byte| byte == b' ')) {
        return Err(*key);
    }
    let mut end = line_end(text, value.end.max(*key));
    for _ in 0..value.blank_lines {
        end = next_line(text, end).map_or(end, |next| line_end(text, next));
    }
    // Lines that have no value of their own, such as the dash of an empty item, belong to it as well.
    let limit = entries.get(index + 1).map_or(text.len(), |next| line_begin(text, next.key));
    let mut last = end;
    while let Some(next) = next_line(text, last).filter(|next| *next < limit) {
        last = line_end(text, next);
        let line = text.get(next..last).unwrap_or_default();
        let content = line.trim_start_matches(' ');
        if is_blank(line) || content.starts_with('#') {
            continue;
        }
        if line.len() - content.len() < indent {
            break;
        }
        end = last;
    }
    Ok(Lines { range: begin..end, indent })
}

/// The lines of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) range: Range<usize>,
    pub(super) indent: usize,
}

impl Lines {
    /// These lines with another indentation and other line breaks.
    pub(super) fn moved(&self, text: &str, indent: usize, line_break: &str) -> String {
        let lines = text.get(self.range.clone()).unwrap_or_default().split('\n');
        let moved = lines.map(|line| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() || indent == self.indent {
                return line.to_owned();
            }
            let spaces = line.len() - line.trim_start_matches(' ').len();
            let kept = line.get(spaces.min(self.indent)..).unwrap_or_default();
            format!("{}{kept}", " ".repeat(indent))
        });
        moved.collect::<Vec<_>>().join(line_break)
    }

    /// The edit that writes other lines in their place.
    pub(super) fn replace(&self, new: String) -> Edit {
        Edit { range: self.range.clone(), new }
    }

    /// The edit that writes lines after them.
    pub(super) fn insert_after(&self, new: &str, line_break: &str) -> Edit {
        Edit { range: self.range.end..self.range.end, new: format!("{line_break}{new}") }
    }

    /// The edit that removes them.
    pub(super) fn remove(&self, text: &str) -> Edit {
        let Range { start, end } = self.range.clone();
        let range = match next_line(text, end) {
            Some(next) => start..next,
            // The last line of a file without a last line break: the line break before it goes.
            None => text.get(..start).unwrap_or_default().trim_end_matches(['\r', '\n']).len()..end,
        };
        Edit { range, new: String::new() }
    }
}
