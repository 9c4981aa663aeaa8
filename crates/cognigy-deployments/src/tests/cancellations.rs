//! Cancelled requests. A request that was sent is never cancelled, and neither is a submit or a rollback.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scripted::*;
use crate::*;
use api::status::RollbackReason;
use platform::*;
use rollout::facts::SubmitIdempotency;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A requester whose requests are cancelled after this time.
fn cancelled_after(wait: Duration) -> Requester {
    let cancellation = CancellationToken::new();
    let requester = me().cancelled_by(cancellation.clone());
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        cancellation.cancel();
    });
    requester
}

/// An API that requested a pause of one minute.
fn paused(replies: impl IntoIterator<Item = Reply>) -> Fixture {
    let api = api(replies);
    api.budget.pause(seconds(60));
    api
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_in_the_queue_is_cancelled_at_once() {
    let api = paused([]);
    let (start, me) = (Instant::now(), cancelled_after(seconds(5)));
    let job_id = "job_8f3a2c".parse().unwrap();
    let environment = "env".parse().unwrap();
    let (job, health, audit) =
        tokio::join!(api.client.job(&job_id, &me), api.client.health(&environment, 0.05, &me), async {
            api.client.audit(Bytes::new(), &key(), &me).await.map_err(|error| error.class())
        },);
    assert_eq!(start.elapsed(), seconds(5));
    assert_eq!(
        (job, health, audit),
        (Err(NotSent::Cancelled.into()), Err(NotSent::Cancelled), Err(ErrorClass::Cancelled))
    );
    assert_eq!(api.client.job(&job_id, &me).await, Err(NotSent::Cancelled.into()), "the next is not sent");
    assert!(api.sent().is_empty());
    assert_eq!(api.budget.usage().total_waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_sent_is_not_cancelled() {
    let api = api([Reply::Slowly(seconds(10), 200, r#"{"status": "completed"}"#.to_owned())]);
    let me = cancelled_after(seconds(5));
    assert_eq!(api.client.job(&"job_8f3a2c".parse().unwrap(), &me).await, Ok(JobStatus::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_not_repeated_after_cancellation() {
    let api = api([status(503, "")]);
    let (start, me) = (Instant::now(), cancelled_after(seconds(1)));
    let refused = api.client.audit(Bytes::new(), &key(), &me).await.unwrap_err();
    assert_eq!((refused.class(), start.elapsed()), (ErrorClass::Cancelled, seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_and_a_submit_are_never_cancelled() {
    let api = paused([status(202, ""), ok(r#"{"jobId": "job_8f3a2c"}"#)]);
    let me = cancelled_after(seconds(5));
    let job_id = "job_8f3a2c".parse().unwrap();
    let answer = api.client.rollback(&job_id, &key(), RollbackReason::ResourceDeleted, &me).await;
    assert_eq!(answer, ApiRollbackAnswer::Accepted);
    let answer = api.client.submit(Bytes::new(), &key(), FirstPost::Yes, SubmitIdempotency::Supported, &me).await;
    assert_eq!(answer, ApiSubmitAnswer::Accepted(job_id));
}
