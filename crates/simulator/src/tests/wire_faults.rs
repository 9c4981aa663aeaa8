//! The server over real connections: what a client sees of each fault.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use super::stage::{TOKEN_FORM, submission};
use crate::{Call, RequestFilter, Scenario, Server, Tls};

struct Site {
    server: Server,
    client: Client,
    token: String,
}

impl Site {
    async fn new(scenario: &str) -> Self {
        Self::with_tls(scenario, None, |builder| builder).await
    }

    async fn with_tls(
        scenario: &str,
        tls: Option<Tls>,
        configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let scenario = Scenario::parse(scenario).unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), scenario, tls).await.unwrap();
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = configure(builder.tls_certs_only([])).build().unwrap();
        let request = client.post(server.token_url()).header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = json(request.body(TOKEN_FORM).send().await.unwrap()).await;
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { server, client, token }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    fn health(&self) -> RequestBuilder {
        let request = self.client.get(self.url("/api/v2/environments/env_a/health"));
        request.bearer_auth(&self.token).header("accept", "application/json")
    }

    fn submit(&self, key: &str) -> RequestBuilder {
        let request = self.client.post(self.url("/api/v2/deployments")).bearer_auth(&self.token);
        let request = request.header("accept", "application/json").header("content-type", "application/json");
        request.header("idempotency-key", key).body(submission().to_string())
    }
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn health_fault(fault: &str) -> String {
    format!("environments: {{env_a: {{faults: [{{call: health, fault: {fault}}}]}}}}")
}

#[tokio::test]
async fn only_the_request_with_the_fault_loses_its_connection() {
    for fault in ["dropBeforeEffect", "dropAfterEffect"] {
        let site = Site::new(&health_fault(fault)).await;
        let error = site.health().send().await.unwrap_err();
        assert!(error.status().is_none() && !error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!(json(site.health().send().await.unwrap()).await["status"], "healthy");
    }
}

#[tokio::test]
async fn a_submit_dropped_after_its_effect_is_answered_on_the_repeat() {
    let site = Site::new("faults: [{call: submit, fault: dropAfterEffect}]").await;
    assert!(site.submit("key").send().await.is_err());
    assert!(json(site.submit("key").send().await.unwrap()).await["jobId"].is_string());
    let jobs = site.server.handle().with(|world| world.environments().map(|(_, e)| e.jobs().len()).sum::<usize>());
    assert_eq!(jobs, 1);
}

#[tokio::test]
async fn a_truncated_answer_is_shorter_than_its_content_length() {
    let site = Site::new(&health_fault("{truncated: {bytes: 5}}")).await;
    let mut response = site.health().send().await.unwrap();
    assert_eq!(response.content_length(), Some(37));
    assert_eq!(response.chunk().await.unwrap().unwrap(), "{\"err"[..].as_bytes());
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn a_slow_drip_arrives_in_pieces_over_time() {
    let site = Site::new(&health_fault("{slowDrip: {bytes: 10, everySeconds: 0.05}}")).await;
    let started = Instant::now();
    let mut response = site.health().send().await.unwrap();
    let mut pieces = 0;
    while response.chunk().await.unwrap().is_some() {
        pieces += 1;
    }
    // A loaded machine may deliver several pieces at once, but the pauses remain.
    assert!(pieces > 1, "{pieces}");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_oversized_answer_is_as_long_as_scripted_and_still_json() {
    let site = Site::new(&health_fault("{oversized: {bytes: 3000000}}")).await;
    let bytes = site.health().send().await.unwrap().bytes().await.unwrap();
    assert!((3_000_000..3_000_100).contains(&bytes.len()), "{}", bytes.len());
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["status"], "healthy");
}

#[tokio::test]
async fn a_delayed_answer_has_the_scripted_delay() {
    let site = Site::new(&health_fault("{delay: {seconds: 0.2}}")).await;
    let started = Instant::now();
    assert_eq!(json(site.health().send().await.unwrap()).await["status"], "healthy");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn garbage_empty_bodies_redirects_and_scripted_bodies_are_delivered() {
    let cases = [
        ("garbage", 200, None),
        ("empty", 200, Some("")),
        ("{body: [1]}", 200, Some("[1]")),
        ("{redirect: {location: 'http://127.0.0.1:1/', code: 307}}", 307, Some("")),
        ("{status: {code: 502, body: {message: bad}}}", 502, Some("{\"message\":\"bad\"}")),
    ];
    for (fault, status, expected) in cases {
        let response = Site::new(&health_fault(fault)).await.health().send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{fault}");
        let location = response.headers().get("location").cloned();
        assert_eq!(location.is_some(), status == 307, "{fault}");
        let bytes = response.bytes().await.unwrap();
        match expected {
            Some(expected) => assert_eq!(bytes, expected, "{fault}"),
            None => assert!(std::str::from_utf8(&bytes).is_err(), "{fault}"),
        }
    }
}

#[tokio::test]
async fn a_control_request_can_wait_for_other_requests() {
    let site = Site::new("").await;
    let path = "/simulator/requests?call=health&waitForCount=2&timeoutSeconds=30";
    let waiting = tokio::spawn(site.client.get(site.url(path)).send());
    site.health().send().await.unwrap();
    site.health().send().await.unwrap();
    let journal = json(waiting.await.unwrap().unwrap()).await;
    assert_eq!(journal["requests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_control_request_that_times_out_gets_the_requests_so_far() {
    let site = Site::new("").await;
    let path = "/simulator/requests?call=submit&waitForCount=1&timeoutSeconds=0.05";
    let journal = json(site.client.get(site.url(path)).send().await.unwrap()).await;
    assert_eq!(journal["requests"], serde_json::json!([]));
}

#[tokio::test]
async fn a_test_in_the_same_process_waits_for_requests_without_sleeping() {
    let site = Site::new("").await;
    let handle = site.server.handle();
    let filter = RequestFilter { call: Some(Call::Health), ..RequestFilter::default() };
    let mut waiting = std::pin::pin!(handle.wait_for_requests(&filter, 1));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    site.health().send().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_shut_down_accepts_no_connections() {
    let site = Site::new("").await;
    let request = site.health();
    site.server.shutdown().await;
    assert!(request.send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn it_serves_over_tls() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate_pem = certificate.pem().into_bytes();
    let trusted = reqwest::Certificate::from_pem(&certificate_pem).unwrap();
    let tls = Tls { certificate_pem, key_pem: key.serialize_pem().into_bytes() };
    let site = Site::with_tls("", Some(tls), |builder| builder.tls_certs_only([trusted])).await;
    assert!(site.server.url().starts_with("https://"));
    assert_eq!(json(site.health().send().await.unwrap()).await["status"], "healthy");
}

#[tokio::test]
async fn the_error_about_an_invalid_key_names_it() {
    let tls = Tls { certificate_pem: b"nothing".to_vec(), key_pem: b"nothing".to_vec() };
    let error = Server::bind("127.0.0.1:0".parse().unwrap(), Scenario::default(), Some(tls)).await.unwrap_err();
    assert!(error.to_string().contains("key"), "{error}");
}
