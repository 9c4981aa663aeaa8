//! Sends answers over a real connection, complete or with a fault.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::{HeaderValue, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::reply::{Delivery, Reply};

/// The body of an answer that is being sent.
pub(super) type OutgoingBody = UnsyncBoxBody<Bytes, BrokenOff>;

/// The scenario ends the connection here.
#[derive(Debug, thiserror::Error)]
#[error("the scenario ends the connection here")]
pub(super) struct BrokenOff;

/// Size of the pieces of an oversized body.
const PIECE: usize = 16 * 1024;

/// Sends a reply: waits for its delay, then passes the answer to the connection. An error ends the connection without
/// an answer.
pub(super) async fn send(reply: Reply) -> Result<Response<OutgoingBody>, BrokenOff> {
    let Reply { response, delivery } = reply;
    match delivery {
        Delivery::Normal => Ok(response.map(whole)),
        Delivery::DelayedBy(length) => {
            tokio::time::sleep(length).await;
            Ok(response.map(whole))
        }
        Delivery::DroppedBeforeEffect | Delivery::DroppedAfterEffect => Err(BrokenOff),
        Delivery::Truncated { bytes } if bytes >= response.body().len() => Ok(response.map(whole)),
        Delivery::Truncated { bytes } => Ok(with_content_length(response).map(|body| truncated(&body, bytes))),
        Delivery::SlowDrip { bytes, every } => {
            Ok(with_content_length(response).map(|body| slow_drip(body, bytes, every)))
        }
        Delivery::Oversized { bytes } => Ok(response.map(|body| oversized(&body, bytes))),
    }
}

fn whole(body: Bytes) -> OutgoingBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn with_content_length(mut response: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

fn streamed(pieces: impl Stream<Item = Result<Bytes, BrokenOff>> + Send + 'static) -> OutgoingBody {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

fn truncated(body: &Bytes, bytes: usize) -> OutgoingBody {
    let arrives = body.slice(..bytes.min(body.len()));
    let broken_off = stream::once(async {
        // Lets the connection send the earlier bytes first.
        tokio::task::yield_now().await;
        Err(BrokenOff)
    });
    streamed(stream::iter([Ok(arrives)]).chain(broken_off))
}

fn slow_drip(body: Bytes, bytes: usize, every: Duration) -> OutgoingBody {
    streamed(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let piece = rest.split_to(bytes.clamp(1, rest.len()));
        Some((Ok(piece), rest))
    }))
}

/// The object with one more field, so that a reader without a size limit accepts it as a valid answer.
fn oversized(body: &Bytes, bytes: u64) -> OutgoingBody {
    static PADDING: [u8; PIECE] = [b'.'; PIECE];
    let (mut head, tail) = match body.strip_suffix(b"}") {
        Some(fields) if fields != b"{" => ([fields, b",\"padding\":\""].concat(), "\"}"),
        Some(_) => (b"{\"padding\":\"".to_vec(), "\"}"),
        None => (b"\"".to_vec(), "\""),
    };
    head.shrink_to_fit();
    let padding = stream::unfold(bytes, |left| async move {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let piece = Bytes::from_static(PADDING.get(..length).filter(|piece| !piece.is_empty())?);
        Some((Ok(piece), left.saturating_sub(length as u64)))
    });
    let head = stream::iter([Ok(Bytes::from(head))]);
    let tail = stream::iter([Ok(Bytes::from_static(tail.as_bytes()))]);
    streamed(head.chain(padding).chain(tail))
}
