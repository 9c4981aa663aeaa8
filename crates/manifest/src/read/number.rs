//! Numbers as kubectl sends them: integers of 64 bits, and doubles in the form in which Go writes them.
//!
//! The digest of a number depends on its text (10000000000000000000 and 1e19 are two), so the text must be Go's.

/// A number that is no integer of 64 bits; `None` if it is beyond every double.
pub(super) fn double(number: f64) -> Option<String> {
    // ECMAScript and Go write doubles in the same form. Rust chooses differently if two shortest forms are equally near.
    let text = serde_json_canonicalizer::to_string(&number).ok().filter(|_| number.is_finite())?;
    // kubectl reads what it has written once more. A whole double becomes an integer there.
    Some(text.parse::<i64>().map_or(text, |integer| integer.to_string()))
}

/// An integer that may be too large for 63 bits.
pub(super) fn unsigned(integer: u64) -> Option<String> {
    match i64::try_from(integer) {
        Ok(integer) => Some(integer.to_string()),
        // Precision is lost here, as it is lost in kubectl.
        #[allow(clippy::cast_precision_loss)]
        Err(_) => double(integer as f64),
    }
}

/// A number of a JSON text; `None` if it is beyond every double.
pub(super) fn of_json(token: &str) -> Option<String> {
    match token.parse::<i64>() {
        Ok(integer) => Some(integer.to_string()),
        Err(_) => double(token.parse().ok()?),
    }
}

/// Whether a decimal number keeps all its digits as this number.
pub(crate) fn is_same(written: &str, read: &str) -> bool {
    digits(written) == digits(read)
}

/// The digits without zeros at either end, and the power of ten.
fn digits(number: &str) -> Option<(bool, String, i64)> {
    let (is_negative, rest) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let exponent = exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(all.len() - kept.len()).ok()?;
    let kept = kept.trim_start_matches('0');
    match kept.is_empty() {
        true => Some((false, String::new(), 0)),
        false => Some((is_negative, kept.to_owned(), exponent)),
    }
}
