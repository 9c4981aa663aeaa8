//! Finds the start and the end of each object in a JSON text, in one pass and without a tree.
//!
//! A tree of `{"":0}` takes six hundred times the memory of its text. An outline takes at most seven times: a few
//! numbers for each object and each key, nothing for other values.

use super::limits::MAX_DEPTH;
use super::problem::SnapshotProblem;
use super::text::{Path, compare, has_lone_surrogate, is_plain};
use super::warning;
use std::cmp::Ordering;

/// A JSON text with the positions of its objects and their entries. Each object's entries are in the order of RFC 8785.
pub(crate) struct Outline<'a> {
    pub(super) text: &'a str,
    pub(super) objects: Vec<Object>,
    pub(super) entries: Vec<Entry>,
    warnings: Vec<String>,
}

/// An object. Objects are numbered in the order of their beginnings.
#[derive(Clone, Copy, Default)]
pub(super) struct Object {
    /// The indexes of its first entry and of the one after its last.
    pub(super) first: u32,
    pub(super) last: u32,
    /// The position of the first byte after the object.
    pub(super) end: u32,
    /// The number of the first object that begins after its end.
    pub(super) next: u32,
}

/// A key, without its quotes, and its value.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u32,
    pub(super) key_end: u32,
    /// The number of the first object in its value, if there is one.
    pub(super) object: u32,
    /// Whether the key is ASCII without escapes.
    pub(super) is_plain: bool,
}

impl Entry {
    pub(super) fn name(self, text: &str) -> &str {
        text.get(self.key as usize..self.key_end as usize).unwrap_or_default()
    }

    fn compare(self, other: Self, text: &str) -> Ordering {
        match self.is_plain && other.is_plain {
            true => self.name(text).cmp(other.name(text)),
            false => compare(self.name(text), other.name(text)),
        }
    }
}

/// An object or a list that has begun.
#[derive(Clone, Copy)]
enum Open {
    Object { number: u32, first: usize, awaits_key: bool },
    List { index: usize },
}

impl<'a> Outline<'a> {
    /// Scans a text that is known to be JSON.
    ///
    /// # Errors
    /// [`SnapshotProblem`] if the text is nested too deeply, an object has a key twice, or a string holds a lone
    /// surrogate.
    pub(crate) fn of(text: &'a str) -> Result<Self, SnapshotProblem> {
        let scan = Scan {
            outline: Self { text, objects: Vec::new(), entries: Vec::new(), warnings: Vec::new() },
            at: 0,
            open: Vec::with_capacity(MAX_DEPTH),
            pending: Vec::new(),
        };
        scan.run()
    }

    /// Whether the text is an object without entries.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.first().is_some_and(|object| object.first == object.last)
    }

    /// Warnings about numbers that look like versions.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }
}

struct Scan<'a> {
    outline: Outline<'a>,
    at: usize,
    open: Vec<Open>,
    /// The entries of the objects that are still open, the outer ones first.
    pending: Vec<Entry>,
}

impl<'a> Scan<'a> {
    fn run(mut self) -> Result<Outline<'a>, SnapshotProblem> {
        if u32::try_from(self.outline.text.len()).is_err() {
            return Err(SnapshotProblem::TooLarge);
        }
        let bytes = self.outline.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'{' | b'[' => self.begin(*byte == b'{')?,
                b'}' | b']' => self.end()?,
                b',' => self.separate(),
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number(),
                // White space, colons, and the letters of true, false and null.
                _ => self.at += 1,
            }
        }
        Ok(self.outline)
    }

    fn begin(&mut self, is_object: bool) -> Result<(), SnapshotProblem> {
        if self.open.len() == MAX_DEPTH {
            let path = self.path().into();
            return Err(SnapshotProblem::TooDeep { path, depth: Some(depth(self.outline.text)) });
        }
        self.open.push(match is_object {
            true => {
                let number = short(self.outline.objects.len());
                self.outline.objects.push(Object::default());
                Open::Object { number, first: self.pending.len(), awaits_key: true }
            }
            false => Open::List { index: 0 },
        });
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), SnapshotProblem> {
        self.at += 1;
        let Some(Open::Object { number, first, .. }) = self.open.pop() else { return Ok(()) };
        let text = self.outline.text;
        let entries = self.pending.get_mut(first..).unwrap_or_default();
        let is_sorted = |entries: &[Entry]| {
            entries.windows(2).all(|pair| matches!(pair, [a, b] if a.compare(*b, text) == Ordering::Less))
        };
        if !is_sorted(entries) {
            entries.sort_unstable_by(|a, b| a.compare(*b, text));
            let duplicate = entries.windows(2).find(|pair| matches!(pair, [a, b] if a.compare(*b, text).is_eq()));
            if let Some([entry, ..]) = duplicate {
                let key = entry.name(text);
                self.pending.truncate(first);
                return Err(SnapshotProblem::DuplicateKey { path: self.path().key(key).into() });
            }
        }
        let begins = short(self.outline.entries.len());
        self.outline.entries.extend(self.pending.drain(first..));
        let object = Object {
            first: begins,
            last: short(self.outline.entries.len()),
            end: short(self.at),
            next: short(self.outline.objects.len()),
        };
        if let Some(place) = self.outline.objects.get_mut(number as usize) {
            *place = object;
        }
        Ok(())
    }

    fn separate(&mut self) {
        self.at += 1;
        match self.open.last_mut() {
            Some(Open::Object { awaits_key, .. }) => *awaits_key = true,
            Some(Open::List { index }) => *index += 1,
            None => {}
        }
    }

    fn string(&mut self) -> Result<(), SnapshotProblem> {
        let begin = self.at + 1;
        let end = string_end(self.outline.text, begin);
        self.at = end + 1;
        let content = self.outline.text.get(begin..end).unwrap_or_default();
        if let Some(Open::Object { awaits_key: awaits_key @ true, .. }) = self.open.last_mut() {
            *awaits_key = false;
            let object = short(self.outline.objects.len());
            let is_plain = is_plain(content);
            self.pending.push(Entry { key: short(begin), key_end: short(end), object, is_plain });
        }
        if has_lone_surrogate(content) {
            return Err(SnapshotProblem::LoneSurrogate { path: self.path().into() });
        }
        Ok(())
    }

    fn number(&mut self) {
        let rest = self.outline.text.get(self.at..).unwrap_or_default();
        let length =
            rest.bytes().take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).count();
        let token = rest.get(..length).unwrap_or_default();
        if let (Some(Open::Object { .. }), Some(entry)) = (self.open.last(), self.pending.last())
            && warning::looks_like_a_version(entry.name(self.outline.text), token)
            && self.outline.warnings.len() < warning::MAX_WARNINGS
        {
            let path: String = self.path().into();
            self.outline.warnings.push(warning::of_version(&path, token));
        }
        self.at += length;
    }

    /// The path of the value that is being read.
    fn path(&self) -> Path {
        let mut path = Path::default();
        for (place, open) in self.open.iter().enumerate() {
            match open {
                Open::List { index } => path = path.index(*index),
                Open::Object { .. } => {
                    let inner = self.open.iter().skip(place + 1).find_map(|inner| match inner {
                        Open::Object { first, .. } => Some(*first),
                        Open::List { .. } => None,
                    });
                    let entry =
                        inner.unwrap_or(self.pending.len()).checked_sub(1).and_then(|entry| self.pending.get(entry));
                    if let Some(entry) = entry {
                        path = path.key(entry.name(self.outline.text));
                    }
                }
            }
        }
        path
    }
}

/// The position of a string's closing quote.
pub(super) fn string_end(text: &str, begin: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = begin;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at.min(bytes.len())
}

/// The nesting depth of a text. It has no limit.
fn depth(text: &str) -> usize {
    let (bytes, mut at, mut open, mut deepest) = (text.as_bytes(), 0, 0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
        at += 1;
    }
    deepest
}

/// Converts a position. `Scan::run` rejects a text whose length does not fit into a `u32`.
fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
