//! Reads JSON documents as kubectl does: any number of them, one after the other.

use super::builder::{Builder, Fault};
use super::number;
use crate::node::Content;
use serde_json::value::RawValue;

/// The objects of a text that begins with a brace, each with the byte at which it begins. `None` if it does not begin with a JSON
/// object: it may be YAML then.
pub(super) fn objects(text: &str) -> Option<Result<Vec<(usize, &str)>, Fault>> {
    let mut objects = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    while let Some(object) = stream.next() {
        match object {
            Ok(object) => {
                // The stream has read up to the end of the object.
                let begin = stream.byte_offset().saturating_sub(object.get().len());
                objects.push((begin, object.get()));
            }
            Err(_) if objects.is_empty() => return None,
            Err(error) => {
                let message = format!("it is not JSON: {error}");
                return Some(Err(Fault { line: Some(error.line()), path: String::new(), message }));
            }
        }
    }
    Some(Ok(objects))
}

/// Reads a text that is known to be JSON, with the numbers that kubectl makes of it.
pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), Fault> {
    scan(text, builder, put_number)
}

/// Reads a text that is known to be JSON, with its numbers as they are written.
pub(super) fn read_as_written(text: &str, builder: &mut Builder) -> Result<(), Fault> {
    scan(text, builder, |token, line, builder| builder.value(line, Content::Number(token.to_owned())))
}

fn scan(
    text: &str,
    builder: &mut Builder,
    put_number: impl Fn(&str, usize, &mut Builder) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (bytes, mut at, mut line) = (text.as_bytes(), 0, 1);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => builder.begin_map(line, 0)?,
            b'[' => builder.begin_list(line, 0)?,
            b'}' | b']' => drop(builder.end()?),
            b'\n' => line += 1,
            b'"' => {
                let end = string_end(bytes, at + 1);
                let raw = text.get(at..=end).unwrap_or_default();
                let Ok(decoded) = serde_json::from_str::<String>(raw) else {
                    let message =
                        "it holds half a character (a lone surrogate such as \\ud800): write the whole character";
                    return Err(builder.fault(line, message.to_owned()));
                };
                match builder.expects_key() {
                    true => builder.key(line, decoded)?,
                    false => builder.value(line, Content::Text(decoded))?,
                }
                at = end;
            }
            b't' | b'f' | b'n' => {
                let (content, length) = match byte {
                    b't' => (Content::Truth(true), 4),
                    b'f' => (Content::Truth(false), 5),
                    _ => (Content::Null, 4),
                };
                builder.value(line, content)?;
                at += length - 1;
            }
            b'-' | b'0'..=b'9' => {
                let rest = text.get(at..).unwrap_or_default();
                let token = rest.split([',', ']', '}', ' ', '\t', '\n', '\r']).next().unwrap_or_default();
                put_number(token, line, builder)?;
                at += token.len() - 1;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

fn put_number(token: &str, line: usize, builder: &mut Builder) -> Result<(), Fault> {
    let Some(number) = number::of_json(token) else {
        return Err(builder
            .fault(line, "the number is beyond every double, which is what kubectl keeps: write a text".to_owned()));
    };
    if !number::is_same(token, &number) {
        builder.doubt(line, format!("kubectl sends this number as {number}, because it keeps doubles only: write a text if each digit matters"));
    }
    builder.value(line, Content::Number(number))
}

/// The position of a string's closing quote.
fn string_end(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at.min(bytes.len().saturating_sub(1))
}
