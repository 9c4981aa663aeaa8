//! The size of a value in the API server's storage.

use serde::Serialize;
use std::io::{self, Write};

/// The number of bytes that a value takes in etcd, as JSON. They are counted without being stored.
///
/// The API server's encoder escapes `<`, `>`, `&` and the two line breaks U+2028 and U+2029, each in six bytes. In a
/// snapshot from the API server they are already escaped.
pub fn stored_size(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    // Counting does not fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const ESCAPE: usize = "\\u003c".len();
        const BREAK: usize = "\u{2028}".len();
        let marks = bytes.iter().filter(|byte| matches!(byte, b'<' | b'>' | b'&')).count();
        let breaks = bytes.windows(BREAK).filter(|three| matches!(three, [0xe2, 0x80, 0xa8 | 0xa9])).count();
        self.0 += bytes.len() + marks * (ESCAPE - 1) + breaks * (ESCAPE - BREAK);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::RawValue;

    #[test]
    fn characters_that_the_api_server_escapes_are_counted_with_their_escapes() {
        for (value, stored) in [
            (json!({"a": "b"}), r#"{"a":"b"}"#),
            (json!("<b>&</b>"), r#""\u003cb\u003e\u0026\u003c/b\u003e""#),
            (json!({"<": "\u{2028}\u{2029}\u{2027}\u{e000}"}), "{\"\\u003c\":\"\\u2028\\u2029\u{2027}\u{e000}\"}"),
            (json!("a \"quote\"\n"), r#""a \"quote\"\n""#),
        ] {
            assert_eq!(stored_size(&value), stored.len(), "{stored}");
            let as_stored = RawValue::from_string(stored.to_owned()).unwrap();
            assert_eq!(stored_size(&as_stored), stored.len(), "as it comes from the API server: {stored}");
        }
    }
}
