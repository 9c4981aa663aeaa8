#![allow(clippy::unwrap_used)]

use super::*;
use cognigy_deployments::{CognigyDeployments, Defaults};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use k8s_openapi::ByteString;
use kube::client::Body;
use platform::{
    EgressPolicy, ExchangeOptions, Requester, SubmitRules, TYPICAL_LIMIT, Transport, TransportError, TransportFactory,
};
use rollout::facts::SubmitIdempotency;
use std::convert::Infallible;
use std::time::Duration;
use tower::service_fn;

/// A platform that receives no requests.
struct Unasked;

impl Transport for Unasked {
    fn send(&self, request: Request<bytes::Bytes>) -> BoxFuture<'_, Result<Response<bytes::Bytes>, TransportError>> {
        panic!("unexpected request for {}", request.uri())
    }
}

fn provider(transports: TransportFactory) -> Arc<dyn Provider> {
    let options = ExchangeOptions::new(EgressPolicy::default());
    let rules = SubmitRules { idempotency: SubmitIdempotency::Supported, key_ttl: Duration::from_secs(24 * 3600) };
    Arc::new(CognigyDeployments::new(Defaults::default(), transports, options, rules, Arc::default(), 7))
}

fn sessions(kubernetes: kube::Client) -> Sessions {
    Sessions::new(kubernetes, provider(Arc::new(|_| Ok(Arc::new(Unasked)))), Arc::default())
}

#[tokio::test]
async fn an_invalid_name_of_a_secret_causes_no_request() {
    let api_server = service_fn(|request: Request<Body>| async move {
        panic!("unexpected request for {}", request.uri());
        #[allow(unreachable_code)]
        Ok::<Response<Full<bytes::Bytes>>, Infallible>(Response::default())
    });
    let sessions = sessions(kube::Client::new(api_server, "default"));
    for name in ["?limit=0", "../../kube-system/secrets/x", "a b", ""] {
        let source = Source::new("bots", Some(&SecretReference { name: name.to_owned() }));
        let Err(obstacle) = sessions.fresh(&source).await.unwrap() else { panic!("{name} was read") };
        assert_eq!((obstacle.cause, obstacle.needs_person()), (Cause::CredentialsNotFound, true));
        let says =
            format!("spec.credentialsRef.name is \"{name}\", which is not a valid name of a Kubernetes object; write");
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

/// The connection of the client `shared` with this client secret and this limit of requests per minute.
fn connection(provider: &dyn Provider, client_secret: &str, requests_per_minute: u32) -> Connection {
    let requests_per_minute = requests_per_minute.to_string();
    let keys = [("clientId", "shared"), ("clientSecret", client_secret), ("requestsPerMinute", &requests_per_minute)];
    let data = keys.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
    provider.connect(CredentialsSource::Secret(&Secret { data: Some(data.into()), ..Secret::default() })).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_secret_are_counted_separately_until_a_token_was_granted_for_it() {
    let provider = provider(Arc::new(|_| Ok(Arc::new(Granting))));
    let (right, wrong) = (connection(&*provider, "right", 6000), connection(&*provider, "wrong", 1));
    let ask = async |connection: &Connection| {
        let me = Requester::new("bots", "bot");
        connection.platform.job(&"job_1".parse().unwrap(), &me).await.is_ok()
    };
    for connection in [&right, &wrong] {
        assert_eq!(account_of(connection).group, Group::Unproven(connection.fingerprint));
    }
    assert_eq!(
        account_of(&right).rates.per_minute,
        TYPICAL_LIMIT,
        "before the first token, a higher limit does not count"
    );
    assert_eq!((ask(&right).await, ask(&wrong).await), (true, false));
    let account = account_of(&right);
    assert_eq!((account.group, account.rates.per_minute.get()), (Group::Client(right.client_fingerprint), 6000));
    assert_eq!(account_of(&wrong).group, Group::Unproven(wrong.fingerprint));
    let modest = connection(&*provider, "right", 40);
    assert!(ask(&modest).await);
    assert_eq!(
        (account_of(&modest).group, account_of(&right).rates.per_minute.get()),
        (account.group, 40),
        "the smallest limit counts"
    );
}
