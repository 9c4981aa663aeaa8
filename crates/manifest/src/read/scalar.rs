//! The meaning of a YAML scalar as kubectl reads it: by YAML 1.1, with the exceptions of Go's library.
//!
//! `src/tests/kubectl.txt` holds what kubectl said. A test runs kubectl on the same table.

use super::number;
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

/// The meaning of a scalar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Truth(bool),
    /// A number, as kubectl sends it.
    Number(String),
    Text,
    /// kubectl refuses it; what is wrong.
    Refused(String),
}

/// The meaning of a scalar with this text, style and tag.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Scalar {
    const NAMESPACE: &str = "tag:yaml.org,2002:";
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Scalar::Text };
    };
    // The tag "!" alone marks a text.
    if matches!(tag.parts(), ("", "!") | ("!", "")) {
        return Scalar::Text;
    }
    let scalar = plain(text);
    match (tag.suffix_in_namespace(NAMESPACE).as_deref(), &scalar) {
        (Some("str"), _) => Scalar::Text,
        (Some("null"), Scalar::Null) | (Some("bool"), Scalar::Truth(_)) | (Some("float"), Scalar::Number(_)) => scalar,
        (Some("int"), Scalar::Number(_)) if integer(&text.replace('_', "")).is_some() => scalar,
        (Some(name @ ("null" | "bool" | "float" | "int")), _) => {
            // The value may be a secret.
            Scalar::Refused(format!("the value is not what its tag !!{name} says: remove the tag or change the value"))
        }
        _ => Scalar::Refused("its tag means nothing in a manifest: remove the tag".to_owned()),
    }
}

/// The meaning of a scalar without quotes and without a tag.
fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Truth(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Truth(false);
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => {
            return Scalar::Refused(format!("{text} is a number that JSON does not have: write a number, or quotes"));
        }
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') if are_between_digits(text) => float(&text.replace('_', "")),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let text = text.replace('_', "");
            integer(&text).or_else(|| float(&text))
        }
        _ => None,
    };
    number.map_or(Scalar::Text, Scalar::Number)
}

/// An integer as Go's `ParseInt` and `ParseUint` read it with base 0.
fn integer(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (Some(true), text.get(1..)?),
        b'+' => (Some(false), text.get(1..)?),
        _ => (None, text),
    };
    let prefix = unsigned.get(..2).filter(|_| unsigned.len() > 2).map(str::to_ascii_lowercase);
    let (digits, base) = match prefix.as_deref() {
        Some("0b") => (unsigned.get(2..)?, 2),
        Some("0o") => (unsigned.get(2..)?, 8),
        Some("0x") => (unsigned.get(2..)?, 16),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (unsigned.get(1..)?, 8),
        _ => (unsigned, 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    match sign {
        None => number::unsigned(magnitude),
        Some(false) => i64::try_from(magnitude).ok().map(|integer| integer.to_string()),
        Some(true) => 0_i64.checked_sub_unsigned(magnitude).map(|integer| integer.to_string()),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`. A number beyond every double is a text for kubectl.
fn float(text: &str) -> Option<String> {
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = whole.len() + fraction.len() > 0
        && !exponent.is_empty()
        && [whole, fraction, exponent].into_iter().all(are_digits);
    is_number.then(|| text.parse().ok()).flatten().and_then(number::double)
}

/// Whether each underscore is between two digits, as Go demands it of a number that begins with a point.
fn are_between_digits(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let mut underscores = (0..bytes.len()).filter(|place| bytes.get(*place) == Some(&b'_'));
    underscores.all(|place| place > 0 && is_digit(bytes.get(place - 1)) && is_digit(bytes.get(place + 1)))
}

/// Why a plain scalar may not mean what its author meant, and what to write instead.
pub(super) fn warning(text: &str, scalar: &Scalar) -> Option<String> {
    match scalar {
        Scalar::Truth(truth) if !text.eq_ignore_ascii_case(if *truth { "true" } else { "false" }) => {
            Some(format!("kubectl reads {text} as {truth}, YAML 1.2 as a text: write {truth}, or \"{text}\" in quotes"))
        }
        Scalar::Number(number) => of_number(text, number),
        _ => None,
    }
}

fn of_number(text: &str, number: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_based = matches!(unsigned.get(..2), Some("0x" | "0o"));
    let is_odd = text.contains('_')
        || matches!(unsigned.get(..2), Some("0b" | "0B" | "0O" | "0X"))
        || (is_based && unsigned.len() < text.len())
        || (unsigned.starts_with('0') && unsigned.as_bytes().get(1).is_some_and(u8::is_ascii_digit));
    if is_odd {
        let text = short(text);
        return Some(format!("kubectl reads {text} as the number {number}: write {number}, or \"{text}\" in quotes"));
    }
    if !is_based && !number::is_same(text, number) {
        let text = short(text);
        return Some(format!(
            "kubectl sends {text} as {number}, because it keeps doubles only: write \"{text}\" in quotes if each digit matters"
        ));
    }
    None
}

fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(60)).unwrap_or_default()
}
