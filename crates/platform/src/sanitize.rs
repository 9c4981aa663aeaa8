//! Prepares the API's own messages for users: extracts them from an answer, shortens them, and removes secrets and control
//! characters.

use std::borrow::Cow;

use serde_json::Value;

use super::secrets::Secrets;

/// The maximum number of bytes of a message (contract, "Errors").
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// The fields in which APIs put their message, in order of preference.
const MESSAGE_FIELDS: [&str; 8] =
    ["message", "error_description", "detail", "error", "title", "reason", "errors", "validationErrors"];

/// The maximum depth of nested error objects that is searched.
const MAX_DEPTH: usize = 4;

/// The message of an error answer: from its JSON, or otherwise its text. Empty if there is none.
pub fn error_message(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => flatten(&json, MAX_DEPTH),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// The message in a JSON string or object: one line without the secrets.
pub fn json_message(value: &Value, secrets: &Secrets) -> String {
    single_line(&secrets.redact(&flatten(value, MAX_DEPTH)))
}

fn flatten(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ if depth == 0 => value.to_string(),
        Value::Array(entries) => entries
            .iter()
            .map(|entry| flatten(entry, depth - 1))
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
        Value::Object(fields) => flatten_object(fields, depth),
    }
}

/// The message field, with the fields that say what it refers to. If there is no message field, all fields with their
/// names.
fn flatten_object(fields: &serde_json::Map<String, Value>, depth: usize) -> String {
    let message = MESSAGE_FIELDS
        .iter()
        .filter_map(|name| fields.get(*name))
        .map(|value| flatten(value, depth - 1))
        .find(|text| !text.is_empty());
    let about = ["constraint", "code", "field", "path"]
        .iter()
        .filter_map(|name| fields.get(*name))
        .filter(|value| value.is_string() || value.is_number())
        .map(|value| flatten(value, 0));
    match message {
        Some(message) => about.chain([message]).collect::<Vec<_>>().join(": "),
        None => fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", flatten(value, depth - 1)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Makes one line: each run of white space and control characters becomes one space, and the text is truncated to 1 KiB.
pub fn single_line(text: &str) -> String {
    let readable = text.split(|letter: char| letter.is_whitespace() || is_invisible(letter));
    let line = readable.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    truncate(&line, MAX_MESSAGE_BYTES).into_owned()
}

/// A user's value in quotes, for a message about it: one short line without the secrets.
pub fn quoted(value: &str, secrets: &[&str]) -> String {
    const MAX_BYTES: usize = 100;
    let shown = Secrets::new(secrets.iter().copied()).redact(value);
    format!("\"{}\"", truncate(&single_line(&shown), MAX_BYTES))
}

/// Control characters, and characters that reorder or hide text on a terminal.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Truncates a text to at most `limit` bytes without splitting a character. A truncated text ends with `...`.
pub fn truncate(text: &str, limit: usize) -> Cow<'_, str> {
    const MARK: &str = "...";
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len()));
    Cow::Owned(format!("{}{MARK}", &text[..end]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_found_in_every_usual_field() {
        for (body, message) in [
            (r#"{"message": "quota exceeded"}"#, "quota exceeded"),
            (r#"{"error": "invalid_client", "error_description": "unknown client"}"#, "unknown client"),
            (r#"{"error": {"code": "E42", "message": "no such environment"}}"#, "E42: no such environment"),
            (r#"{"errors": ["a", {"message": "b"}]}"#, "a; b"),
            (r#"{"status": 404, "title": "Not Found"}"#, "Not Found"),
            (r#"{"x": 1}"#, "x: 1"),
            ("upstream is down", "upstream is down"),
            ("", ""),
            ("null", ""),
        ] {
            assert_eq!(error_message(body.as_bytes()), message, "{body}");
        }
    }

    #[test]
    fn an_object_about_a_constraint_is_one_readable_line() {
        let entry = json!({"constraint": "memory_limit_mb", "message": "4096 is over\nthe 2048 left"});
        assert_eq!(json_message(&entry, &Secrets::default()), "memory_limit_mb: 4096 is over the 2048 left");
    }

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        assert_eq!(single_line("a\u{1b}[31mred\r\n\tb\u{202e}c\0"), "a [31mred b c");
    }

    #[test]
    fn a_long_message_is_truncated_between_characters() {
        let long = single_line(&"ä".repeat(2000));
        assert!(long.len() <= MAX_MESSAGE_BYTES && long.ends_with("ä..."));
    }

    proptest! {
        #[test]
        fn any_answer_becomes_a_bounded_line(body in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let message = single_line(&error_message(&body));
            prop_assert!(message.len() <= MAX_MESSAGE_BYTES);
            prop_assert!(!message.chars().any(char::is_control));
        }
    }
}
