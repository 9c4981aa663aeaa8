//! All callers share one token, and one of them requests it.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::scripted::*;
use crate::*;
use platform::*;

const COMPLETED: &str = r#"{"status": "completed"}"#;

fn completed(count: usize) -> Vec<Reply> {
    vec![ok(COMPLETED); count]
}

fn bearer(sent: &Sent) -> &str {
    sent.headers.iter().find(|(name, _)| name == "authorization").map_or("", |(_, value)| value)
}

fn slow_token(text: &str) -> Reply {
    Reply::Slowly(Duration::from_secs(4), 200, format!(r#"{{"access_token": "{text}", "expires_in": 3600}}"#))
}

#[tokio::test(start_paused = true)]
async fn one_of_the_waiting_callers_requests_the_token() {
    let api = api_with_tokens([slow_token("a")], completed(20));
    for result in join_all((0..20).map(|_| api.job())).await {
        result.unwrap();
    }
    assert_eq!((api.token_requests(), api.sent().len()), (1, 20));
}

#[tokio::test(start_paused = true)]
async fn after_the_requesting_caller_is_dropped_another_requests_the_token() {
    let api = api_with_tokens([Reply::Never, token("b", 3600)], completed(2));
    let gone = tokio::time::timeout(Duration::from_secs(1), api.job());
    let (gone, stayed) = tokio::join!(gone, api.job());
    assert!(gone.is_err());
    assert_eq!(stayed, Ok(JobStatus::Completed));
    assert_eq!(bearer(&api.sent()[0]), "Bearer b");
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_share_a_failure() {
    let refusal = Reply::Slowly(Duration::from_secs(1), 401, r#"{"error_description": "unknown client"}"#.to_owned());
    let api = api_with_tokens([refusal], []);
    api.is_no_longer_careful().await;
    for result in join_all((0..5).map(|_| api.audit())).await {
        let error = result.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthorized);
        assert_eq!(error.message(), "token request: https://auth.cognigy.ai answered 401 Unauthorized: unknown client");
    }
    assert_eq!(api.token_requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_five_minutes_before_it_expires() {
    let api = api_with_tokens([token("a", 3600), token("b", 3600)], completed(3));
    api.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3299)).await;
    api.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    api.job().await.unwrap();
    let used: Vec<String> = api.sent().iter().map(|sent| bearer(sent).to_owned()).collect();
    assert_eq!(used, ["Bearer a", "Bearer a", "Bearer b"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_lifetime_is_used_and_renewed_at_half_of_five_minutes() {
    let api = api_with_tokens([ok(r#"{"access_token": "a"}"#), token("b", 3600)], completed(3));
    api.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(149)).await;
    api.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    api.job().await.unwrap();
    let used: Vec<String> = api.sent().iter().map(|sent| bearer(sent).to_owned()).collect();
    assert_eq!(used, ["Bearer a", "Bearer a", "Bearer b"]);
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_used_while_it_cannot_be_renewed() {
    let api = api_with_tokens([token("a", 3600), status(503, ""), token("b", 3600)], completed(3));
    api.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3301)).await;
    api.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    api.job().await.unwrap();
    let used: Vec<String> = api.sent().iter().map(|sent| bearer(sent).to_owned()).collect();
    assert_eq!(used, ["Bearer a", "Bearer a", "Bearer b"]);
}

#[tokio::test(start_paused = true)]
async fn a_401_is_tried_once_with_a_new_token() {
    let api = api_with_tokens([token("a", 3600), token("b", 3600)], [status(401, ""), ok(COMPLETED)]);
    api.job().await.unwrap();
    let used: Vec<String> = api.sent().iter().map(|sent| bearer(sent).to_owned()).collect();
    assert_eq!(used, ["Bearer a", "Bearer b"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_401_is_the_answer() {
    let api = api([status(401, ""), status(401, "expired")]);
    let error = api.audit().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthorized);
    assert_eq!(error.message(), "https://api.cognigy.ai answered 401 Unauthorized: expired");
    assert_eq!(api.token_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_401s_for_one_token_discard_it_once() {
    let late = Reply::Slowly(Duration::from_secs(3), 401, String::new());
    let api = api_with_tokens(
        [token("a", 3600), token("b", 3600)],
        [ok(COMPLETED), late, status(401, ""), ok(COMPLETED), ok(COMPLETED)],
    );
    api.job().await.unwrap();
    let (first, second) = tokio::join!(api.job(), api.job());
    assert_eq!((first, second), (Ok(JobStatus::Completed), Ok(JobStatus::Completed)));
    assert_eq!(api.token_requests(), 2, "the late 401 belonged to the old token");
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_is_unauthorized_and_an_invalid_answer_is_a_protocol_error() {
    let class = async |reply: Reply| api_with_tokens([reply], []).audit().await.unwrap_err().class();
    for refused in [400, 401, 403, 404] {
        assert_eq!(class(status(refused, "")).await, ErrorClass::Unauthorized);
    }
    for garbage in [ok("{}"), ok("<html>"), ok(r#"{"access_token": "a b", "expires_in": 3600}"#), status(302, "")] {
        assert_eq!(class(garbage).await, ErrorClass::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_token_request_is_repeated() {
    let api = api_with_tokens([status(503, ""), Reply::Interrupted], [status(200, "")]);
    api.audit().await.unwrap();
    assert_eq!(api.token_requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn unproven_credentials_neither_use_nor_limit_the_budget_of_their_client() {
    let owner = api([ok(COMPLETED), ok(COMPLETED)]);
    owner.job().await.unwrap();
    let before = owner.budget.usage();
    for refusal in [status(401, ""), Reply::RetryAfter(429, "3600"), ok("<html>"), Reply::NotConnected] {
        let stranger = api_with_tokens([refusal.clone()], []);
        let garbage = Credentials {
            client_secret: "wrong".to_owned().into(),
            requests_per_minute: std::num::NonZeroU32::new(1),
            ..credentials()
        };
        assert_eq!(garbage.client_fingerprint(), credentials().client_fingerprint());
        let options = ExchangeOptions::new(EgressPolicy::default());
        let client = Client::new(&garbage, stranger.transport.clone(), options, owner.budget.clone(), 7);
        client.job(&"job_8f3a2c".parse().unwrap(), &me()).await.unwrap_err();
        assert_eq!((stranger.token_requests(), client.is_proven()), (1, false));
        assert_eq!(owner.budget.usage(), before, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_credentials_counts_from_their_first_token_until_they_are_dropped() {
    let owner = api([ok(COMPLETED)]);
    owner.job().await.unwrap();
    let other = api([ok(COMPLETED)]);
    let modest = Credentials { requests_per_minute: std::num::NonZeroU32::new(40), ..credentials() };
    let options = ExchangeOptions::new(EgressPolicy::default());
    let client = Client::new(&modest, other.transport.clone(), options, owner.budget.clone(), 7);
    assert_eq!(owner.budget.limit(), TYPICAL_LIMIT);
    client.job(&"job_8f3a2c".parse().unwrap(), &me()).await.unwrap();
    assert_eq!((client.is_proven(), owner.budget.limit().get()), (true, 40));
    assert_eq!(owner.budget.usage().used, 4, "the first tokens count as well");
    drop(client);
    assert_eq!(owner.budget.limit(), TYPICAL_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_requests_an_hour_is_called_again_within_a_minute() {
    let api = api_with_tokens([Reply::RetryAfter(429, "3600"), token("a", 3600)], [status(202, "")]);
    let RollbackAnswer::Transient(error) = api.rollback().await else { panic!("there is no token") };
    let asked_again_in = error.retry_after().unwrap();
    assert!(asked_again_in < Duration::from_secs(60), "{asked_again_in:?}");
    tokio::time::sleep(asked_again_in).await;
    assert_eq!(api.rollback().await, RollbackAnswer::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_token_request_times_out_after_fifteen_seconds() {
    let api = api_with_tokens([Reply::Never], []);
    let started = Instant::now();
    api.job().await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(15));
}
