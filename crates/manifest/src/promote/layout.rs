//! Where the keys and values of a document are in its text.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};
use std::ops::Range;

/// The place of a value. Positions are bytes of the document's text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Where it begins. A value that is not written (`key:`) is empty.
    pub(super) begin: usize,
    /// Where its last character is. Blank lines and comments after it are not a part of it.
    pub(super) end: usize,
    /// How many blank lines after its last line belong to it, because its last text is `|+` or `>+`.
    pub(super) blank_lines: usize,
    /// Whether it has an anchor or a tag, or is an alias.
    pub(super) is_marked: bool,
    /// Whether it or a value in it is marked.
    pub(super) has_marks: bool,
    pub(super) shape: Shape,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Not written, such as `key:`.
    Nothing,
    /// A scalar in one piece, or a list or map in brackets.
    Inline,
    /// A text behind `|` or `>`, or a list with dashes.
    Block,
    /// A map.
    Map { is_block: bool, entries: Vec<Entry> },
}

/// An entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where its key begins.
    pub(super) key: usize,
    pub(super) value: Place,
}

impl Place {
    /// The entries of a map. Of another value, none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.shape {
            Shape::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.name == name).map(|entry| &entry.value)
    }

    /// Whether it is written in block style.
    pub(super) fn is_block(&self) -> bool {
        matches!(self.shape, Shape::Block | Shape::Map { is_block: true, .. })
    }

    fn range(&self) -> Range<usize> {
        self.begin..self.end
    }
}

impl Entry {
    /// Whether its key and its value are in one line, and something is written as its value.
    pub(super) fn is_in_one_line(&self, text: &str) -> bool {
        !self.value.is_block()
            && !self.value.range().is_empty()
            && text.get(self.key..self.value.end).is_some_and(|text| !text.contains('\n'))
    }
}

/// The places of a document that was read before. `None` if the parser of places does not read it.
pub(super) fn of(text: &str) -> Option<Place> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let bytes = span.start.byte_offset()?..span.end.byte_offset()?;
        let place = match event {
            Event::Scalar(content, style, anchor, tag) => {
                let is_marked = anchor > 0 || tag.is_some();
                if let Some(Open { is_map: true, key: key @ None, .. }) = open.last_mut() {
                    *key = Some(Key { name: content.into_owned(), begin: bytes.start, end: bytes.end, is_marked });
                    continue;
                }
                scalar(text, &content, style, &span, bytes, is_marked)?
            }
            Event::Alias(_) => Place::new(bytes, true, Shape::Inline),
            Event::MappingStart(style, anchor, tag) => {
                open.push(Open::new(true, style, bytes.start, anchor > 0 || tag.is_some()));
                continue;
            }
            Event::SequenceStart(style, anchor, tag) => {
                open.push(Open::new(false, style, bytes.start, anchor > 0 || tag.is_some()));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => open.pop()?.close(bytes.end),
            _ => continue,
        };
        match open.last_mut() {
            None => return Some(place),
            Some(parent) => parent.put(place),
        }
    }
    None
}

impl Place {
    fn new(bytes: Range<usize>, is_marked: bool, shape: Shape) -> Self {
        Self { begin: bytes.start, end: bytes.end, blank_lines: 0, is_marked, has_marks: is_marked, shape }
    }
}

fn scalar(
    text: &str,
    content: &str,
    style: ScalarStyle,
    span: &Span,
    bytes: Range<usize>,
    is_marked: bool,
) -> Option<Place> {
    if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let shape = if bytes.is_empty() { Shape::Nothing } else { Shape::Inline };
        return Some(Place::new(bytes, is_marked, shape));
    }
    // The span ends at the next token. A last line of spaces is content if it is longer than the indentation.
    let indent = span.indent.unwrap_or(0);
    let mut written = text.get(bytes.clone())?;
    while let Some((before, last)) = written.rsplit_once('\n') {
        let last = last.trim_end_matches('\r');
        if last.len() > indent || !last.bytes().all(|byte| byte == b' ') {
            break;
        }
        written = before;
    }
    let written = written.trim_end_matches(['\r', '\n']);
    let kept = content.len() - content.trim_end_matches('\n').len();
    let mut place = Place::new(bytes.start..bytes.start + written.len(), is_marked, Shape::Block);
    place.blank_lines = kept.saturating_sub(1);
    Some(place)
}

struct Key {
    name: String,
    begin: usize,
    end: usize,
    is_marked: bool,
}

/// A list or map that has begun.
struct Open {
    is_map: bool,
    is_block: bool,
    begin: usize,
    end: usize,
    blank_lines: usize,
    is_marked: bool,
    has_marks: bool,
    key: Option<Key>,
    entries: Vec<Entry>,
}

impl Open {
    fn new(is_map: bool, style: StructureStyle, begin: usize, is_marked: bool) -> Self {
        let is_block = style == StructureStyle::Block;
        let (end, blank_lines, has_marks, key, entries) = (begin, 0, is_marked, None, Vec::new());
        Self { is_map, is_block, begin, end, blank_lines, is_marked, has_marks, key, entries }
    }

    fn put(&mut self, value: Place) {
        self.has_marks |= value.has_marks;
        if value.shape != Shape::Nothing {
            (self.end, self.blank_lines) = (value.end, value.blank_lines);
        }
        let Some(Key { name, begin, end, is_marked }) = self.key.take() else { return };
        self.has_marks |= is_marked;
        if value.shape == Shape::Nothing {
            (self.end, self.blank_lines) = (end, 0);
        }
        let value = Place { has_marks: value.has_marks || is_marked, ..value };
        self.entries.push(Entry { name, key: begin, value });
    }

    fn close(self, end: usize) -> Place {
        // A map in block style ends at the next token, so the end of its last value counts.
        let (end, blank_lines) = if self.is_block { (self.end, self.blank_lines) } else { (end, 0) };
        let shape = match (self.is_map, self.is_block) {
            (true, is_block) => Shape::Map { is_block, entries: self.entries },
            (false, true) => Shape::Block,
            (false, false) => Shape::Inline,
        };
        let Self { begin, is_marked, has_marks, .. } = self;
        Place { begin, end, blank_lines, is_marked, has_marks, shape }
    }
}
