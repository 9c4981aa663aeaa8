use proptest::prelude::*;

use super::*;

const SECRET: &str = "s3cr3t+/\"ca nary=ä";

/// Base64, written here because the standard library has none. It is independent of the code that decodes base64.
fn base64(bytes: &[u8], alphabet_end: &[u8; 2], padded: bool) -> String {
    let alphabet: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(alphabet_end.iter().copied()).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut block = [0; 3];
        block[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, block[0], block[1], block[2]]);
        let digits = (0..=chunk.len()).map(|nth| char::from(alphabet[(bits >> (18 - 6 * nth) & 63) as usize]));
        text.extend(digits);
        text.extend(std::iter::repeat_n('=', if padded { 3 - chunk.len() } else { 0 }));
    }
    text
}

fn percent(text: &str, keep: &str, upper: bool) -> String {
    let spell = |byte: u8| match (byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte), upper) {
        (true, _) => char::from(byte).to_string(),
        (false, true) => format!("%{byte:02X}"),
        (false, false) => format!("%{byte:02x}"),
    };
    text.bytes().map(spell).collect()
}

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The secret in all encodings that are known to be in use.
fn encodings(secret: &str) -> Vec<String> {
    let html = secret.replace('&', "&amp;").replace('"', "&quot;");
    let everything: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut all = vec![
        secret.to_owned(),
        form(secret),
        percent(secret, "-._~", true),
        percent(secret, "-._~", false),
        // Python's quote() does not encode the slash; JavaScript's encodeURI() encodes almost nothing.
        percent(secret, "-._~/", true),
        percent(secret, "-._~!*'();/?:@&=+$,#", true),
        everything,
        json(secret),
        json(&json(secret)),
        json(secret).replace('/', "\\/"),
        secret.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect(),
        html.clone(),
        html.replace("&quot;", "&#34;"),
        html.replace("&quot;", "&#x22;"),
    ];
    for end in [b"+/", b"-_"] {
        for padded in [true, false] {
            // All three alignments; the last is the Basic header of RFC 7617, and of RFC 6749.
            for inside in [secret.to_owned(), format!("x{secret}"), format!("xy{secret}"), format!("{secret}:more")] {
                all.push(base64(inside.as_bytes(), end, padded));
            }
            all.push(base64(format!("the-client:{secret}").as_bytes(), end, padded));
            let header = base64(format!("the-client:{}", form(secret)).as_bytes(), end, padded);
            all.extend([percent(&header, "", true), json(&header).replace('/', "\\/"), header]);
        }
    }
    all
}

#[test]
fn a_secret_is_redacted_in_every_encoding() {
    let secrets = Secrets::new([SECRET, ""]);
    let encodings = encodings(SECRET);
    assert!(encodings.len() > 40);
    for echo in encodings {
        assert_eq!(secrets.redact(&format!("no: {echo}!")), "no: [redacted]!", "{echo}");
    }
}

#[test]
fn a_text_without_the_secret_stays_as_it_is() {
    let secrets = Secrets::new([SECRET]);
    for text in [
        "",
        "s3cr3t",
        "100 % of 50%ab are \\\\ gone & lost; &amp; &#x110000; \\ud800 \\u12",
        "Basic ZGVtbzpkZW1vLXNlY3JldC1vZi1zb21lYm9keS1lbHNl",
        "/api/v2/environments/env_prod_us_01/validate",
        "ä%C3%A4%C3",
    ] {
        assert_eq!(secrets.redact(text), text);
    }
    assert_eq!(Secrets::default().redact("text"), "text");
}

#[test]
fn overlapping_secrets_are_redacted_completely() {
    let secrets = Secrets::new(["abcdefgh", "abcdefghijkl", "ijklmnop"]);
    assert_eq!(secrets.redact("1 abcdefghijklmnop 2 abcdefgh 3"), "1 [redacted] 2 [redacted] 3");
}

#[test]
fn a_secret_that_looks_encoded_is_redacted() {
    for secret in ["a%41b%2", "back\\nslash\\u0041", "%%%%", "&amp;amp;", "AAAAAAAA", "====", "++++"] {
        let secrets = Secrets::new([secret]);
        for echo in [secret.to_owned(), form(secret), json(secret), base64(secret.as_bytes(), b"+/", true)] {
            let shown = secrets.redact(&format!("no: {echo}!"));
            assert!(shown.starts_with("no: [redacted]") && !shown.contains(secret), "{secret}: {echo}: {shown}");
        }
    }
}

#[test]
fn no_part_of_a_secret_remains_at_the_end_of_a_truncated_text() {
    let secrets = Secrets::new([SECRET]);
    for spelling in [SECRET.to_owned(), percent(SECRET, "", true), base64(SECRET.as_bytes(), b"-_", true)] {
        for from in [KEPT_BYTES - 1, KEPT_BYTES - spelling.len() / 2, KEPT_BYTES - 8] {
            let shown = secrets.redact(&format!("{}{spelling}{}", "!".repeat(from), "!".repeat(64 * 1024)));
            assert!(shown.len() <= KEPT_BYTES + REDACTED.len());
            assert_eq!(shown.trim_start_matches('!').replace(REDACTED, ""), "", "{spelling}");
        }
    }
}

#[test]
fn debug_output_contains_no_secret() {
    assert_eq!(format!("{:?}", Secrets::new(["a", "b", "a"])), "Secrets(2)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_secret_is_redacted_at_any_position(
        secret in "[ -~ä]{4,40}",
        before in ".{0,12}",
        after in ".{0,12}",
    ) {
        let secrets = Secrets::new([secret.as_str()]);
        for echo in encodings(&secret) {
            let shown = secrets.redact(&format!("{before} {echo} {after}"));
            prop_assert!(shown.contains(REDACTED), "{echo}");
            // The replacement text itself may contain such a short secret by chance.
            prop_assert!(!shown.replace(REDACTED, "\0").contains(&echo), "{echo}: {shown}");
        }
    }

    #[test]
    fn any_text_is_accepted(text in "([%\\\\&;#xu0-9a-fA-F=+/]|.){0,80}", secret in "[ -~]{1,8}") {
        let shown = Secrets::new([secret.as_str()]).redact(&text);
        prop_assert!(!shown.replace(REDACTED, "\0").contains(&secret), "{shown}");
    }
}
