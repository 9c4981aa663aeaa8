//! The checks that every request must pass first: the rate limit, its token, and the token's scopes.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::World;
use super::incoming::Incoming;
use crate::fault::Call;
use crate::identifier::ClientId;
use crate::reply::{Refusal, with_retry_after};
use crate::token::{Authorization, Caller};
use crate::wire::Body;

impl World {
    /// Returns the refusal of a request that fails one of the checks; `None` if the request passes them.
    pub(super) fn refuse(&mut self, incoming: &Incoming<'_>, call: Call, caller: &Caller) -> Option<Response<Bytes>> {
        let client = match call {
            Call::Webhook => return None,
            Call::Token if !self.scenario.rate_limit.count_token_requests => return None,
            Call::Token => token_client(&incoming.body),
            _ => caller.client.clone(),
        };
        // A request with an expired or revoked token counts too, because a gateway cannot know that the token is no
        // longer valid.
        if let Some(client) = client {
            let limit = self.scenario.rate_limit.requests_per_minute;
            if let Err(refused) = self.limiter.admit(incoming.now, &client, limit) {
                let message = format!("more than {limit} requests in a minute");
                let response = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).response();
                return Some(with_retry_after(response, refused.retry_after_seconds));
            }
        }
        if call == Call::Token {
            return None;
        }
        if caller.authorization != Authorization::Valid {
            return Some(unauthorized(caller.authorization));
        }
        let lacking = caller.may(call).err()?;
        let message = format!("the token does not have the scope `{}`", lacking.as_str());
        Some(Refusal::new(StatusCode::FORBIDDEN, "insufficient_scope", message).response())
    }
}

fn unauthorized(authorization: Authorization) -> Response<Bytes> {
    let message = match authorization {
        Authorization::Missing => "`Authorization` is missing",
        Authorization::Malformed => "`Authorization` is not `Bearer` and a token",
        Authorization::Unknown => "the token was never issued",
        Authorization::Expired => "the token has expired",
        Authorization::Revoked | Authorization::Valid => "the token was revoked",
    };
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, "invalid_token", message).response();
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// The client in a token request.
pub(super) fn token_client(body: &Body) -> Option<ClientId> {
    body.text("client_id").map(ClientId::new)
}
