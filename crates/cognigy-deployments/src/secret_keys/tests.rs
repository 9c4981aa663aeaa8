#![allow(clippy::unwrap_used)]

use super::*;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use secrecy::ExposeSecret;

const SECRET: &str = "s3cr3t-value";
const EDIT: &str = "(kubectl -n bots edit secret cognigy-api)";

/// The Secret with the client's id and secret, plus these keys. A key with the same name replaces the original.
fn read(keys: &[(&str, &[u8])]) -> Result<Credentials, String> {
    let usual: [(&str, &[u8]); 2] = [("clientId", b"demo"), ("clientSecret", SECRET.as_bytes())];
    let data = usual.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec())));
    let metadata = ObjectMeta {
        name: Some("cognigy-api".to_owned()),
        namespace: Some("bots".to_owned()),
        ..ObjectMeta::default()
    };
    let secret = Secret { metadata, data: Some(data.collect()), ..Secret::default() };
    Defaults::default().in_secret(&secret).map_err(|obstacle| obstacle.message)
}

#[test]
fn an_invalid_key_is_reported_with_its_secret_the_problem_and_the_fix() {
    for (key, value, says) in [
        ("clientSecret", "", "has an empty clientSecret; fill it in"),
        ("clientId", " \n", "has an empty clientId; fill it in"),
        (
            "baseUrl",
            "127.0.0.1:8090",
            r#"has the baseUrl "127.0.0.1:8090", which needs a scheme, for example "https://127.0.0.1:8090"; correct it"#,
        ),
        (
            "baseUrl",
            "localhost:8090",
            r#"has the baseUrl "localhost:8090", which needs a scheme, for example "https://localhost:8090"; correct it"#,
        ),
        ("baseUrl", "https://", r#"has the baseUrl "https://", which is not a URL (empty host); write"#),
        (
            "tokenUrl",
            "ftp://auth.example.com",
            r#"has the tokenUrl "ftp://auth.example.com", which must begin with https://"#,
        ),
        (
            "baseUrl",
            "https://api.example.com?key=pa55word",
            r#"has the baseUrl "https://api.example.com...", which must not have a query"#,
        ),
        (
            "tokenUrl",
            "https://api.example.com/#pa55word",
            r#"has the tokenUrl "https://api.example.com/...", which must not have a fragment"#,
        ),
        (
            "baseUrl",
            "https://me:pa55word@api.example.com",
            "has a baseUrl that must not contain a user name or password",
        ),
        ("baseUrl", "me:pa55word@api.example.com", "has a baseUrl that needs a scheme"),
        (
            "requestsPerMinute",
            "many",
            r#"has the requestsPerMinute "many", which is not a whole number from 1 to 4294967295; write for example 100"#,
        ),
        ("requestsPerMinute", "0", r#"has the requestsPerMinute "0", which is not"#),
        ("requestsPerMinute", "-5", r#"has the requestsPerMinute "-5", which is not"#),
        ("requestsPerMinute", "1\u{1b}[31m", r#"has the requestsPerMinute "1 [31m", which is not"#),
        ("requestsPerMinute", SECRET, r#"has the requestsPerMinute "[redacted]", which is not"#),
        ("baseUrl", SECRET, r#"has the baseUrl "[redacted]", which needs a scheme"#),
    ] {
        let message = read(&[(key, value.as_bytes())]).unwrap_err();
        assert!(message.starts_with(&format!("Secret bots/cognigy-api {says}")), "{message}");
        assert!(message.ends_with(EDIT), "{message}");
        assert!(!message.contains(SECRET) && !message.contains("pa55word"), "{message}");
    }
}

#[test]
fn a_missing_key_is_reported_with_its_secret() {
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("cognigy-api".to_owned()),
            namespace: Some("bots".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some([("clientId".to_owned(), ByteString(b"demo".to_vec()))].into()),
        ..Secret::default()
    };
    let message = Defaults::default().in_secret(&secret).unwrap_err().message;
    assert_eq!(message, format!("Secret bots/cognigy-api has no key clientSecret; add it {EDIT}"));
}

#[test]
fn a_value_that_is_too_long_is_reported_with_its_size() {
    for (key, most) in [
        ("clientId", 4 * 1024),
        ("clientSecret", 4 * 1024),
        ("baseUrl", 320),
        ("tokenUrl", 2 * 1024),
        ("ca.crt", 256 * 1024),
        ("requestsPerMinute", 20),
    ] {
        let message = read(&[(key, "x".repeat(most + 1).as_bytes())]).unwrap_err();
        let says = format!("has a {key} of {} bytes, but at most {most} bytes are allowed; correct it", most + 1);
        assert_eq!(message, format!("Secret bots/cognigy-api {says} {EDIT}"));
        let longest = match key {
            "baseUrl" | "tokenUrl" => format!("{:x<most$}", "https://a/"),
            "requestsPerMinute" => format!("{:0>most$}", "100"),
            _ => "x".repeat(most),
        };
        assert!(read(&[(key, longest.as_bytes())]).is_ok(), "{key}");
    }
}

#[test]
fn a_value_that_is_not_utf_8_is_reported_with_its_key() {
    for key in ["clientId", "clientSecret", "baseUrl", "tokenUrl", "ca.crt", "requestsPerMinute"] {
        let message = read(&[(key, b"\xff\xfe")]).unwrap_err();
        let says = format!("has a {key} that is not UTF-8 text; write it again");
        assert_eq!(message, format!("Secret bots/cognigy-api {says} {EDIT}"));
    }
}

#[test]
fn a_long_value_is_quoted_only_in_part() {
    let message = read(&[("baseUrl", "x".repeat(300).as_bytes())]).unwrap_err();
    assert!(message.contains(&format!("{}...\"", "x".repeat(97))) && message.len() < 500, "{message}");
}

#[test]
fn white_space_around_a_value_is_removed() {
    let credentials =
        read(&[("clientSecret", b" s3cr3t\n"), ("requestsPerMinute", b"60\n"), ("baseUrl", b"\n")]).unwrap();
    assert_eq!(credentials.client_secret.expose_secret(), "s3cr3t");
    assert_eq!(credentials.requests_per_minute, NonZeroU32::new(60));
    assert_eq!(credentials.base_url, BaseUrl::public());
}
