//! Removes secrets from a text that may repeat them in any encoding.
//!
//! An answer may contain a secret as it was sent, percent-encoded as in a form or a URL, escaped as in JSON or HTML, or
//! in base64, as in the header `Authorization: Basic`. There are too many encodings to list them, because each library
//! escapes a different set of characters. So we decode the text, and search for the secret in the decoded text.

use std::fmt;
use std::ops::Range;

use memchr::memmem;

/// The text that replaces a secret.
const REDACTED: &str = "[redacted]";

/// How many nested encodings are decoded, for example JSON in a percent-encoded parameter.
const MAX_DECODINGS: usize = 2;

/// How many bytes of a longer text are kept. Users never see more than a line of 1 KiB. The limit also bounds the CPU
/// time for a large answer, because all tenants share the processor.
const KEPT_BYTES: usize = 4 * 1024;
/// The maximum number of characters that an encoding uses for one byte. The search continues that far after the kept
/// part, so that it finds a secret that begins in the kept part.
const LONGEST_ENCODING: usize = 6;

/// The minimum length in bytes of a secret that is searched for in base64. A shorter secret could match by chance, and
/// then a whole base64 text would be redacted.
const MIN_BASE64_SECRET_BYTES: usize = 4;

/// The secrets that must not be shown.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Keeps these secrets; ignores empty ones.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<String> =
            secrets.into_iter().filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
        secrets.sort_unstable();
        secrets.dedup();
        Self(secrets)
    }

    /// Returns the text with every secret redacted; if the text is much longer than 4 KiB, only its first 4 KiB.
    pub fn redact(&self, text: &str) -> String {
        let longest = self.0.iter().map(String::len).max().unwrap_or_default();
        let most = KEPT_BYTES + longest * LONGEST_ENCODING;
        let (searched, shown) = match text.len() <= most {
            true => (text, text.len()),
            false => (&text[..text.floor_char_boundary(most)], text.floor_char_boundary(KEPT_BYTES)),
        };
        let finders: Vec<Finder> = self.0.iter().map(|secret| Finder::new(secret)).collect();
        // No encoding makes a secret shorter.
        if finders.iter().all(|finder| searched.len() < finder.length) {
            return searched[..shown].to_owned();
        }
        let mut found = Vec::new();
        let mut texts = vec![DecodedText::plain(searched)];
        texts.iter().for_each(|text| text.find(&finders, &mut found));
        for _ in 0..MAX_DECODINGS {
            texts = texts.iter().flat_map(DecodedText::decoded).collect();
            texts.iter().for_each(|text| text.find(&finders, &mut found));
        }
        redact(&searched[..shown], found)
    }
}

/// Returns the text with these ranges redacted. Ranges that begin after its end are ignored; overlapping ranges are merged.
fn redact(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.retain(|range| range.start < text.len());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        let (from, to) = (text.floor_char_boundary(range.start), text.ceil_char_boundary(range.end));
        if from >= end {
            shown.push_str(&text[end..from]);
            shown.push_str(REDACTED);
        }
        end = end.max(to);
    }
    shown.push_str(&text[end..]);
    shown
}

/// Searches for one secret.
struct Finder {
    exact: memmem::Finder<'static>,
    /// A form encodes a space as a plus sign. So a secret with a space is also searched for with both characters treated
    /// as equal.
    loose: Option<memmem::Finder<'static>>,
    length: usize,
}

impl Finder {
    fn new(secret: &str) -> Self {
        let loose = secret.contains(' ').then(|| plus_as_space(secret.as_bytes()));
        Self {
            exact: memmem::Finder::new(secret).into_owned(),
            loose: loose.map(|loose| memmem::Finder::new(&loose).into_owned()),
            length: secret.len(),
        }
    }

    fn find(&self, bytes: &[u8]) -> Vec<usize> {
        let mut places: Vec<usize> = self.exact.find_iter(bytes).collect();
        if let Some(loose) = &self.loose {
            places.extend(loose.find_iter(&plus_as_space(bytes)));
        }
        places
    }
}

fn plus_as_space(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect()
}

/// The decoded bytes of a text, and the position in the text at which each of them begins.
struct DecodedText {
    bytes: Vec<u8>,
    /// One entry more than there are bytes: the last entry is the end of the text.
    starts: Vec<usize>,
}

impl DecodedText {
    fn plain(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), starts: (0..=text.len()).collect() }
    }

    /// Returns one decoded text for each kind of encoding that the text contains.
    fn decoded(&self) -> Vec<Self> {
        let encodings = [(b'%', percent_encoded as Escape), (b'\\', escaped_in_json), (b'&', escaped_in_html)];
        let present = encodings.into_iter().filter(|(mark, _)| self.bytes.contains(mark));
        present
            .map(|(_, escape)| self.unescape(escape))
            .filter(|decoded| decoded.bytes.len() < self.bytes.len())
            .collect()
    }

    fn unescape(&self, escape: Escape) -> Self {
        let mut decoded = Self { bytes: Vec::with_capacity(self.bytes.len()), starts: Vec::new() };
        let mut at = 0;
        while at < self.bytes.len() {
            let (character, length) = escape(&self.bytes[at..]).unwrap_or((Utf8::of_byte(self.bytes[at]), 1));
            for &byte in character.bytes() {
                decoded.starts.push(self.starts[at]);
                decoded.bytes.push(byte);
            }
            at += length;
        }
        decoded.starts.extend(self.starts.last());
        decoded
    }

    /// Adds the ranges of the original text that contain a secret, as plain text or in base64.
    fn find(&self, secrets: &[Finder], found: &mut Vec<Range<usize>>) {
        for secret in secrets {
            let places = secret.find(&self.bytes).into_iter();
            found.extend(places.map(|at| self.starts[at]..self.starts[at + secret.length]));
        }
        let long: Vec<&Finder> = secrets.iter().filter(|secret| secret.length >= MIN_BASE64_SECRET_BYTES).collect();
        let Some(shortest) = long.iter().map(|secret| secret.length).min() else { return };
        let mut at = 0;
        for run in self.bytes.split(|&byte| six_bits(byte).is_none()) {
            let end = at + run.len();
            if run.len() * 6 / 8 >= shortest && holds_in_base64(run, &long) {
                let padding = self.bytes[end..].iter().take(2).take_while(|&&byte| byte == b'=').count();
                found.push(self.starts[at]..self.starts[end + padding]);
            }
            at = end + 1;
        }
    }
}

/// The decoded value of an escape: one byte, or a character in UTF-8.
#[derive(Clone, Copy)]
struct Utf8 {
    bytes: [u8; 4],
    length: usize,
}

impl Utf8 {
    fn of_byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn of_char(character: char) -> Self {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Reads the escape at the beginning of the bytes: its value and its length.
type Escape = fn(&[u8]) -> Option<(Utf8, usize)>;

fn percent_encoded(bytes: &[u8]) -> Option<(Utf8, usize)> {
    let [b'%', high, low, ..] = bytes else { return None };
    Some((Utf8::of_byte(hexadecimal(*high)? << 4 | hexadecimal(*low)?), 3))
}

fn escaped_in_json(bytes: &[u8]) -> Option<(Utf8, usize)> {
    let [b'\\', escaped, rest @ ..] = bytes else { return None };
    let byte = match escaped {
        b'"' | b'\\' | b'/' => *escaped,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return Some((numbered(rest.get(..4)?, 16)?, 6)),
        _ => return None,
    };
    Some((Utf8::of_byte(byte), 2))
}

fn escaped_in_html(bytes: &[u8]) -> Option<(Utf8, usize)> {
    const LONGEST: usize = 8;
    let [b'&', rest @ ..] = bytes else { return None };
    let name = &rest[..rest.iter().take(LONGEST).position(|&byte| byte == b';')?];
    let character = match name {
        b"amp" => Utf8::of_byte(b'&'),
        b"lt" => Utf8::of_byte(b'<'),
        b"gt" => Utf8::of_byte(b'>'),
        b"quot" => Utf8::of_byte(b'"'),
        b"apos" => Utf8::of_byte(b'\''),
        [b'#', b'x' | b'X', digits @ ..] => numbered(digits, 16)?,
        [b'#', digits @ ..] => numbered(digits, 10)?,
        _ => return None,
    };
    Some((character, name.len() + 2))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The character with this code point, in UTF-8.
fn numbered(digits: &[u8], radix: u32) -> Option<Utf8> {
    let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    char::from_u32(number).map(Utf8::of_char)
}

/// Whether base64, standard or URL-safe, contains a secret. Text that only looks like base64 may come before it, so
/// each of the first four characters may be its beginning.
fn holds_in_base64(run: &[u8], secrets: &[&Finder]) -> bool {
    (0..4.min(run.len())).any(|first| {
        let plain = DecodedText::of_base64(&run[first..]);
        // The id and the secret of a Basic header are percent-encoded (RFC 6749, section 2.3.1).
        let decoded = plain.decoded();
        let mut texts = decoded.iter().chain([&plain]);
        texts.any(|text| secrets.iter().any(|secret| !secret.find(&text.bytes).is_empty()))
    })
}

impl DecodedText {
    /// The complete bytes that the base64 encodes.
    fn of_base64(characters: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(characters.len() * 3 / 4);
        let (mut bits, mut count) = (0_u32, 0);
        for six in characters.iter().copied().filter_map(six_bits) {
            bits = bits << 6 | u32::from(six);
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count & 0xff) as u8);
            }
        }
        let starts = (0..=bytes.len()).collect();
        Self { bytes, starts }
    }
}

/// The value of a base64 character, in the standard or the URL-safe alphabet.
fn six_bits(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
