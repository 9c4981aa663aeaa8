//! Plants secrets in every input of the operator, and searches all of its output for them.

use crate::support::*;
use k8s_openapi::ByteString;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use sha2::{Digest, Sha256};
use simulator::{RequestFilter, RequestRecord, Scenario, Server};
use std::process::Command;
use testkit::PlantedSecret;

/// It has characters that a form, a URL and JSON encode differently.
const CLIENT_SECRET: &str = "c1i3nt/s3cr3t+&\"canary\"=";
const OWN_CLIENT_SECRET: &str = "0wn/s3cr3t+&\"canary\"=";
const WRONG_CLIENT_SECRET: &str = "wr0ng/s3cr3t+&\"canary\"=";
const UNREAD: &str = "unr3ad/s3cr3t+&\"canary\"=";
const HOOK: &str = "h00k-canary-T0ken";
const HOOK_KEY: &str = "h00k-canary-K3y";
const OWN_HOOK: &str = "0wn-h00k-canary-T0ken";
const PROXY_PASSWORD: &str = "pr0xy-canary-passw0rd";
const MALFORMED: &str = "ma1f0rmed-canary";

/// A secret in the encodings of libraries and servers: percent-encoded, in base64, and in a Basic header (RFC 7617, RFC
/// 6749).
fn spelled(secret: &str) -> String {
    let base64 = |text: String| {
        let standard = serde_json::to_value(ByteString(text.into_bytes())).unwrap().as_str().unwrap().to_owned();
        let url_safe = standard.trim_end_matches('=').replace('+', "-").replace('/', "_");
        format!("{standard} {url_safe}")
    };
    let everything: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let headers = ["", "x:", "demo:"].map(|client| base64(format!("{client}{secret}")));
    format!("{form} {everything} {} {}", headers.join(" "), base64(format!("demo:{form}")))
}

/// A platform that repeats the secrets of a request in every text of its answers.
fn platform() -> String {
    let quoted = json!(format!("{CLIENT_SECRET} at /webhooks/{HOOK}?key={HOOK_KEY} or {HOOK} or {HOOK_KEY}"));
    let spelled = spelled(CLIENT_SECRET);
    let platform = json!({
        "clients": [
            {"clientId": "demo", "clientSecret": CLIENT_SECRET},
            {"clientId": "operators", "clientSecret": OWN_CLIENT_SECRET},
        ],
        "faults": [
            {"call": "submit", "environment": "env_refused",
             "fault": {"status": {"code": 422, "body": {"message": quoted}}}},
            {"call": "trace", "environment": "env_talkative",
             "fault": {"status": {"code": 503, "body": spelled}}},
            {"call": "health", "environment": "env_talkative",
             "fault": {"status": {"code": 500, "body": [CLIENT_SECRET, spelled]}}},
            {"call": "webhook", "fault": {"status": {"code": 500, "body": quoted}}},
        ],
        "environments": {
            "env_talkative": {"validationWarnings": [CLIENT_SECRET, {"message": CLIENT_SECRET}, spelled]},
            "env_invalid": {"validationErrors": [spelled, {"constraint": "memory", "message": CLIENT_SECRET}]},
            "env_bad": {"deploymentsAreUnhealthy": true},
        },
    });
    platform.as_object().unwrap().iter().map(|(field, value)| format!("{field}: {value}\n")).collect()
}

/// Kubernetes Secrets that cannot be used, each with a planted secret in its invalid value. The operator may quote URLs
/// and numbers, but not the parts of them that can hold a secret.
fn unusable(namespace: &TestNamespace) -> Vec<(&'static str, Value)> {
    let malformed = [
        ("base-url", "baseUrl", CLIENT_SECRET.to_owned()),
        ("base-url-with-query", "baseUrl", format!("https://api.example.com?{MALFORMED}")),
        ("base-url-with-user", "baseUrl", format!("https://me:{MALFORMED}@api.example.com")),
        ("token-url", "tokenUrl", format!("ftp://api.example.com/#{MALFORMED}")),
        ("rate", "requestsPerMinute", CLIENT_SECRET.to_owned()),
        ("authority", "ca.crt", format!("-----BEGIN CERTIFICATE-----\n{MALFORMED}\n-----END CERTIFICATE-----\n")),
    ];
    let with = |key: &str, value: String| {
        let mut secret = namespace.credentials();
        secret["clientSecret"] = json!(CLIENT_SECRET);
        secret[key] = json!(value);
        secret
    };
    malformed.map(|(name, key, value)| (name, with(key, value))).to_vec()
}

#[tokio::test]
async fn the_operator_shows_no_secret_with_any_outcome_of_a_rollout() {
    let namespace = plan()
        .await
        .without_secret()
        .scenario(&platform())
        .flags(&["--default-credentials-namespace", "{namespace}", "--base-url", "{url}"])
        .flags(&["--token-url", "{url}/oauth/token", "--requests-per-minute", "6000"])
        .flags(&["--default-webhook-namespace", "{namespace}"])
        .variable("COGNIGY_CLIENT_ID", "operators")
        .variable("COGNIGY_CLIENT_SECRET", OWN_CLIENT_SECRET)
        .variable("CI_CD_WEBHOOK_URL", &format!("{{url}}/webhooks/{OWN_HOOK}"))
        .variable("COGNIGY_HTTPS_PROXY", &format!("http://me:{PROXY_PASSWORD}@127.0.0.1:1"))
        .variable("RUST_LOG", "trace")
        .start()
        .await;
    let mut credentials = namespace.credentials();
    credentials["clientSecret"] = json!(CLIENT_SECRET);
    credentials["notOurs"] = json!(UNREAD);
    namespace.put_secret("cognigy-api", credentials.clone()).await;
    let hook = format!("{}/webhooks/{HOOK}?key={HOOK_KEY}", namespace.platform.url());
    namespace.put_secret("ci", json!({"url": hook, "malformed": format!("no url {MALFORMED}")})).await;
    let told = |key: &str| json!({"webhook": {"urlFrom": {"secretKeyRef": {"name": "ci", "key": key}}}});
    let bot = |name: &str, environment: &str| sample().named(name).environment(environment).with(told("url"));

    // Each of these resources ends differently.
    for secret in ["wrong", "far"] {
        let mut other = credentials.clone();
        match secret {
            "wrong" => other["clientSecret"] = json!(WRONG_CLIENT_SECRET),
            _ => other["baseUrl"] = json!("https://far.example.com"),
        }
        namespace.put_secret(secret, other).await;
        let reference = json!({"credentialsRef": {"name": secret}});
        namespace.apply(bot(secret, &format!("env_{secret}")).with(reference)).await;
    }
    for (name, environment) in
        [("talkative", "env_talkative"), ("invalid", "env_invalid"), ("refused", "env_refused"), ("bad", "env_bad")]
    {
        namespace.apply(bot(name, environment)).await;
    }
    namespace.apply(sample().named("own").environment("env_own").with(json!({"credentialsRef": null}))).await;
    // A tenant's own API without a webhook. The requests to it may contain no secret at all.
    let tenants = Server::bind("127.0.0.1:0".parse().unwrap(), Scenario::parse("{}").unwrap(), None).await.unwrap();
    let mut stranger = namespace.credentials();
    stranger["baseUrl"] = json!(tenants.url());
    stranger["tokenUrl"] = json!(tenants.token_url());
    namespace.put_secret("stranger", stranger).await;
    let reference = json!({"credentialsRef": {"name": "stranger"}});
    namespace.apply(sample().named("stranger").environment("env_stranger").with(reference)).await;
    namespace.apply(bot("hookless", "env_hookless").with(told("malformed"))).await;
    let unusable = unusable(&namespace);
    for (name, secret) in &unusable {
        namespace.put_secret(name, secret.clone()).await;
        let reference = json!({"credentialsRef": {"name": name}});
        namespace.apply(bot(name, &format!("env-{name}")).with(reference)).await;
    }

    for (name, outcome) in [
        ("talkative", Outcome::Succeeded),
        ("own", Outcome::Succeeded),
        ("stranger", Outcome::Succeeded),
        ("invalid", Outcome::Failed),
        ("refused", Outcome::Failed),
        ("bad", Outcome::RolledBack),
    ] {
        namespace.resource(name).until_settled(1, outcome).await;
    }
    namespace.resource("wrong").until_stalled(Reason::Unauthorized).await;
    namespace.resource("far").until_ready_reason(Reason::ApiUnavailable).await;
    namespace.resource("hookless").until_stalled(Reason::WebhookUrlNotFound).await;
    for (name, _) in &unusable {
        namespace.resource(name).until_stalled(Reason::CredentialsInvalid).await;
    }

    let mut places = places(&namespace).await;
    let strangers = tenants.handle().with(|tenants| {
        let told = |record: &RequestRecord| format!("{:?} {:?}", record.headers, record.body);
        tenants.requests(&RequestFilter::default()).map(told).collect::<Vec<_>>()
    });
    assert!(strangers.len() > 5, "the tenant's API received requests");
    places.extend(strangers.into_iter().map(|told| ("a request to a tenant's own API".to_owned(), told)));
    let log = &places[0].1;
    assert!(log.contains(r#""level":"TRACE""#) && log.contains("hyper_util") && log.contains(&namespace.name), "{log}");
    assert!(places[1].1.contains("cognigy_operator_build_info"), "{}", places[1].1);
    let planted = planted_secrets(&namespace).await;
    for (place, text) in &places {
        for secret in &planted {
            let found = secret.found_in(text);
            let at = found.and_then(|found| text.lines().find(|line| line.contains(found)));
            assert_eq!(found, None, "{} is in {place}: {}", secret.place, at.unwrap_or_default());
        }
    }
    eprintln!("searched {} places for {} secrets, {} bytes of log", places.len(), planted.len(), log.len());
}

async fn planted_secrets(namespace: &TestNamespace) -> Vec<PlantedSecret> {
    let kubeconfig = std::fs::read_to_string(&shared().await.operator_kubeconfig).unwrap();
    let kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    let planted = [
        ("the Secret's clientSecret", CLIENT_SECRET),
        ("the operator's own client secret", OWN_CLIENT_SECRET),
        ("a clientSecret that is wrong", WRONG_CLIENT_SECRET),
        ("a key of the Secret that the operator does not use", UNREAD),
        ("the webhook's path", HOOK),
        ("the webhook's query", HOOK_KEY),
        ("the path of the operator's own webhook", OWN_HOOK),
        ("the proxy's password", PROXY_PASSWORD),
        ("an invalid value of a Secret", MALFORMED),
        ("the service account's token", kubeconfig["users"][0]["user"]["token"].as_str().unwrap()),
    ];
    let mut planted: Vec<PlantedSecret> =
        planted.into_iter().map(|(place, secret)| PlantedSecret::new(place, secret)).collect();
    // The simulator's tokens are predictable, because they protect nothing.
    let tokens =
        (0..namespace.request_count(Call::Token)).flat_map(|nth| ["demo", "operators"].map(|client| (nth, client)));
    planted.extend(tokens.map(|(nth, client)| {
        let digits = hex::encode(Sha256::digest(format!("{nth}/{client}")));
        PlantedSecret::new(format!("token {nth} of {client}"), &format!("sim_{}", &digits[..32]))
    }));
    planted
}

/// All output of the operator, with the place of each text.
async fn places(namespace: &TestNamespace) -> Vec<(String, String)> {
    let mut places = vec![("the log at trace level".to_owned(), namespace.operator().log().text())];
    for path in ["/metrics", "/healthz", "/readyz", "/there-is-no-such-page"] {
        places.push((path.to_owned(), namespace.operator().get(path).await));
    }
    for object in namespace.resources().list(&ListParams::default()).await.unwrap() {
        let name = object.metadata.name.clone().unwrap();
        places.push((format!("the resource {name}"), serde_json::to_string(&object).unwrap()));
    }
    let events: Api<Event> = Api::namespaced(namespace.client.clone(), &namespace.name);
    for event in events.list(&ListParams::default()).await.unwrap() {
        places.push(("an event".to_owned(), serde_json::to_string(&event).unwrap()));
    }
    for record in namespace.all_requests() {
        let mut body = record.body.clone().unwrap_or_default();
        let mut headers = record.headers.clone();
        if record.call == Some(Call::Submit) {
            // The contract requires the callback URL: the resource's own webhook, otherwise the default webhook.
            let callback = body.as_object_mut().unwrap().remove("webhookCallbackUrl").unwrap();
            let is_own = body["environment_id"] == "env_own";
            let expected = if is_own { OWN_HOOK.to_owned() } else { format!("{HOOK}?key={HOOK_KEY}") };
            assert_eq!(callback, json!(format!("{}/webhooks/{expected}", namespace.platform.url())), "{body}");
        }
        headers.remove("host");
        places.push((format!("a request of {:?}", record.call), format!("{headers:?} {body}")));
    }
    places
}

#[test]
fn the_error_of_a_failed_start_shows_no_secret() {
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let broken = format!("users:\n- name: me\n  user:\n    token: {MALFORMED}\n    exec: {MALFORMED}\n");
    std::fs::write(kubeconfig.path(), broken).unwrap();
    let path = kubeconfig.path().to_str().unwrap();
    let planted = PlantedSecret::new("the environment", MALFORMED);
    for (variable, value) in [
        ("CI_CD_WEBHOOK_URL", format!("hooks.example.com/{MALFORMED}")),
        ("CI_CD_WEBHOOK_URL", format!("https://{MALFORMED}@hooks.example.com")),
        ("COGNIGY_HTTPS_PROXY", format!("me:{MALFORMED}@proxy:3128")),
        ("COGNIGY_HTTPS_PROXY", format!("socks5://me:{MALFORMED}@proxy:1080")),
        ("COGNIGY_CLIENT_SECRET", MALFORMED.to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ] {
        for arguments in [&["run", "--kubeconfig", path][..], &["run", "--help"]] {
            let mut operator = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"));
            let output = operator.args(arguments).env(variable, &value).output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(said.len() > 40, "{variable}: {said}");
            assert_eq!(planted.found_in(&said), None, "{variable}: {said}");
        }
    }
}
