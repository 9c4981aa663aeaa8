//! `cognigy-operator probe`: requests a URL until the answer is a success. `helm test` uses it, and it can wait for an
//! operator to be ready: the image has no shell and no other program.

use super::settings::duration;
use clap::Args;
use reqwest::redirect;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use url::{ParseError, Url};

/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(500);

/// The flags of `cognigy-operator probe`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Examples:
  cognigy-operator probe http://127.0.0.1:8080/readyz
  cognigy-operator probe http://cognigy-operator-metrics.cognigy-system:8080/readyz --within 2m")]
pub struct ProbeArguments {
    /// URL to request, such as http://cognigy-operator-metrics:8080/readyz.
    #[arg(value_parser = url)]
    pub url: Url,

    /// How long to repeat the request until the answer is a success.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub within: Duration,
}

fn url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(_) if text.contains("://") => Err("must begin with http:// or https://".to_owned()),
        // A host and a port, such as localhost:8080, are read as a scheme and a path.
        Ok(_) | Err(ParseError::RelativeUrlWithoutBase) => Err(format!("needs a scheme, for example http://{text}")),
        Err(error) => Err(format!("is not a URL ({error}); write for example http://127.0.0.1:8080/readyz")),
    }
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[source] reqwest::Error),
    /// There was no successful answer within the time limit.
    #[error(
        "{url} has not answered with a success within {within:?}; the last result was: {last}; check the server at this URL"
    )]
    NoSuccess {
        /// The URL that was requested.
        url: Url,
        /// The time limit.
        within: Duration,
        /// The last answer, or the reason why there was none.
        last: String,
    },
}

/// Repeats the request until the answer is a success (2xx). At least one request is sent.
///
/// # Errors
/// [`ProbeError`] if there is no success in time.
pub async fn probe(arguments: ProbeArguments) -> Result<(), ProbeError> {
    let ProbeArguments { url, within } = arguments;
    let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none());
    let client = client.build().map_err(ProbeError::Client)?;
    let deadline = Instant::now() + within;
    let mut last = "no answer".to_owned();
    loop {
        match timeout_at(deadline, client.get(url.clone()).send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => return Ok(()),
            Ok(Ok(answer)) => last = answer.status().to_string(),
            Ok(Err(error)) => last = cause_of(&error),
            Err(_) => {}
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(ProbeError::NoSuccess { url, within, last });
        }
        sleep(PAUSE).await;
    }
}

/// The innermost cause of the error. reqwest's own message repeats the URL; the last source names the problem.
fn cause_of(error: &reqwest::Error) -> String {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source()).last().unwrap_or(first).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    /// Starts a server that refuses this many requests and then answers with a success. Returns its URL and the counter
    /// of its requests.
    async fn server(refusals: usize) -> (Url, Arc<AtomicUsize>) {
        rustls::crypto::ring::default_provider().install_default().ok();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let answer = move || {
            let count = counted.fetch_add(1, Ordering::Relaxed);
            async move { if count < refusals { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK } }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/readyz", get(answer))).await });
        (url, requests)
    }

    #[tokio::test]
    async fn the_request_is_repeated_until_the_answer_is_a_success() {
        let (url, requests) = server(1).await;
        probe(ProbeArguments { url, within: Duration::from_secs(60) }).await.unwrap();
        assert_eq!(requests.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn after_the_time_limit_the_error_contains_the_last_answer() {
        let (url, _) = server(usize::MAX).await;
        let within = Duration::from_secs(1);
        let error = probe(ProbeArguments { url: url.clone(), within }).await.unwrap_err().to_string();
        assert!(error.contains(url.as_str()) && error.contains("503 Service Unavailable"), "{error}");
    }

    #[tokio::test]
    async fn if_nobody_listens_the_error_says_so() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let within = Duration::from_secs(1);
        let error = probe(ProbeArguments { url, within }).await.unwrap_err().to_string();
        assert!(error.contains("refused"), "{error}");
    }
}
