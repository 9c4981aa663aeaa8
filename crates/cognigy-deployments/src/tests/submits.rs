//! Every row of the contract's error table for the submit.

use bytes::Bytes;

use super::scripted::*;
use crate::*;
use platform::*;
use rollout::facts::SubmitIdempotency;

async fn submit(api: &Fixture, first: FirstPost, idempotency: SubmitIdempotency) -> ApiSubmitAnswer {
    api.client.submit(Bytes::from_static(b"{}"), &key(), first, idempotency, &me()).await
}

fn next(answer: &ApiSubmitAnswer) -> Option<FirstPost> {
    match answer {
        ApiSubmitAnswer::Transient { next, .. } | ApiSubmitAnswer::Unauthorized { next, .. } => Some(*next),
        _ => None,
    }
}

/// The answer to the only POST that is sent.
async fn first(reply: Reply) -> ApiSubmitAnswer {
    submit(&api([reply]), FirstPost::Yes, SubmitIdempotency::Supported).await
}

async fn later(reply: Reply) -> ApiSubmitAnswer {
    submit(&api([reply]), FirstPost::No, SubmitIdempotency::Supported).await
}

#[tokio::test(start_paused = true)]
async fn a_4xx_to_the_first_post_rejects() {
    for code in [400, 403, 404, 409, 410, 422] {
        assert!(matches!(first(status(code, "no")).await, ApiSubmitAnswer::Rejected { status, .. } if status == code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_4xx_except_409_to_a_later_post_leaves_the_outcome_unknown() {
    for code in [400, 403, 404, 410, 422] {
        assert!(matches!(later(status(code, "no")).await, ApiSubmitAnswer::OutcomeUnknown { .. }));
    }
    assert!(matches!(later(status(409, "")).await, ApiSubmitAnswer::StillInProgress { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_try_within_the_call_counts_as_a_later_post() {
    for lost in [Reply::Interrupted, Reply::Never, status(503, ""), status(429, "")] {
        let api = api([lost, status(400, "")]);
        let answer = submit(&api, FirstPost::Yes, SubmitIdempotency::Supported).await;
        assert!(matches!(answer, ApiSubmitAnswer::OutcomeUnknown { .. }), "{answer:?}");
    }
    let api = api([Reply::Interrupted, status(409, "")]);
    let answer = submit(&api, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert!(matches!(answer, ApiSubmitAnswer::StillInProgress { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_failed_connection_does_not_count_as_a_post() {
    let unreached = api([Reply::NotConnected, status(400, "")]);
    let answer = submit(&unreached, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert!(matches!(answer, ApiSubmitAnswer::Rejected { status: 400, .. }));
    let never = api([Reply::NotConnected, Reply::NotConnected, Reply::NotConnected]);
    let answer = submit(&never, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert_eq!(next(&answer), Some(FirstPost::Yes));
}

#[tokio::test(start_paused = true)]
async fn a_401_to_a_stale_token_does_not_count_as_a_post() {
    let rejected = api([status(401, ""), status(422, "")]);
    let answer = submit(&rejected, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert!(matches!(answer, ApiSubmitAnswer::Rejected { status: 422, .. }));
    let refused = api([status(401, ""), status(401, "")]);
    let answer = submit(&refused, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert!(matches!(answer, ApiSubmitAnswer::Rejected { status: 401, .. }));
    let lost_token = api_with_tokens([token("a", 3600), status(403, "")], [status(401, "")]);
    let answer = submit(&lost_token, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert!(matches!(answer, ApiSubmitAnswer::Unauthorized { next: FirstPost::Yes, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_good_status_without_a_job_id_leaves_the_outcome_unknown() {
    for body in ["", "{}", r#"{"jobId": "../x"}"#, "<html>"] {
        assert!(matches!(first(ok(body)).await, ApiSubmitAnswer::OutcomeUnknown { .. }), "{body}");
    }
    assert!(matches!(first(Reply::TooLarge(200)).await, ApiSubmitAnswer::OutcomeUnknown { .. }));
    assert!(matches!(first(status(302, "")).await, ApiSubmitAnswer::OutcomeUnknown { .. }));
}

#[tokio::test(start_paused = true)]
async fn three_lost_posts_are_transient_and_the_next_is_not_the_first() {
    for lost in [Reply::Interrupted, Reply::Never, status(504, ""), status(429, "")] {
        let api = api([lost.clone(), lost.clone(), lost]);
        let answer = submit(&api, FirstPost::Yes, SubmitIdempotency::Supported).await;
        assert_eq!(next(&answer), Some(FirstPost::No), "{answer:?}");
        assert_eq!(api.sent().len(), 3);
        assert!(api.sent().iter().all(|sent| sent.headers == api.sent()[0].headers && sent.body == "{}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_post_counts_even_if_the_next_token_is_refused() {
    let api = api_with_tokens([token("a", 3), status(401, "")], [Reply::Interrupted]);
    let answer = submit(&api, FirstPost::Yes, SubmitIdempotency::Supported).await;
    assert!(matches!(answer, ApiSubmitAnswer::Unauthorized { next: FirstPost::No, .. }), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn without_keys_an_ambiguous_answer_is_unknown_after_one_post() {
    for lost in [Reply::Interrupted, Reply::Never, status(500, ""), status(503, ""), ok("{}"), Reply::TooLarge(200)] {
        let api = api([lost]);
        let answer = submit(&api, FirstPost::Yes, SubmitIdempotency::Unsupported).await;
        assert!(matches!(answer, ApiSubmitAnswer::OutcomeUnknown { .. }), "{answer:?}");
        assert_eq!(api.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_post_that_certainly_had_no_effect_may_be_repeated() {
    let refused = api([status(429, "")]);
    let answer = submit(&refused, FirstPost::Yes, SubmitIdempotency::Unsupported).await;
    assert_eq!(next(&answer), Some(FirstPost::Yes));
    assert_eq!(refused.sent().len(), 1);
    let unreached = api([Reply::NotConnected, status(401, ""), ok(r#"{"jobId": "j"}"#)]);
    let answer = submit(&unreached, FirstPost::Yes, SubmitIdempotency::Unsupported).await;
    assert_eq!(answer, ApiSubmitAnswer::Accepted("j".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_later_post_is_never_sent() {
    let api = api([]);
    let answer = submit(&api, FirstPost::No, SubmitIdempotency::Unsupported).await;
    assert!(matches!(answer, ApiSubmitAnswer::OutcomeUnknown { .. }));
    assert!(api.all_sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_repeats_the_webhook_url_is_shown_without_it() {
    let url = "https://ci.example.com/hooks/T0ken-T0ken?key=K3y-K3y-K3y";
    let echo = format!(r#"{{"message": "{url} (T0ken-T0ken, /hooks/T0ken-T0ken) is no URL of ci.example.com"}}"#);
    let api = api([status(422, &echo)]);
    let body = Bytes::from(format!(r#"{{"environment_id": "env", "webhookCallbackUrl": "{url}"}}"#));
    let answer = api.client.submit(body, &key(), FirstPost::Yes, SubmitIdempotency::Supported, &me()).await;
    let said = "422 Unprocessable Entity: [redacted] ([redacted], [redacted]) is no URL of ci.example.com";
    let message = format!("https://api.cognigy.ai answered {said}");
    assert_eq!(answer, ApiSubmitAnswer::Rejected { status: 422, message });
}
