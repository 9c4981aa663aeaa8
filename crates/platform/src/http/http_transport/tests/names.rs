//! Names whose name servers are not trustworthy: the client connects only to an address that was checked.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::http::header::{CONNECTION, LOCATION};
use tokio::net::TcpListener;

use super::*;

/// Two local addresses. The rules of these tests allow only the first.
const OPEN: &str = "127.0.0.1";
const CLOSED: &str = "127.0.0.2";
const RULES: [&str; 1] = ["127.0.0.1/32"];

fn at(host: &str) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), 0)
}

/// A server at the allowed address, and on the same port of the forbidden address a listener that must receive nothing.
async fn both(router: Router) -> (u16, TcpListener) {
    let address = serve(router).await;
    let closed = TcpListener::bind((CLOSED, address.port())).await.unwrap();
    (address.port(), closed)
}

#[tokio::test]
async fn only_the_allowed_addresses_of_a_name_are_tried() {
    let (port, closed) = both(Router::new().route("/", get(async || "open"))).await;
    for answer in [[CLOSED, OPEN], [OPEN, CLOSED]] {
        let transport = transport_with_names(&RULES, move |_| answer.map(at).to_vec());
        let answer = transport.send(request(format!("http://mixed.example.com:{port}/"))).await.unwrap();
        assert_eq!(answer.body().as_ref(), b"open");
    }
    // The forbidden address is not tried even if the allowed address does not answer.
    let unused = TcpListener::bind((OPEN, 0)).await.unwrap().local_addr().unwrap().port();
    let waiting = TcpListener::bind((CLOSED, unused)).await.unwrap();
    let transport = transport_with_names(&RULES, |_| vec![at(OPEN), at(CLOSED)]);
    let failed = transport.send(request(format!("http://mixed.example.com:{unused}/"))).await;
    assert!(matches!(failed, Err(TransportError::NotConnected(_))), "{failed:?}");
    assert!(closed.accept().now_or_never().is_none() && waiting.accept().now_or_never().is_none());
}

#[tokio::test]
async fn a_name_is_resolved_once_for_each_connection_so_dns_rebinding_fails() {
    let router = Router::new().route("/", get(async || ([(CONNECTION, "close")], "open")));
    let (port, closed) = both(router).await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&lookups);
    // The first DNS answer is harmless; all later answers are forbidden addresses.
    let transport = transport_with_names(&RULES, move |_| {
        vec![at(if asked.fetch_add(1, Ordering::Relaxed) == 0 { OPEN } else { CLOSED })]
    });
    let url = format!("http://rebound.example.com:{port}/");
    let first = transport.send(request(url.clone())).await.unwrap();
    assert_eq!((first.body().as_ref(), lookups.load(Ordering::Relaxed)), (b"open".as_slice(), 1));
    for connection in 2..5 {
        let next = transport.send(request(url.clone())).await;
        assert!(matches!(next, Err(TransportError::EgressRefused(EgressRefusal::Address { .. }))), "{next:?}");
        assert_eq!(lookups.load(Ordering::Relaxed), connection, "each connection is checked separately");
    }
    assert!(closed.accept().now_or_never().is_none());
}

#[tokio::test]
async fn no_redirect_is_followed_wherever_it_leads() {
    let closed = TcpListener::bind((CLOSED, 0)).await.unwrap();
    let location = format!("http://{}/latest/meta-data", closed.local_addr().unwrap());
    for status in [300, 301, 302, 303, 307, 308] {
        let location = location.clone();
        let status = StatusCode::from_u16(status).unwrap();
        let router = Router::new().fallback(async move || (status, [(LOCATION, location)], "elsewhere"));
        let address = serve(router).await;
        let transport = transport(&[OPEN, CLOSED]);
        for method in [Method::GET, Method::POST] {
            let body = Bytes::from_static(b"client_secret=s3cret");
            let asked = Request::builder().method(method).uri(format!("http://{address}/")).body(body).unwrap();
            assert_eq!(transport.send(asked).await.unwrap().status(), status);
        }
    }
    assert!(closed.accept().now_or_never().is_none());
}

#[tokio::test]
async fn names_of_metadata_services_and_of_the_cluster_are_refused_by_their_addresses() {
    let names = [
        ("metadata.google.internal", "169.254.169.254"),
        ("metadata", "169.254.169.254"),
        ("instance-data", "169.254.169.254"),
        ("instance-data.ec2.internal", "fd00:ec2::254"),
        ("metadata.tencentyun.com", "169.254.0.23"),
        ("kubernetes.default.svc", "10.96.0.1"),
        ("kubernetes.default.svc.cluster.local", "fd00:10:96::1"),
        ("localhost", "127.0.0.1"),
        ("localtest.me", "::1"),
        ("10.0.0.1.nip.io", "10.0.0.1"),
    ];
    let transport = transport_with_names(&[], move |asked| {
        let found = names.iter().find(|(name, _)| *name == asked.trim_end_matches('.'));
        found.map(|(_, address)| at(address)).into_iter().collect()
    });
    for (name, address) in names {
        for host in [name.to_string(), format!("{name}."), name.to_uppercase()] {
            let refused = transport.send(request(format!("https://{host}/"))).await;
            assert!(
                matches!(refused, Err(TransportError::EgressRefused(EgressRefusal::Address { .. }))),
                "{host} at {address}: {refused:?}"
            );
        }
    }
    let nowhere = transport.send(request("https://no-such-name.example.com/".to_owned())).await;
    assert!(matches!(nowhere, Err(TransportError::NotConnected(_))), "{nowhere:?}");
}
