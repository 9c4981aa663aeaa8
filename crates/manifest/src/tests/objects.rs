//! Secrets and ConfigMaps: what is read of them, and what is refused without quoting a value.

use super::{problems_of, read_text};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: api, namespace: bots, annotations: {kubectl.kubernetes.io/last-applied-configuration: s3cr3t}}\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flows, namespace: bots}\n";

#[test]
fn a_secret_has_the_data_that_the_api_server_would_store() {
    let text = format!(
        "{SECRET}data:\n  a: ZGVtbw==\n  b: czNjcjN0\n  c: |\n    ZGVt\n    bw==\nstringData: {{b: plain, d: '0644'}}\ntype: Opaque\nimmutable: true\n"
    );
    let manifests = read_text(&text);
    assert_eq!(manifests.problems, []);
    let data = manifests.secrets[0].data();
    let values: Vec<(&str, &[u8])> = data.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    assert_eq!(values, [("a", b"demo".as_slice()), ("b", b"plain"), ("c", b"demo"), ("d", b"0644")]);
}

#[test]
fn nothing_shows_a_value_of_a_secret() {
    let text = format!("{SECRET}stringData: {{a: s3cr3t, b: 'x: s3cr3t'}}\ndata: {{c: czNjcjN0}}\n");
    let shown = format!("{:?}", read_text(&text));
    assert!(shown.contains("Secret bots/api"), "{shown}");
    for value in ["s3cr3t", "czNjcjN0", "115, 51"] {
        assert!(!shown.contains(value), "{shown}");
    }
}

#[test]
fn a_wrong_secret_or_config_map_is_refused_without_its_values() {
    for (text, says) in [
        (format!("{SECRET}data: {{a: s3cr3t!}}"), "Secret bots/api): data.a: it is no base64 text"),
        (format!("{SECRET}data: {{a: 9175}}"), "data.a: it is no base64 text"),
        (format!("{SECRET}stringData: {{a: [s3cr3t]}}"), "stringData.a: it is no text"),
        (format!("{SECRET}stringData: {{a: 91_75}}"), "stringData.a: it is no text"),
        (format!("{SECRET}stringData: {{'a: s3cr3t': }}"), "stringData: a key has another character"),
        (format!("{SECRET}stringData: s3cr3t"), "stringData: it is no object"),
        (format!("{SECRET}stringdata: {{a: s3cr3t}}"), "stringdata: there is no such field; write stringData"),
        (format!("{SECRET}stringData: {{a: !!int s3cr3t}}"), "stringData.a: the value is not what its tag !!int says"),
        (format!("{SECRET}stringData: {{a: !s3 s3cr3t}}"), "its tag means nothing"),
        (format!("{SECRET}stringData: {{a: \"s3cr3t}}"), "it is not YAML"),
        (format!("{SECRET}stringData: {{a: *s3cr3t}}"), "it is not YAML"),
        (format!("{SECRET}stringData: {{a: s3cr3t, a: s3cr3t}}"), "the key is there twice"),
        (SECRET.replace("name: api", "name: API"), "metadata.name: write lower-case letters"),
        (format!("{MAP}data: {{a: 1}}"), "ConfigMap bots/flows): data.a: a ConfigMap holds texts only"),
        (format!("{MAP}dat: {{a: '1'}}"), "dat: there is no such field; write data"),
        (format!("{MAP}---\n{MAP}"), "metadata.name: the same ConfigMap is there twice"),
        (MAP.replace("name: flows, ", ""), "metadata.name: it is missing"),
    ] {
        let problems = problems_of(&text);
        assert!(problems.iter().any(|problem| problem.contains(says)), "{text}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("s3cr3t") || problem.contains("91")), "{problems:?}");
    }
}

#[test]
fn no_problem_quotes_what_may_be_the_url_of_a_webhook_or_a_credential() {
    let head = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {name: bot}\nspec:\n  environmentId: env\n  configurationSnapshot: {a: 1}\n";
    for (field, says) in [
        ("webhook: https://ci.example.com/s3cr3t", "spec.webhook: a text is here; write an object"),
        ("webhook: {https://ci.example.com/s3cr3t: }", "spec.webhook[a URL]: there is no such field"),
        ("webhook: {https://ci.example.com/s3cr3t: 1, https://ci.example.com/s3cr3t: 2}", "the key is there twice"),
        ("webhook: {urlFrom: https://ci.example.com/s3cr3t}", "spec.webhook.urlFrom: a text is here"),
        ("webhook: {url: 'ftp://ci.example.com/s3cr3t'}", "spec.webhook.url: webhook.url must be an http(s) URL"),
        ("webhook: {URL: 'https://ci.example.com/s3cr3t'}", "spec.webhook.URL: there is no such field; write url"),
        ("credentialsRef: s3cr3t", "spec.credentialsRef: a text is here"),
    ] {
        let problems = problems_of(&format!("{head}  {field}\n"));
        assert!(problems.iter().any(|problem| problem.contains(says)), "{field}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("s3cr3t")), "{problems:?}");
    }
}
