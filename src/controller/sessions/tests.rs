#![allow(clippy::unwrap_used)]

use super::*;
use cognigy::{EgressPolicy, Options, TransportError};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use std::convert::Infallible;
use tower::service_fn;

/// A platform that nobody asks anything.
struct Unasked;

impl Transport for Unasked {
    fn send(&self, request: Request<bytes::Bytes>) -> BoxFuture<'_, Result<Response<bytes::Bytes>, TransportError>> {
        panic!("{} was asked for", request.uri())
    }
}

fn sessions(kubernetes: kube::Client) -> Sessions {
    let transports: TransportFactory = Arc::new(|_| Ok(Arc::new(Unasked)));
    let options = Options::new(EgressPolicy::default());
    Sessions::new(kubernetes, Defaults::default(), transports, options, Arc::default(), 7)
}

#[tokio::test]
async fn nothing_is_asked_under_a_name_that_no_secret_can_have() {
    let api_server = service_fn(|request: Request<Body>| async move {
        panic!("{} was asked for", request.uri());
        #[allow(unreachable_code)]
        Ok::<Response<Full<bytes::Bytes>>, Infallible>(Response::default())
    });
    let sessions = sessions(kube::Client::new(api_server, "default"));
    for name in ["?limit=0", "../../kube-system/secrets/x", "a b", ""] {
        let source = Source::new("bots", Some(&SecretReference { name: name.to_owned() }));
        let Err(obstacle) = sessions.fresh(&source).await.unwrap() else { panic!("{name} was read") };
        assert_eq!((obstacle.cause, obstacle.needs_person()), (Cause::CredentialsNotFound, true));
        let says =
            format!("spec.credentialsRef.name is \"{name}\", which no object in Kubernetes can be called; write");
        assert!(obstacle.message.starts_with(&says), "{}", obstacle.message);
    }
}

/// A platform that grants a token to one client secret, and whose jobs have completed.
struct Granting;

impl Transport for Granting {
    fn send(&self, request: Request<bytes::Bytes>) -> BoxFuture<'_, Result<Response<bytes::Bytes>, TransportError>> {
        let is_token = request.uri().path().ends_with("/token");
        let is_right = String::from_utf8_lossy(request.body()).contains("client_secret=right");
        let (status, body) = match (is_token, is_right) {
            (true, false) => (401, "{}"),
            (true, true) => (200, r#"{"access_token": "tok", "expires_in": 3600}"#),
            (false, _) => (200, r#"{"status": "completed"}"#),
        };
        let response = Response::builder().status(status).body(bytes::Bytes::from_static(body.as_bytes())).unwrap();
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// The session of credentials of the client `shared` with that client secret, which allow so many requests a minute.
fn session(sessions: &Sessions, client_secret: &str, requests_per_minute: u32) -> Session {
    let credentials = Credentials {
        client_id: "shared".to_owned(),
        client_secret: client_secret.to_owned().into(),
        base_url: cognigy::BaseUrl::public(),
        token_url: cognigy::TokenUrl::public(),
        ca_pem: None,
        requests_per_minute: NonZeroU32::new(requests_per_minute),
    };
    sessions.session(&credentials, &Source::new("bots", None)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_secret_counts_apart_until_a_token_was_granted_for_it_and_then_among_its_clients_others() {
    let api_server = service_fn(|_: Request<Body>| {
        std::future::ready(Ok::<Response<Full<bytes::Bytes>>, Infallible>(Response::default()))
    });
    let transports: TransportFactory = Arc::new(|_| Ok(Arc::new(Granting)));
    let options = Options::new(EgressPolicy::default());
    let kubernetes = kube::Client::new(api_server, "default");
    let sessions = Sessions::new(kubernetes, Defaults::default(), transports, options, Arc::default(), 7);
    let (right, wrong) = (session(&sessions, "right", 6000), session(&sessions, "wrong", 1));
    let ask = async |session: &Session| {
        let me = cognigy::Requester::new("bots", "bot");
        session.client.job(&"job_1".parse().unwrap(), &me).await.is_ok()
    };
    for session in [&right, &wrong] {
        assert_eq!(session.account().group, Group::Unproven(session.fingerprint));
    }
    assert_eq!(right.account().limit, TYPICAL_LIMIT, "no more is believed yet");
    assert_eq!((ask(&right).await, ask(&wrong).await), (true, false));
    let account = right.account();
    assert_eq!((account.group, account.limit.get()), (Group::Client(right.client_fingerprint), 6000));
    assert_eq!(wrong.account().group, Group::Unproven(wrong.fingerprint));
    let modest = session(&sessions, "right", 40);
    assert!(ask(&modest).await);
    assert_eq!((modest.account().group, right.account().limit.get()), (account.group, 40), "the smallest counts");
}
