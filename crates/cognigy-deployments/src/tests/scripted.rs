//! A transport that answers as the test specifies, and records the requests that it receives.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use tokio::time::Instant;

use crate::*;
use api::status::RollbackReason;
use platform::*;

/// The transport's reaction to one request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Status(u16, String),
    RetryAfter(u16, &'static str),
    Slowly(Duration, u16, String),
    Never,
    NotConnected,
    Interrupted,
    TooLarge(u16),
}

pub(super) fn ok(body: &str) -> Reply {
    status(200, body)
}

pub(super) fn status(status: u16, body: &str) -> Reply {
    Reply::Status(status, body.to_owned())
}

pub(super) fn token(text: &str, expires_in: u64) -> Reply {
    ok(&format!(r#"{{"access_token": "{text}", "expires_in": {expires_in}}}"#))
}

/// One request as it was sent, and the time.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) head: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

#[derive(Default)]
pub(super) struct Scripted {
    tokens: Mutex<VecDeque<Reply>>,
    replies: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<Sent>>,
}

impl Transport for Scripted {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let is_token = request.uri().host() == Some("auth.cognigy.ai");
        self.sent.lock().unwrap().push(Sent {
            at: Instant::now(),
            head: format!("{} {}", request.method(), request.uri()),
            headers: request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        });
        let reply = if is_token {
            self.tokens.lock().unwrap().pop_front().unwrap_or_else(|| token("tok", 3600))
        } else {
            self.replies.lock().unwrap().pop_front().expect("a request that the test did not expect")
        };
        let answer = |status: u16, body: String| {
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        };
        Box::pin(async move {
            match reply {
                Reply::Status(status, body) => Ok(answer(status, body)),
                Reply::RetryAfter(status, after) => {
                    let mut response = answer(status, String::new());
                    response.headers_mut().insert("retry-after", after.parse().unwrap());
                    Ok(response)
                }
                Reply::Slowly(delay, status, body) => {
                    tokio::time::sleep(delay).await;
                    Ok(answer(status, body))
                }
                Reply::Never => std::future::pending().await,
                Reply::NotConnected => Err(TransportError::NotConnected("refused".to_owned())),
                Reply::Interrupted => Err(TransportError::Interrupted("reset".to_owned())),
                Reply::TooLarge(status) => {
                    Err(TransportError::TooLarge { status: StatusCode::from_u16(status).unwrap() })
                }
            }
        })
    }
}

/// A client, together with its transport and its budget.
pub(super) struct Fixture {
    pub(super) client: Client,
    pub(super) transport: Arc<Scripted>,
    pub(super) budget: Arc<Budget>,
}

pub(super) fn credentials() -> Credentials {
    Credentials {
        client_id: "operator".to_owned(),
        client_secret: "hunter2&hunter2".to_owned().into(),
        base_url: BaseUrl::public(),
        token_url: TokenUrl::public(),
        ca_pem: None,
        requests_per_minute: None,
    }
}

/// The API gives these answers, in this order; tokens are always granted.
pub(super) fn api(replies: impl IntoIterator<Item = Reply>) -> Fixture {
    api_with_tokens([], replies)
}

pub(super) fn api_with_tokens(
    tokens: impl IntoIterator<Item = Reply>,
    replies: impl IntoIterator<Item = Reply>,
) -> Fixture {
    let transport = Arc::new(Scripted {
        tokens: Mutex::new(tokens.into_iter().collect()),
        replies: Mutex::new(replies.into_iter().collect()),
        sent: Mutex::default(),
    });
    let budget = Budget::new(NonZeroU32::new(100).unwrap());
    let options = ExchangeOptions::new(EgressPolicy::default());
    let client = Client::new(&credentials(), transport.clone(), options, budget.clone(), 7);
    Fixture { client, transport, budget }
}

impl Fixture {
    /// All requests except token requests.
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.all_sent().into_iter().filter(|sent| !sent.head.contains("/oauth/token")).collect()
    }

    pub(super) fn token_requests(&self) -> usize {
        self.all_sent().len() - self.sent().len()
    }

    pub(super) fn all_sent(&self) -> Vec<Sent> {
        self.transport.sent.lock().unwrap().clone()
    }

    /// Waits until the budget's careful first minutes are over. After that, a few requests are sent without delay.
    pub(super) async fn is_no_longer_careful(&self) {
        tokio::time::sleep(2 * WINDOW).await;
    }

    pub(super) async fn job(&self) -> Result<JobStatus, JobError> {
        self.client.job(&"job_8f3a2c".parse().unwrap(), &me()).await
    }

    pub(super) async fn audit(&self) -> Result<(), CallError> {
        self.client.audit(Bytes::from_static(b"{}"), &key(), &me()).await
    }

    pub(super) async fn rollback(&self) -> ApiRollbackAnswer {
        let job_id = "job_8f3a2c".parse().unwrap();
        self.client.rollback(&job_id, &key(), RollbackReason::HealthCheckFailure, &me()).await
    }
}

pub(super) fn me() -> Requester {
    Requester::new("bots", "me")
}

pub(super) fn key() -> IdempotencyKey {
    "key-1".parse().unwrap()
}
