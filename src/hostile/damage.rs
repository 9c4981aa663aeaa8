//! Inputs to test: random bytes, and valid inputs after a few edits.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Texts that often confuse parsers.
const TOKENS: [&str; 32] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "\\",
    "\\u0000",
    "\\ud800",
    "\0",
    "\r\n",
    "\u{feff}",
    "\u{202e}",
    "-0",
    "1e999",
    "-1",
    "18446744073709551616",
    "0.1e-400",
    "NaN",
    "..",
    "/../",
    "%00",
    "@",
    "*a",
    "&a ",
    "!!binary ",
];

#[derive(Clone, Debug)]
enum Edit {
    Put(Index, u8),
    Insert(Index, &'static str),
    Cut(Index),
    Remove(Index, Index),
    Repeat(Index, Index, u8),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &Vec<u8>| index.index(bytes.len() + 1);
        let range = |from: &Index, to: &Index, bytes: &Vec<u8>| {
            let (a, b) = (place(from, bytes), place(to, bytes));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Put(at, byte) => {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            Self::Insert(at, token) => {
                let at = place(at, bytes);
                bytes.splice(at..at, token.bytes());
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Remove(from, to) => drop(bytes.drain(range(from, to, bytes))),
            Self::Repeat(from, to, times) => {
                let range = range(from, to, bytes);
                let again = bytes[range.clone()].repeat(usize::from(*times));
                bytes.splice(range.end..range.end, again);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        4 => (any::<Index>(), select(&TOKENS[..])).prop_map(|(at, token)| Edit::Insert(at, token)),
        1 => any::<Index>().prop_map(Edit::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Remove(from, to)),
        1 => (any::<Index>(), any::<Index>(), 1u8..40).prop_map(|(from, to, times)| Edit::Repeat(from, to, times)),
    ]
}

/// Random bytes, or one of these inputs after up to six edits; sometimes an input without any edit.
pub(super) fn bytes_like(valid: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let damaged = (select(valid), prop::collection::vec(edit(), 0..6)).prop_map(|(valid, edits)| {
        let mut bytes = valid.as_bytes().to_vec();
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..1024), 6 => damaged]
}

/// The same as text. Invalid UTF-8 is replaced.
pub(super) fn text_like(valid: &'static [&'static str]) -> impl Strategy<Value = String> {
    bytes_like(valid).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
