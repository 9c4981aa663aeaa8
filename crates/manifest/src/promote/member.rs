//! Members of a JSON object, as text.

use super::layout::{Entry, Place};
use super::text::{Edit, line_begin};

/// The text of a member, moved so that its lines begin where those of another member begin.
pub(super) fn moved(text: &str, member: &Entry, target_text: &str, beside: usize, line_break: &str) -> String {
    let (from, to) = (indent(text, member.key), indent(target_text, beside));
    let lines = text.get(member.key..member.value.end).unwrap_or_default().split('\n').enumerate();
    let moved = lines.map(|(number, line)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.strip_prefix(from) {
            Some(rest) if number > 0 => format!("{to}{rest}"),
            _ => line.to_owned(),
        }
    });
    moved.collect::<Vec<_>>().join(line_break)
}

/// The white space at the beginning of a line.
fn indent(text: &str, position: usize) -> &str {
    let line = text.get(line_begin(text, position)..).unwrap_or_default();
    line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or_default()
}

/// The edit that writes another member in its place.
pub(super) fn replace(member: &Entry, new: String) -> Edit {
    Edit { range: member.key..member.value.end, new }
}

/// The edit that writes a member after another one.
pub(super) fn insert_after(text: &str, member: &Entry, new: &str, line_break: &str) -> Edit {
    let before = text.get(line_begin(text, member.key)..member.key).unwrap_or_default();
    let separator = match before.trim().is_empty() && line_begin(text, member.key) > 0 {
        true => format!(",{line_break}{before}"),
        false => ", ".to_owned(),
    };
    Edit { range: member.value.end..member.value.end, new: format!("{separator}{new}") }
}

/// The edit that removes a member with one of the commas beside it.
pub(super) fn remove(object: &Place, index: usize) -> Option<Edit> {
    let entries = object.entries();
    let member = entries.get(index)?;
    let before = index.checked_sub(1).and_then(|index| entries.get(index));
    // The comma before it, so that two members side by side can be removed.
    let range = match (before, entries.get(index + 1)) {
        (Some(before), _) => before.value.end..member.value.end,
        (None, Some(next)) => member.key..next.key,
        (None, None) => member.key..member.value.end,
    };
    Some(Edit { range, new: String::new() })
}
