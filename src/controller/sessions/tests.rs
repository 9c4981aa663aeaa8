#![allow(clippy::unwrap_used)]

use super::*;
use crate::cognigy::{EgressPolicy, Options, TransportError};
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
        assert_eq!((obstacle.reason, obstacle.stalls()), (Reason::CredentialsNotFound, true));
        let says =
            format!("spec.credentialsRef.name is \"{name}\", which no object in Kubernetes can be called; write");
        assert!(obstacle.message.starts_with(&says), "{}", obstacle.message);
    }
}
