//! Waits until the API server is usable: it reports that it is ready, and the namespace that all clients need exists.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{error::Error, identity::Identity, servers::Server};

/// The time between two polls. There is no event to wait for: before the API server is ready, it does not even listen.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(25);

/// The timeout of one poll: a server on the same machine answers at once or is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The paths that must be answered with 200, in this order. The API server itself creates the namespace after it is
/// ready.
const PATHS: [&str; 2] = ["/readyz", "/api/v1/namespaces/default"];

/// Waits until `api_server` is ready. It is an error if one of the two programs ends, or if the allowed time ends
/// first.
pub(crate) async fn wait_until_ready(
    api_server: &Server,
    etcd: &Server,
    url: &str,
    identity: &Identity,
    within: Duration,
) -> Result<(), Error> {
    let client = client(identity)?;
    let mut last_answer = "none".to_owned();
    let answered = tokio::select! {
        error = api_server.ended() => return Err(error),
        error = etcd.ended() => return Err(error),
        answered = timeout_at(Instant::now() + within, ask(&client, url, identity, &mut last_answer)) => answered,
    };
    answered.map_err(|_| Error::NotReady { waited: within, last_answer, log_tail: api_server.log_tail() })
}

async fn ask(client: &Client, url: &str, identity: &Identity, last_answer: &mut String) {
    for path in PATHS {
        loop {
            match client.get(format!("{url}{path}")).bearer_auth(&identity.admin_token).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => break,
                Ok(answer) => *last_answer = format!("{} to {path}", answer.status()),
                Err(error) => *last_answer = format!("{error} ({path})"),
            }
            sleep(BETWEEN_QUESTIONS).await;
        }
    }
}

fn client(identity: &Identity) -> Result<Client, Error> {
    let tls = identity.client_tls().map_err(|error| Error::ReadinessClient(error.to_string()))?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(ANSWER_WITHIN)
        .no_proxy()
        .build()
        .map_err(|error| Error::ReadinessClient(error.to_string()))
}
