#![allow(clippy::unwrap_used, clippy::expect_used)]

mod addresses;
mod certificates;
mod names;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use futures::{FutureExt, StreamExt, stream};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A real server on a free local port. It runs until the test ends.
async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn transport(rules: &[&str]) -> HttpTransport {
    rustls::crypto::ring::default_provider().install_default().ok();
    let policy = EgressPolicy::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
    HttpTransport::new(&HttpOptions { policy, ..HttpOptions::default() }).unwrap()
}

/// A transport whose name server is the test.
fn transport_with_names(
    rules: &[&str],
    answer: impl Fn(&str) -> Vec<SocketAddr> + Send + Sync + 'static,
) -> HttpTransport {
    rustls::crypto::ring::default_provider().install_default().ok();
    let policy = EgressPolicy::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
    let options = HttpOptions { policy, ..HttpOptions::default() };
    HttpTransport::with_lookup(&options, &name_server(answer)).unwrap()
}

fn name_server(answer: impl Fn(&str) -> Vec<SocketAddr> + Send + Sync + 'static) -> Lookup {
    Arc::new(move |name| std::future::ready(Ok(answer(&name))).boxed())
}

fn request(url: String) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

async fn get_from(rules: &[&str], url: String) -> Result<http::Response<Bytes>, TransportError> {
    transport(rules).send(request(url)).await
}

#[tokio::test]
async fn an_answer_is_read_whole() {
    let address = serve(Router::new().route("/x", get(async || "hello"))).await;
    let answer = get_from(&["127.0.0.1"], format!("http://{address}/x")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, b"hello".as_slice()));
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let router =
        Router::new().route("/from", get(async || Redirect::temporary("/to"))).route("/to", get(async || "followed"));
    let address = serve(router).await;
    let answer = get_from(&["127.0.0.1"], format!("http://{address}/from")).await.unwrap();
    assert_eq!(answer.status().as_u16(), 307);
}

#[tokio::test]
async fn reading_stops_at_the_size_limit_with_or_without_a_content_length() {
    let endless = || Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 65536])));
    let router = Router::new()
        .route("/exact", get(async || vec![b'x'; MAX_ANSWER_BYTES]))
        .route("/announced", get(async || vec![b'x'; MAX_ANSWER_BYTES + 1]))
        .route("/endless", get(async move || endless()));
    let address = serve(router).await;
    let too_large = TransportError::TooLarge { status: http::StatusCode::OK };
    assert!(get_from(&["127.0.0.1"], format!("http://{address}/exact")).await.is_ok());
    for path in ["announced", "endless"] {
        let result = get_from(&["127.0.0.1"], format!("http://{address}/{path}")).await;
        assert_eq!(result.unwrap_err(), too_large, "{path}");
    }
}

/// 100 answers that have each sent 512 KiB and then send nothing more.
#[tokio::test]
async fn endless_large_answers_use_bounded_memory_and_do_not_block_short_ones() {
    let stuck = || {
        let beginning = stream::iter([Ok::<_, io::Error>(vec![b'x'; 512 * 1024])]);
        Body::from_stream(beginning.chain(stream::pending()))
    };
    let router = Router::new().route("/stuck", get(async move || stuck())).route("/short", get(async || "hello"));
    let address = serve(router).await;
    let transport = Arc::new(transport(&["127.0.0.1"]));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let transport = Arc::clone(&transport);
        calls.spawn(async move { transport.send(request(format!("http://{address}/stuck"))).await });
    }
    while transport.large_answers.available() > 0 {
        tokio::task::yield_now().await;
    }
    let answer = transport.send(request(format!("http://{address}/short"))).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hello");
    calls.shutdown().await;
    assert!(transport.large_answers.available() > 0, "a cancelled call returns its permit");
}

#[tokio::test]
async fn a_name_that_resolves_to_a_closed_address_is_refused_before_anything_is_sent() {
    let address = serve(Router::new().route("/", get(async || "reached"))).await;
    let url = format!("https://localhost:{}/", address.port());
    let refused = TransportError::EgressRefused(EgressRefusal::Address { host: "localhost".to_owned() });
    assert_eq!(get_from(&[], url.clone()).await.unwrap_err(), refused);
    assert_eq!(get_from(&["other.test", "10.0.0.0/8"], url).await.unwrap_err(), refused);
    let plain = format!("http://localhost:{}/", address.port());
    assert_eq!(get_from(&["10.0.0.0/8"], plain.clone()).await.unwrap_err(), refused, "http only inside the network");
    assert!(get_from(&["127.0.0.0/8"], plain.clone()).await.is_ok(), "by network");
    assert!(get_from(&["localhost"], plain.clone()).await.is_ok(), "by name");
    assert!(matches!(get_from(&["localhost:1"], plain).await, Err(TransportError::EgressRefused(_))), "another port");
}

#[tokio::test]
async fn a_literal_address_that_no_rule_allows_is_refused() {
    for url in ["https://127.0.0.1:1/", "https://[::1]:1/", "https://0x7f.1/", "http://8.8.8.8/"] {
        assert!(matches!(get_from(&[], url.to_owned()).await, Err(TransportError::EgressRefused(_))), "{url}");
    }
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_was_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get_from(&["127.0.0.1"], format!("http://{address}/s3cret?k=s3cret")).await.unwrap_err();
    assert!(matches!(error, TransportError::NotConnected(_)), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_request_on_a_lost_connection_may_have_taken_effect() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            connection.readable().await.unwrap();
            connection.try_read(&mut [0; 4096]).unwrap();
        }
    });
    let error = get_from(&["127.0.0.1"], format!("http://{address}/s3cret")).await.unwrap_err();
    assert!(matches!(error, TransportError::Interrupted(_)), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// Accepts one connection, reads the request, and answers with these bytes; returns the connection.
async fn answer_with(listener: tokio::net::TcpListener, bytes: &[u8]) -> tokio::net::TcpStream {
    let (mut connection, _) = listener.accept().await.unwrap();
    assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0, "the client sends its request first");
    connection.write_all(bytes).await.unwrap();
    connection
}

#[tokio::test]
async fn a_truncated_answer_is_an_error_however_its_length_was_announced() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"status\":";
    for head in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"jobId\": \"job_1\"}", chunked]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let cut = async { drop(answer_with(listener, head.as_bytes()).await) };
        let (result, ()) = tokio::join!(get_from(&["127.0.0.1"], url), cut);
        assert!(matches!(result, Err(TransportError::Interrupted(_))), "{head}: {result:?}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_dropped_with_its_connection_at_the_callers_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (dripped, deadline) = tokio::sync::oneshot::channel();
    let mut dripped = Some(dripped);
    let drip = async {
        let mut connection = answer_with(listener, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        let mut beat = tokio::time::interval(Duration::from_millis(5));
        let mut sent = 0;
        while connection.write_all(b"x").await.is_ok() {
            sent += 1;
            if let Some(dripped) = dripped.take_if(|_| sent == 20) {
                dripped.send(()).unwrap();
            }
            beat.tick().await;
        }
        sent
    };
    let transport = transport(&["127.0.0.1"]);
    let ask = async {
        tokio::select! {
            answer = transport.send(request(url)) => Some(answer),
            _ = deadline => None,
        }
    };
    let (asked, sent) = tokio::join!(ask, drip);
    assert!(asked.is_none(), "no answer is returned before it is complete: {asked:?}");
    assert!((20..100_000).contains(&sent), "the server notices the closed connection: {sent} bytes");
}

/// Accepts one connection, and returns the first bytes that it receives.
async fn first_bytes(listener: tokio::net::TcpListener) -> String {
    let (connection, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 4096];
    loop {
        connection.readable().await.unwrap();
        match connection.try_read(&mut bytes) {
            Ok(length) => return String::from_utf8_lossy(&bytes[..length]).into_owned(),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
}

#[tokio::test]
async fn the_operators_proxy_is_used_for_https_and_may_have_any_address() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let options = HttpOptions { https_proxy: Some(proxy), ..HttpOptions::default() };
    let transport = HttpTransport::new(&options).unwrap();
    let sending = transport.send(request("https://api.example.com/path".to_owned()));
    let (result, asked) = tokio::join!(sending, first_bytes(listener));
    assert!(asked.starts_with("CONNECT api.example.com:443 HTTP/1.1\r\n"), "{asked}");
    assert!(
        matches!(result, Err(TransportError::NotConnected(_))),
        "a proxy that closes the connection has forwarded nothing: {result:?}"
    );
}

#[tokio::test]
async fn a_name_that_is_never_public_is_not_sent_to_the_proxy() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap()).parse().unwrap();
    let options = HttpOptions { https_proxy: Some(url), ..HttpOptions::default() };
    let transport = HttpTransport::new(&options).unwrap();
    for host in
        ["10.0.0.1", "[::1]", "0x7f.1", "localhost", "vault", "kubernetes.default.svc", "metadata.google.internal."]
    {
        let refused = transport.send(request(format!("https://{host}/"))).await;
        assert!(matches!(refused, Err(TransportError::EgressRefused(_))), "{host}: {refused:?}");
    }
    assert!(proxy.accept().now_or_never().is_none());
}

#[tokio::test]
async fn the_proxy_resolves_a_name_that_a_rule_lists() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://me:s3cr%40t@{}", listener.local_addr().unwrap()).parse().unwrap();
    let policy = EgressPolicy::new(vec!["cognigy.corp".parse().unwrap()]);
    let options = HttpOptions { policy, https_proxy: Some(proxy), ..HttpOptions::default() };
    let transport = HttpTransport::new(&options).unwrap();
    let sending = transport.send(request("https://cognigy.corp/s3cret".to_owned()));
    let (_, asked) = tokio::join!(sending, first_bytes(listener));
    assert!(asked.starts_with("CONNECT cognigy.corp:443 HTTP/1.1\r\n"), "{asked}");
    let basic = asked.lines().find(|line| line.to_lowercase().starts_with("proxy-authorization: basic "));
    assert!(basic.is_some_and(|line| line.ends_with("bWU6czNjckB0")), "user and password, decoded: {asked}");
    assert!(!asked.contains("s3cret"), "{asked}");
}

/// Plain http, which the rules allow inside a network, goes directly. On this path the proxy's own host is checked as
/// any other host.
#[tokio::test]
async fn the_proxys_host_does_not_bypass_the_rules_for_plain_http() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let policy = EgressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]);
    let proxy = "http://localhost:3128".parse().unwrap();
    let options = HttpOptions { policy, https_proxy: Some(proxy), ..HttpOptions::default() };
    let transport = HttpTransport::new(&options).unwrap();
    let url = format!("http://localhost:{}/", inside.local_addr().unwrap().port());
    let refused = tokio::select! {
        answer = transport.send(request(url)) => answer,
        _ = inside.accept() => panic!("a port of the proxy's host was reached"),
    };
    assert!(matches!(refused, Err(TransportError::EgressRefused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_get_has_no_body_and_no_extra_header_except_the_user_agent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, asked) = tokio::join!(get_from(&["127.0.0.1"], format!("http://{address}/x")), first_bytes(listener));
    let agent = concat!("cognigy-operator/", env!("CARGO_PKG_VERSION"));
    let mut lines: Vec<&str> = asked.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    let (host, agent) = (format!("host: {address}"), format!("user-agent: {agent}"));
    assert_eq!(lines, ["GET /x HTTP/1.1", "accept: */*", &host, &agent]);
}

#[test]
fn invalid_certificates_are_refused_when_the_transport_is_made() {
    rustls::crypto::ring::default_provider().install_default().ok();
    for pem in ["", "not pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = HttpOptions { ca_pem: Some(pem.to_owned()), ..HttpOptions::default() };
        assert!(HttpTransport::new(&options).is_err(), "{pem:?}");
    }
}

/// A test cannot safely change the environment of its process, so the test runs itself again in a new process.
#[test]
fn a_proxy_in_the_environment_is_ignored() {
    const INNER: &str = "http::http_transport::tests::the_environments_proxy_is_never_used";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([INNER, "--exact", "--ignored"])
        .env("http_proxy", "http://127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
}

#[tokio::test]
#[ignore = "run by a_proxy_in_the_environment_is_ignored, with a proxy in its environment"]
async fn the_environments_proxy_is_never_used() {
    assert!(std::env::var("http_proxy").is_ok());
    let address = serve(Router::new().route("/", get(async || "direct"))).await;
    let answer = get_from(&["127.0.0.1"], format!("http://{address}/")).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"direct");
}
