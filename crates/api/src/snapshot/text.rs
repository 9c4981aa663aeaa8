//! Strings of a JSON text in their written form, with escapes, and the paths of values in a snapshot.

use crate::condition::truncate;
use std::cmp::Ordering;
use std::str::Chars;

/// The maximum length of a path in bytes. A value may be hundreds of levels deep, and keys may have any length.
const MAX_PATH_BYTES: usize = 120;

/// The path of a value in a snapshot, such as `flows[3].name`.
#[derive(Clone, Default)]
pub(super) struct Path(String);

impl Path {
    /// Appends a key, given in its JSON form without quotes.
    pub(super) fn key(mut self, raw: &str) -> Self {
        let is_word = |key: &str| {
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte))
        };
        match is_word(raw) {
            true if self.0.is_empty() => self.push(raw),
            true => self.push(&format!(".{}", head(raw))),
            false => self.push(&format!("[\"{}\"]", head(raw))),
        }
        self
    }

    /// Appends the index of a list's item.
    pub(super) fn index(mut self, index: usize) -> Self {
        self.push(&format!("[{index}]"));
        self
    }

    fn push(&mut self, step: &str) {
        if self.0.len() <= MAX_PATH_BYTES {
            self.0.push_str(head(step));
        }
    }
}

impl From<Path> for String {
    fn from(Path(mut path): Path) -> Self {
        if path.is_empty() {
            return "the snapshot".to_owned();
        }
        truncate(&mut path, MAX_PATH_BYTES);
        path
    }
}

/// The beginning of a text that may have any length.
pub(super) fn head(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_PATH_BYTES + 1)).unwrap_or_default()
}

/// Whether a string is ASCII and has no escapes.
pub(super) fn is_plain(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii() && byte != b'\\')
}

/// Compares in the order of RFC 8785: by the UTF-16 code units of the decoded strings.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    Units::of(left).cmp(Units::of(right))
}

/// Whether an escape encodes a lone surrogate.
pub(super) fn has_lone_surrogate(raw: &str) -> bool {
    raw.contains("\\u") && characters(raw).any(|character| character.is_none())
}

/// The characters of the decoded string; `None` for a lone surrogate.
pub(super) fn characters(raw: &str) -> impl Iterator<Item = Option<char>> + '_ {
    char::decode_utf16(Units::of(raw)).map(Result::ok)
}

/// The UTF-16 code units of the decoded string.
struct Units<'a> {
    rest: Chars<'a>,
    low: Option<u16>,
}

impl<'a> Units<'a> {
    fn of(raw: &'a str) -> Self {
        Self { rest: raw.chars(), low: None }
    }

    fn escaped(&mut self) -> Option<u16> {
        Some(match self.rest.next()? {
            'b' => 0x08,
            't' => 0x09,
            'n' => 0x0a,
            'f' => 0x0c,
            'r' => 0x0d,
            'u' => {
                let mut unit = 0_u16;
                for _ in 0..4 {
                    let digit = self.rest.next()?.to_digit(16)?;
                    unit = unit << 4 | u16::try_from(digit).ok()?;
                }
                unit
            }
            other => u16::try_from(u32::from(other)).ok()?,
        })
    }
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if let Some(low) = self.low.take() {
            return Some(low);
        }
        let character = self.rest.next()?;
        if character == '\\' {
            return self.escaped();
        }
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units);
        self.low = units.get(1).copied();
        units.first().copied()
    }
}
