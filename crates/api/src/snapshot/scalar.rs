//! The meaning of a YAML scalar by the core schema of YAML 1.2 (chapter 10.3), and its form in JSON.

use serde_saphyr::granit_parser::{ScalarStyle, Tag};
use std::borrow::Cow;

/// The meaning of a scalar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Truth(bool),
    /// A number in JSON's form, with all its digits.
    Number {
        /// The JSON number.
        token: Cow<'a, str>,
        /// Whether leading zeros were removed.
        had_leading_zeros: bool,
    },
    /// A text.
    Text {
        /// The meaning of the same text in YAML 1.1, if it differs.
        older_meaning: Option<&'static str>,
    },
    /// A value that JSON does not have or that the scalar's tag forbids, with its description.
    NotJson(&'static str),
}

const TEXT: Scalar<'_> = Scalar::Text { older_meaning: None };

/// The meaning of a scalar with this text, style and tag.
pub(super) fn resolve<'a>(text: &'a str, style: ScalarStyle, tag: Option<&Tag>) -> Scalar<'a> {
    const NAMESPACE: &str = "tag:yaml.org,2002:";
    // The tag "!" alone marks a text. A tag that an application has defined has no meaning here.
    let named = tag.map(|tag| tag.suffix_in_namespace(NAMESPACE));
    let is_plain = style == ScalarStyle::Plain;
    match (tag, named.flatten().as_deref()) {
        (None, _) if is_plain => plain(text),
        (Some(tag), None) if is_plain && !is_bare(tag) => plain(text),
        (_, None | Some("str")) => TEXT,
        (_, Some("null")) => tagged(text, "null"),
        (_, Some("bool")) => tagged(text, "bool"),
        (_, Some("int")) => tagged(text, "int"),
        (_, Some("float")) => tagged(text, "float"),
        (_, Some("timestamp" | "merge" | "value")) => TEXT,
        (_, Some(_)) => Scalar::NotJson("a scalar with a tag that has no JSON equivalent"),
    }
}

fn is_bare(tag: &Tag) -> bool {
    tag.parts() == ("", "!") || tag.parts() == ("!", "")
}

fn tagged<'a>(text: &'a str, tag: &'static str) -> Scalar<'a> {
    let scalar = plain(text.trim_matches([' ', '\t', '\r', '\n']));
    match (&scalar, tag) {
        (Scalar::Null, "null") | (Scalar::Truth(_), "bool") | (Scalar::Number { .. }, "float") => scalar,
        (Scalar::Number { token, .. }, "int") if !token.contains(['.', 'e', 'E']) => scalar,
        _ => Scalar::NotJson("not a valid value for its tag"),
    }
}

/// The meaning of a scalar without quotes.
fn plain(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Truth(true),
        "false" | "False" | "FALSE" => return Scalar::Truth(false),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Scalar::NotJson("a number that JSON does not have");
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Scalar::Text { older_meaning: older_truth(text) };
    }
    let based = [("0o", 8), ("0x", 16)].into_iter().find_map(|(prefix, base)| Some((text.strip_prefix(prefix)?, base)));
    // A number that is larger than any machine integer is an address or a hash.
    if let Some((digits, base)) = based
        && !digits.starts_with('+')
        && let Ok(number) = u64::from_str_radix(digits, base)
    {
        return Scalar::Number { token: number.to_string().into(), had_leading_zeros: false };
    }
    decimal(text).unwrap_or_else(|| Scalar::Text { older_meaning: older_number(unsigned) })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` as a JSON number.
fn decimal(text: &str) -> Option<Scalar<'_>> {
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        (!digits.is_empty() && are_digits(digits)).then_some(())?;
    }
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let fraction_digits = fraction.unwrap_or_default();
    (are_digits(whole) && are_digits(fraction_digits) && whole.len() + fraction_digits.len() > 0).then_some(())?;
    let significant = whole.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    let had_leading_zeros = whole.len() > significant.len();
    if significant == "0" && fraction.is_none() && exponent.is_none() {
        // An integer has no negative zero.
        return Some(Scalar::Number { token: "0".into(), had_leading_zeros });
    }
    if text.len() == significant.len() {
        return Some(Scalar::Number { token: text.into(), had_leading_zeros });
    }
    let mut token = String::with_capacity(text.len() + 2);
    token.push_str(if is_negative { "-" } else { "" });
    token.push_str(significant);
    if let Some(fraction) = fraction {
        token.push('.');
        token.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        token.push('e');
        token.push_str(exponent);
    }
    Some(Scalar::Number { token: token.into(), had_leading_zeros })
}

fn older_truth(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        _ if text.len() > 3 => None,
        "y" | "yes" | "on" => Some("true"),
        "n" | "no" | "off" => Some("false"),
        _ => None,
    }
}

/// Recognizes digits with underscores between them, and binary numbers.
fn older_number(text: &str) -> Option<&'static str> {
    let digits = text.strip_prefix("0b").unwrap_or(text);
    let is_older = digits.len() < text.len() || text.contains('_');
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    (is_older && are_digits).then_some("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_what_the_core_schema_of_yaml_1_2_says() {
        let number = |token: &'static str| Scalar::Number { token: token.into(), had_leading_zeros: false };
        let zeros = |token: &'static str| Scalar::Number { token: token.into(), had_leading_zeros: true };
        let was = |older_meaning| Scalar::Text { older_meaning: Some(older_meaning) };
        for (text, scalar) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("Null", Scalar::Null),
            ("nULL", TEXT),
            ("true", Scalar::Truth(true)),
            ("FALSE", Scalar::Truth(false)),
            ("yes", was("true")),
            ("Off", was("false")),
            ("NO", was("false")),
            ("no!", TEXT),
            ("0", number("0")),
            ("-0", number("0")),
            ("-0.0", number("-0.0")),
            ("+12", number("12")),
            ("00", zeros("0")),
            ("0644", zeros("644")),
            ("-007", zeros("-7")),
            ("0041791234567", zeros("41791234567")),
            ("0o17", number("15")),
            ("0o8", TEXT),
            ("0x1F", number("31")),
            ("0x+1", TEXT),
            ("-0x1f", TEXT),
            ("0xdeadbeefdeadbeefdeadbeef", TEXT),
            ("123456789012345678901234567890", number("123456789012345678901234567890")),
            ("3.10", number("3.10")),
            ("3.14159265358979323846", number("3.14159265358979323846")),
            (".5", number("0.5")),
            ("-.5", number("-0.5")),
            ("1.", number("1.0")),
            ("1.e3", number("1.0e3")),
            ("1e3", number("1e3")),
            ("1E+3", number("1e+3")),
            ("-1E+3", number("-1e+3")),
            ("007.5", zeros("7.5")),
            ("1e999", number("1e999")),
            (".", TEXT),
            ("1.2.3", TEXT),
            ("1e", TEXT),
            ("+", TEXT),
            ("-", TEXT),
            ("1_000", was("a number")),
            ("0b101", was("a number")),
            ("_1", TEXT),
            ("2026-01-01", TEXT),
            ("12:30:45", TEXT),
            (".inf", Scalar::NotJson("a number that JSON does not have")),
            ("-.INF", Scalar::NotJson("a number that JSON does not have")),
            (".NaN", Scalar::NotJson("a number that JSON does not have")),
        ] {
            assert_eq!(plain(text), scalar, "{text}");
        }
    }
}
