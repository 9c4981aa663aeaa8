//! Warnings about values that YAML has parsed differently from what they look like. They do not stop a deployment.

use super::text::head;
use crate::condition::truncate;

/// The maximum number of warnings for one snapshot.
pub const MAX_WARNINGS: usize = 10;
/// The maximum length of a warning in bytes.
pub const MAX_WARNING_BYTES: usize = 256;

/// Whether a number with a fraction is the value of a version key. As texts, 3.10 and 3.1 are different versions; as
/// numbers they are the same.
pub(super) fn looks_like_a_version(key: &str, number: &str) -> bool {
    const NAME: &str = "version";
    let ends_so = key.len().checked_sub(NAME.len()).and_then(|begin| key.get(begin..));
    ends_so.is_some_and(|end| end.eq_ignore_ascii_case(NAME)) && number.contains(['.', 'e', 'E'])
}

/// The warning about a number as a version.
pub(super) fn of_version(path: &str, number: &str) -> String {
    let number = short(number);
    let longer = if number.ends_with('0') { number.to_owned() } else { format!("{number}0") };
    cut(format!(
        "configurationSnapshot.{path} is the number {number}: YAML reads {longer} as a number and drops the last zero; \
         write \"{longer}\" in quotes if it is a version"
    ))
}

/// The warning about a number that was written with leading zeros.
pub(super) fn of_leading_zeros(path: &str, written: &str, number: &str) -> String {
    let (written, number) = (short(written), short(number));
    cut(format!(
        "configurationSnapshot.{path}: {written} was read as the number {number}; write it in quotes if the zeros matter"
    ))
}

/// The warning about a text that YAML 1.1 parses differently.
pub(super) fn of_older_yaml(path: &str, text: &str, meaning: &str) -> String {
    let text = short(text);
    cut(format!(
        "configurationSnapshot.{path} is the text \"{text}\" by the rules of YAML 1.2; YAML 1.1 reads it as {meaning}: \
         write {meaning}, or \"{text}\" in quotes"
    ))
}

fn short(text: &str) -> &str {
    let text = head(text);
    text.get(..text.floor_char_boundary(40)).unwrap_or_default()
}

fn cut(mut warning: String) -> String {
    truncate(&mut warning, MAX_WARNING_BYTES);
    warning
}
