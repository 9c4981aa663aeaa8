//! Describes the expected form of JSON bodies. It is strict: an unknown field, a missing field, and a field of another
//! type are violations.

use serde_json::Value;

/// The allowed values.
#[derive(Debug)]
pub(super) enum Shape {
    /// A string that is not empty.
    Text,
    /// Exactly this string.
    Exactly(&'static str),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A time stamp in UTC with microseconds: `2026-01-01T12:00:00.000000+00:00`.
    Timestamp,
    /// `true` or `false`.
    Boolean,
    /// A whole number, 0 or more.
    Count,
    /// A number, 0 or more.
    Amount,
    /// A number from 0 to 1.
    Fraction,
    /// Any object with at least one field; the caller chooses the fields.
    AnyObject,
    /// `null`, or a value of this shape.
    Nullable(&'static Shape),
    /// A list of values of this shape.
    List(&'static Shape),
    /// An object with these fields and no others.
    Record(&'static [Field]),
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

/// A required field.
pub(super) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

/// An optional field.
pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

impl Shape {
    /// All differences between `value` and this shape, each with its path.
    pub(super) fn violations(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.inspect(value, "", &mut found);
        found
    }

    fn inspect(&self, value: &Value, path: &str, found: &mut Vec<String>) {
        match (self, value) {
            (Self::Nullable(_), Value::Null) => {}
            (Self::Nullable(shape), _) => shape.inspect(value, path, found),
            (Self::List(shape), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    shape.inspect(item, &format!("{path}[{index}]"), found);
                }
            }
            (Self::Record(fields), Value::Object(given)) => {
                for field in *fields {
                    let path = below(path, field.name);
                    match given.get(field.name) {
                        Some(value) => field.shape.inspect(value, &path, found),
                        None if field.required => found.push(format!("`{path}` is missing")),
                        None => {}
                    }
                }
                for name in given.keys().filter(|name| fields.iter().all(|field| field.name != *name)) {
                    found.push(format!("`{}` is not a field of this call", below(path, name)));
                }
            }
            _ if self.matches(value) => {}
            _ => found.push(format!("{} is not {}", named(path), self.description())),
        }
    }

    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Exactly(expected) => value.as_str() == Some(expected),
            Self::OneOf(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
            Self::Timestamp => value.as_str().is_some_and(is_timestamp),
            Self::Boolean => value.is_boolean(),
            Self::Count => value.is_u64(),
            Self::Amount => value.as_f64().is_some_and(|number| number >= 0.0),
            Self::Fraction => value.as_f64().is_some_and(|number| (0.0..=1.0).contains(&number)),
            Self::AnyObject => value.as_object().is_some_and(|fields| !fields.is_empty()),
            Self::Nullable(_) | Self::List(_) | Self::Record(_) => false,
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Exactly(expected) => format!("`{expected}`"),
            Self::OneOf(choices) => format!("one of `{}`", choices.join("`, `")),
            Self::Timestamp => "a time stamp such as `2026-01-01T12:00:00.000000+00:00`".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Count => "a whole number, 0 or more".to_owned(),
            Self::Amount => "a number, 0 or more".to_owned(),
            Self::Fraction => "a number from 0 to 1".to_owned(),
            Self::AnyObject => "an object with at least one field".to_owned(),
            Self::Nullable(shape) => format!("{}, or `null`", shape.description()),
            Self::List(_) => "a list".to_owned(),
            Self::Record(_) => "an object".to_owned(),
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn named(path: &str) -> String {
    if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") }
}

fn is_timestamp(text: &str) -> bool {
    const PATTERN: &[u8] = b"dddd-dd-ddTdd:dd:dd.dddddd+00:00";
    let looks_right = text.len() == PATTERN.len()
        && text.bytes().zip(PATTERN).all(|(byte, &pattern)| match pattern {
            b'd' => byte.is_ascii_digit(),
            literal => byte == literal,
        });
    looks_right && text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAMPLE: Shape = Shape::Record(&[
        required("name", Shape::Text),
        optional("parts", Shape::List(&Shape::Record(&[required("size", Shape::Count)]))),
    ]);

    #[test]
    fn every_violation_is_named_with_its_path() {
        let cases = [
            (json!({"name": "a"}), vec![]),
            (json!({"name": "a", "parts": [{"size": 0}]}), vec![]),
            (json!([]), vec!["the body is not an object"]),
            (json!({}), vec!["`name` is missing"]),
            (json!({"name": ""}), vec!["`name` is not a text"]),
            (json!({"name": "a", "parts": 1}), vec!["`parts` is not a list"]),
            (
                json!({"name": "a", "parts": [{"size": 1}, {"size": -1, "Size": 1}]}),
                vec!["`parts[1].size` is not a whole number, 0 or more", "`parts[1].Size` is not a field of this call"],
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(SAMPLE.violations(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_simple_value_matches_or_does_not_match() {
        let cases = [
            (Shape::Timestamp, json!("2026-01-01T12:00:00.000000+00:00"), true),
            (Shape::Timestamp, json!("2026-01-01T12:00:00Z"), false),
            (Shape::Timestamp, json!("2026-01-01T12:00:00.000+00:00"), false),
            (Shape::Timestamp, json!("2026-13-01T12:00:00.000000+00:00"), false),
            (Shape::Fraction, json!(1), true),
            (Shape::Fraction, json!(1.01), false),
            (Shape::Amount, json!(42.5), true),
            (Shape::Amount, json!(-0.5), false),
            (Shape::Count, json!(3.0), false),
            (Shape::Boolean, json!("true"), false),
            (Shape::AnyObject, json!({}), false),
            (Shape::Nullable(&Shape::Text), json!(null), true),
            (Shape::Nullable(&Shape::Text), json!(1), false),
            (Shape::OneOf(&["a", "b"]), json!("b"), true),
            (Shape::Exactly("a"), json!("b"), false),
        ];
        for (shape, value, fits) in cases {
            assert_eq!(shape.violations(&value).is_empty(), fits, "{shape:?} {value}");
        }
    }
}
