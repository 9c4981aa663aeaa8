//! Writes the canonical form of RFC 8785 in pieces. The whole form is never in memory.

use super::number;
use super::outline::{Outline, string_end};
use super::text::characters;

/// The size in bytes of the buffer that collects small writes.
const PIECE: usize = 4096;

/// Calls `to` with the pieces of a text's canonical form. The entries are written in the order of the outline.
pub(crate) fn write(outline: &Outline<'_>, to: impl FnMut(&[u8])) {
    let mut writer = Writer { outline, piece: Vec::with_capacity(PIECE), to };
    writer.value(&mut Place { at: 0, object: 0 });
    writer.pass_on();
}

/// The position up to which the text was read, and the number of the next object that begins there.
struct Place {
    at: usize,
    object: u32,
}

struct Writer<'o, 'a, To> {
    outline: &'o Outline<'a>,
    piece: Vec<u8>,
    to: To,
}

impl<To: FnMut(&[u8])> Writer<'_, '_, To> {
    /// Writes the next value. The recursion is at most as deep as the outline.
    fn value(&mut self, place: &mut Place) {
        match self.next(place) {
            Some(b'{') => self.object(place),
            Some(b'[') => self.list(place),
            Some(b'"') => {
                let end = string_end(self.outline.text, place.at + 1);
                self.string(place.at + 1, end);
                place.at = end + 1;
            }
            Some(first) => {
                let rest = self.outline.text.get(place.at..).unwrap_or_default();
                let token = rest.split([',', ']', '}', ' ', '\t', '\n', '\r']).next().unwrap_or_default();
                place.at += token.len();
                match first.is_ascii_alphabetic() {
                    true => self.put(token.as_bytes()),
                    false => self.put(number::canonical(token).as_bytes()),
                }
            }
            None => {}
        }
    }

    fn object(&mut self, place: &mut Place) {
        let Some(object) = self.outline.objects.get(place.object as usize).copied() else { return };
        self.put(b"{");
        for number in object.first..object.last {
            let Some(entry) = self.outline.entries.get(number as usize).copied() else { break };
            if number > object.first {
                self.put(b",");
            }
            self.string(entry.key as usize, entry.key_end as usize);
            self.put(b":");
            self.value(&mut Place { at: entry.key_end as usize + 1, object: entry.object });
        }
        self.put(b"}");
        *place = Place { at: object.end as usize, object: object.next };
    }

    fn list(&mut self, place: &mut Place) {
        self.put(b"[");
        place.at += 1;
        let mut is_first = true;
        while self.next(place).is_some_and(|byte| byte != b']') {
            if !is_first {
                self.put(b",");
            }
            is_first = false;
            self.value(place);
        }
        self.put(b"]");
        place.at += 1;
    }

    /// Writes a string by its content. Most strings are copied unchanged.
    fn string(&mut self, begin: usize, end: usize) {
        let raw = self.outline.text.get(begin..end).unwrap_or_default();
        self.put(b"\"");
        if !raw.contains('\\') {
            self.put(raw.as_bytes());
        } else {
            for character in characters(raw) {
                self.character(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        self.put(b"\"");
    }

    fn character(&mut self, character: char) {
        match character {
            '"' => self.put(b"\\\""),
            '\\' => self.put(b"\\\\"),
            '\u{8}' => self.put(b"\\b"),
            '\t' => self.put(b"\\t"),
            '\n' => self.put(b"\\n"),
            '\u{c}' => self.put(b"\\f"),
            '\r' => self.put(b"\\r"),
            '\0'..='\u{1f}' => self.put(format!("\\u{:04x}", u32::from(character)).as_bytes()),
            _ => self.put(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// The first byte of the next value, or the bracket that closes the list. `None` at the end of the text.
    fn next(&self, place: &mut Place) -> Option<u8> {
        let bytes = self.outline.text.as_bytes();
        while let Some(byte) = bytes.get(place.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') {
                return Some(*byte);
            }
            place.at += 1;
        }
        None
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.piece.len() + bytes.len() > PIECE {
            self.pass_on();
        }
        match bytes.len() > PIECE {
            true => (self.to)(bytes),
            false => self.piece.extend_from_slice(bytes),
        }
    }

    fn pass_on(&mut self) {
        (self.to)(&self.piece);
        self.piece.clear();
    }
}
