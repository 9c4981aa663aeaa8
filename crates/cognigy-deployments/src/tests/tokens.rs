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

/// The token of each request so far, in order.
fn used_tokens(api: &Fixture) -> Vec<String> {
    let token = |sent: Sent| {
        let (_, value) = sent.headers.into_iter().find(|(name, _)| name == "authorization").unwrap_or_default();
        value.trim_start_matches("Bearer ").to_owned()
    };
    api.sent().into_iter().map(token).collect()
}

/// Sends three requests with these pauses in seconds between them, and returns the token of each.
async fn tokens_of_three_requests(tokens: impl IntoIterator<Item = Reply>, pauses: [u64; 2]) -> Vec<String> {
    let api = api_with_tokens(tokens, completed(3));
    api.job().await.unwrap();
    for pause in pauses {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        api.job().await.unwrap();
    }
    used_tokens(&api)
}

fn slow_token(text: &str) -> Reply {
    Reply::Slowly(Duration::from_secs(4), 200, format!(r#"{{"access_token": "{text}", "expires_in": 3600}}"#))
}

#[tokio::test(start_paused = true)]
async fn one_caller_requests_the_token_and_all_others_wait_for_it() {
    let api = api_with_tokens([slow_token("a")], completed(20));
    for result in join_all((0..20).map(|_| api.job())).await {
        result.unwrap();
    }
    assert_eq!((api.token_requests(), api.sent().len()), (1, 20));
}

#[tokio::test(start_paused = true)]
async fn if_the_caller_that_requests_the_token_gives_up_another_one_requests_it() {
    let api = api_with_tokens([Reply::Never, token("b", 3600)], completed(2));
    let impatient = tokio::time::timeout(Duration::from_secs(1), api.job());
    let (impatient, patient) = tokio::join!(impatient, api.job());
    assert!(impatient.is_err());
    assert_eq!(patient, Ok(JobStatus::Completed));
    assert_eq!(used_tokens(&api), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn callers_that_waited_for_the_token_get_the_same_error() {
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
async fn a_poll_that_watches_a_success_is_never_sent_twice() {
    for status in [401, 503] {
        let api = api_with_tokens(
            [token("a", 3600), token("b", 3600)],
            [Reply::Status(status, String::new()), ok(COMPLETED)],
        );
        api.is_no_longer_careful().await;
        let answer = api.client.watch_health(&"env".parse().unwrap(), 0.05, &me()).await.unwrap();
        assert!(answer.is_err(), "{status}");
        assert_eq!(api.sent().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_five_minutes_before_it_expires() {
    let used = tokens_of_three_requests([token("a", 3600), token("b", 3600)], [3299, 1]).await;
    assert_eq!(used, ["a", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_lifetime_is_assumed_to_live_five_minutes_and_renewed_after_half_of_them() {
    let without_lifetime = ok(r#"{"access_token": "a"}"#);
    let used = tokens_of_three_requests([without_lifetime, token("b", 3600)], [149, 1]).await;
    assert_eq!(used, ["a", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_until_it_expires_if_it_cannot_be_renewed() {
    let used = tokens_of_three_requests([token("a", 3600), status(503, ""), token("b", 3600)], [3301, 30]).await;
    assert_eq!(used, ["a", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_401_a_request_is_repeated_once_with_a_new_token() {
    let api = api_with_tokens([token("a", 3600), token("b", 3600)], [status(401, ""), ok(COMPLETED)]);
    api.job().await.unwrap();
    assert_eq!(used_tokens(&api), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_401_is_final() {
    let api = api([status(401, ""), status(401, "expired")]);
    let error = api.audit().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthorized);
    assert_eq!(error.message(), "https://api.cognigy.ai answered 401 Unauthorized: expired");
    assert_eq!(api.token_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_401s_for_the_same_token_discard_one_token() {
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
async fn a_refused_client_is_an_error_of_credentials_and_an_unreadable_answer_one_of_the_protocol() {
    let class = async |reply: Reply| api_with_tokens([reply], []).audit().await.unwrap_err().class();
    for refused in [400, 401, 403, 404] {
        assert_eq!(class(status(refused, "")).await, ErrorClass::Unauthorized);
    }
    for garbage in [ok("{}"), ok("<html>"), ok(r#"{"access_token": "a b", "expires_in": 3600}"#), status(302, "")] {
        assert_eq!(class(garbage).await, ErrorClass::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_request_is_repeated_after_a_transient_failure() {
    let api = api_with_tokens([status(503, ""), Reply::Interrupted], [status(200, "")]);
    api.audit().await.unwrap();
    assert_eq!(api.token_requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_never_got_a_token_neither_use_nor_limit_the_budget_of_their_client_id() {
    let owner = api([ok(COMPLETED), ok(COMPLETED)]);
    owner.job().await.unwrap();
    let before = owner.budget.usage();
    for refusal in [status(401, ""), Reply::RetryAfter(429, "3600"), ok("<html>"), Reply::NotConnected] {
        let other = api_with_tokens([refusal.clone()], []);
        let wrong = Credentials {
            client_secret: "wrong".to_owned().into(),
            requests_per_minute: std::num::NonZeroU32::new(1),
            ..credentials()
        };
        assert_eq!(wrong.client_fingerprint(), credentials().client_fingerprint());
        let options = ExchangeOptions::new(EgressPolicy::default());
        let client = Client::new(&wrong, other.transport.clone(), options, owner.budget.clone(), 7);
        client.job(&"job_8f3a2c".parse().unwrap(), &me()).await.unwrap_err();
        assert_eq!((other.token_requests(), client.is_proven()), (1, false));
        assert_eq!(owner.budget.usage(), before, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_count_for_the_limit_from_their_first_token_until_their_client_is_dropped() {
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
async fn a_token_request_is_repeated_within_a_minute_although_retry_after_says_an_hour() {
    let api = api_with_tokens([Reply::RetryAfter(429, "3600"), token("a", 3600)], [status(202, "")]);
    let ApiRollbackAnswer::Transient(error) = api.rollback().await else { panic!("there is no token") };
    let retry_in = error.retry_after().unwrap();
    assert!(retry_in < Duration::from_secs(60), "{retry_in:?}");
    tokio::time::sleep(retry_in).await;
    assert_eq!(api.rollback().await, ApiRollbackAnswer::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_token_request_without_an_answer_is_given_up_after_fifteen_seconds() {
    let api = api_with_tokens([Reply::Never], []);
    let started = Instant::now();
    api.job().await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(15));
}
