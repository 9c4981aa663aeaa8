//! The hashed form of a number: the form of RFC 8785 if a double represents the number exactly, otherwise a form with all its
//! digits.

use std::borrow::Cow;

/// Above this, two different integers may be the same double.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// A number as digits times a power of ten. The digits have no zeros at either end; zero has no digits.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Parses a JSON number; `None` if its exponent does not fit into 64 bits.
    fn of(token: &str) -> Option<Self> {
        let (is_negative, rest) = token.strip_prefix('-').map_or((false, token), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = String::with_capacity(whole.len() + fraction.len());
        digits.push_str(whole);
        digits.push_str(fraction);
        let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let kept = digits.trim_end_matches('0').len();
        let exponent = exponent.checked_add(i64::try_from(digits.len() - kept).ok()?)?;
        digits.truncate(kept);
        let leading = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..leading);
        Some(Self { is_negative, digits, exponent })
    }
}

/// The canonical form of a JSON number.
///
/// RFC 8785 writes every number as a double, so two different numbers could have the same hash. If a double does not
/// represent every digit of a number, the number is hashed as a text that no user writes by accident.
pub(super) fn canonical(token: &str) -> Cow<'_, str> {
    if let Some(integer) = integer(token) {
        return integer;
    }
    let Some(decimal) = Decimal::of(token) else { return tagged("number", token).into() };
    if decimal.digits.is_empty() {
        return "0".into();
    }
    let double: Option<f64> = token.parse().ok().filter(|double: &f64| double.is_finite());
    // A double may have several shortest forms (1021148196916371.2 and 1021148196916371.3). Only one of them is
    // canonical: the one that ECMAScript and Go write.
    let shortest = double.and_then(|double| serde_json_canonicalizer::to_string(&double).ok());
    let is_exact =
        shortest.as_ref().and_then(|shortest| Decimal::of(shortest)).is_some_and(|shortest| shortest == decimal);
    let canonical = shortest.filter(|_| is_exact).unwrap_or_else(|| {
        let sign = if decimal.is_negative { "-" } else { "" };
        tagged("number", &format!("{sign}{}e{}", decimal.digits, decimal.exponent))
    });
    canonical.into()
}

/// An integer of 64 bits; `None` for any other number.
fn integer(token: &str) -> Option<Cow<'_, str>> {
    let magnitude = match token.parse::<i64>() {
        Ok(0) => return Some("0".into()),
        Ok(integer) => integer.unsigned_abs(),
        Err(_) => token.parse::<u64>().ok()?,
    };
    Some(if magnitude > LARGEST_EXACT { tagged("integer", token).into() } else { token.into() })
}

fn tagged(kind: &str, number: &str) -> String {
    format!("\"\\u0000{kind}:{number}\"")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_a_double_holds_is_written_as_rfc_8785_does() {
        // The first cases come from appendix B of the RFC.
        for (token, canonical_form) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e7", "0"),
            ("5e-324", "5e-324"),
            ("-5e-324", "-5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740992.0", "9007199254740992"),
            ("295147905179352830000", "295147905179352830000"),
            ("9.999999999999997e22", "9.999999999999997e+22"),
            ("1e23", "1e+23"),
            ("999999999999999700000", "999999999999999700000"),
            ("999999999999999900000", "999999999999999900000"),
            ("1e21", "1e+21"),
            ("1e+21", "1e+21"),
            ("0.000001", "0.000001"),
            ("9.999999999999997e-7", "9.999999999999997e-7"),
            ("333333333.3333332", "333333333.3333332"),
            ("1.0", "1"),
            ("1e2", "100"),
            ("100000000000000000000", "100000000000000000000"),
            ("3.10", "3.1"),
            ("1021148196916371.2", "1021148196916371.2"),
            ("-12.5E-1", "-1.25"),
        ] {
            assert_eq!(canonical(token), canonical_form, "{token}");
        }
    }

    #[test]
    fn a_number_with_more_digits_than_a_double_holds_keeps_them() {
        for (token, canonical_form) in [
            ("9007199254740991", "9007199254740991"),
            ("9007199254740992", r#""\u0000integer:9007199254740992""#),
            ("-9223372036854775808", r#""\u0000integer:-9223372036854775808""#),
            ("18446744073709551615", r#""\u0000integer:18446744073709551615""#),
            ("18446744073709551616", r#""\u0000number:18446744073709551616e0""#),
            ("-9223372036854775809", r#""\u0000number:-9223372036854775809e0""#),
            ("3.14159265358979323846", r#""\u0000number:314159265358979323846e-20""#),
            ("0.10000000000000000001000", r#""\u0000number:10000000000000000001e-20""#),
            ("1e999", r#""\u0000number:1e999""#),
            ("-10e998", r#""\u0000number:-1e999""#),
            ("1e-999", r#""\u0000number:1e-999""#),
            ("1e99999999999999999999", r#""\u0000number:1e99999999999999999999""#),
        ] {
            assert_eq!(canonical(token), canonical_form, "{token}");
        }
    }

    #[test]
    fn the_same_number_in_another_spelling_hashes_alike() {
        for (one, other) in [
            ("1", "1.000"),
            ("1e3", "1000"),
            ("1e400", "10e399"),
            ("3.14159265358979323846", "314159265358979323846e-20"),
            ("0.5", "5e-1"),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
    }
}
