//! Secrets that a test plants. The test then searches output for them in every encoding.

/// A planted secret and its place.
pub struct PlantedSecret {
    /// Where it was planted.
    pub place: String,
    spellings: Vec<String>,
}

impl PlantedSecret {
    /// A secret of at least eight characters, because a shorter one would be found by chance.
    pub fn new(place: impl Into<String>, secret: &str) -> Self {
        assert!(secret.len() >= 8, "{secret} would be found by chance");
        Self { place: place.into(), spellings: spellings(secret) }
    }

    /// The encoding in which a text contains the secret, if it does.
    pub fn found_in(&self, text: &str) -> Option<&str> {
        self.spellings.iter().find(|spelling| text.contains(spelling.as_str())).map(String::as_str)
    }
}

/// All encodings of the secret: unchanged; as in a URL, a form, JSON, JSON within JSON, HTML, and Rust's `Debug` of a
/// text and of bytes; in hexadecimal; and in base64, standard or URL-safe, with any text before it, also if it was
/// first percent-encoded for a Basic header.
fn spellings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let percent = |keep: &str, upper: bool| -> String {
        let spell = |&byte: &u8| match (byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte), upper) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        };
        bytes.iter().map(spell).collect()
    };
    let json = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let listed = |separator: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    let form = percent("-._*", true).replace("%20", "+");
    let everything: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let mut all = vec![
        secret.to_owned(),
        form.clone(),
        percent("-._~", true),
        percent("-._~", false),
        // Python's quote() and JavaScript's encodeURI() leave more characters unencoded than the standard does.
        percent("-._~/", true),
        percent("-._~!*'();/?:@&=+$,#", true),
        everything.to_lowercase(),
        everything,
        json(secret),
        json(secret).replace('/', "\\/"),
        json(&json(secret)),
        secret.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect(),
        secret.replace('&', "&amp;").replace('"', "&quot;"),
        secret.escape_debug().to_string(),
        bytes.escape_ascii().to_string(),
        listed(", "),
        listed(","),
        hex::encode(bytes),
        hex::encode_upper(bytes),
    ];
    for bytes in [bytes, form.as_bytes()] {
        all.extend((0..3).flat_map(|before| [base64(bytes, before, b"+/"), base64(bytes, before, b"-_")]));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The base64 characters that depend only on these bytes, if this number of other bytes (modulo 3) precedes them.
fn base64(bytes: &[u8], before: usize, last_two: &[u8; 2]) -> String {
    let alphabet: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last_two.iter().copied()).collect();
    let bits: Vec<bool> = std::iter::repeat_n(0, before)
        .chain(bytes.iter().copied())
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
        .collect();
    // The first and the last character may also contain bits of a neighbouring byte, so they are left out.
    let first = (before * 8).div_ceil(6);
    let whole = bits.chunks_exact(6).skip(first);
    whole.map(|six| char::from(alphabet[six.iter().fold(0, |value, &bit| value << 1 | usize::from(bit))])).collect()
}

#[test]
fn a_planted_secret_is_found_in_every_encoding() {
    let secret = "s3cr3t+/\"ca nary=";
    let planted = PlantedSecret::new("here", secret);
    for text in [
        format!("a {secret} b"),
        "s3cr3t%2B%2F%22ca+nary%3D".to_owned(),
        "s3cr3t%2b%2f%22ca%20nary%3d".to_owned(),
        serde_json::json!({"words": secret}).to_string(),
        serde_json::json!({"line": serde_json::json!({"words": secret}).to_string()}).to_string(),
        format!("{secret:?}"),
        format!("{:?}", secret.as_bytes()),
        format!("{:?}", bytes::Bytes::copy_from_slice(secret.as_bytes())),
        hex::encode(secret),
        "s3cr3t%2B/%22ca%20nary%3D".to_owned(),
        "%73%33%63%72%33%74%2b%2f%22%63%61%20%6e%61%72%79%3d".to_owned(),
        "s3cr3t+/&quot;ca nary=".to_owned(),
        r#"s3cr3t+\/\"ca nary="#.to_owned(),
        // base64 of "demo:s3cr3t%2B%2F%22ca+nary%3D"
        "Basic ZGVtbzpzM2NyM3QlMkIlMkYlMjJjYStuYXJ5JTNE".to_owned(),
        // base64 of "s3cr3t+/\"ca nary=", and of the same text after "x", "xy" and "demo:"
        "czNjcjN0Ky8iY2EgbmFyeT0=".to_owned(),
        "eHMzY3IzdCsvImNhIG5hcnk9".to_owned(),
        "eHlzM2NyM3QrLyJjYSBuYXJ5PQ==".to_owned(),
        "Basic ZGVtbzpzM2NyM3QrLyJjYSBuYXJ5PQ==".to_owned(),
    ] {
        assert!(planted.found_in(&text).is_some(), "{text}");
    }
    for text in ["", "s3cr3t", "S3CR3T+/\"CA NARY=", "[redacted]"] {
        assert_eq!(planted.found_in(text), None, "{text}");
    }
}
