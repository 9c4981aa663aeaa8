//! Problems between the operator and the API server. Each message says what to do, and is not repeated all the time.

use crate::controller::cause::{cause, refusal};
use api::CognigyDeployment;
use kube::Resource;
use kube::core::Status;
use kube::runtime::watcher;
use std::time::Duration;
use tokio::time::Instant;

/// How often a lasting problem is logged again.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// A problem between the operator and the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A list was started and then sent nothing for a long time.
    SilentList,
    /// A watch has been silent for so long that its connection may be dead.
    SilentWatch,
    /// The API server no longer has the changes since the last event. A new list replaces them.
    Expired,
    /// The API server does not serve the resource.
    NotServed,
    /// The operator lacks a right.
    Forbidden(String),
    /// The operator's credentials are refused.
    Unauthorized(String),
    /// The API server's certificate is not trusted.
    Untrusted(String),
    /// The API server does not answer.
    Unreachable(String),
    /// The API server answers with this failure.
    Failing(String),
}

impl Problem {
    /// The problem behind an error of a watch.
    #[must_use]
    pub fn of(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::WatchFailed(error) if cause(error) == "timed out" => Self::SilentWatch,
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of_call(error),
            watcher::Error::WatchError(status) => Self::of_status(status),
            watcher::Error::NoResourceVersion => Self::Failing("its answer has no resourceVersion".to_owned()),
        }
    }

    /// The problem behind an error of a call.
    #[must_use]
    pub fn of_call(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::SerdeError(_) => Self::Failing(cause(error)),
            other => {
                let cause = cause(other);
                if cause.contains("certificate") { Self::Untrusted(cause) } else { Self::Unreachable(cause) }
            }
        }
    }

    fn of_status(status: &Status) -> Self {
        match status.code {
            401 => Self::Unauthorized(refusal(status)),
            403 => Self::Forbidden(refusal(status)),
            404 => Self::NotServed,
            410 => Self::Expired,
            _ => Self::Failing(refusal(status)),
        }
    }

    /// Whether the watch must begin with a list.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        *self == Self::Expired
    }

    /// The problem in a sentence: what is wrong, at which server, and what to do.
    fn sentence(&self, api_server: &str, resource: &str) -> String {
        match self {
            Self::SilentList => format!(
                "the API server {api_server} stopped sending in the middle of a list of {resource}; the operator starts the list again"
            ),
            Self::SilentWatch => format!(
                "the API server {api_server} has sent nothing about {resource} for minutes; the operator continues the watch over a new connection"
            ),
            Self::Expired => format!(
                "the API server {api_server} no longer has all changes of {resource} since the last one received; the operator lists them again"
            ),
            Self::NotServed => format!(
                "the API server {api_server} does not serve {resource}: install the CRD {resource}.{}, which the operator needs (kubectl apply --server-side -k crds/)",
                CognigyDeployment::group(&())
            ),
            Self::Forbidden(cause) => format!(
                "the operator may not list and watch {resource}: {cause}; grant it (docs/security.md lists the rights)"
            ),
            Self::Unauthorized(cause) => format!(
                "the API server {api_server} refuses the operator's credentials: {cause}; check the kubeconfig or the service account"
            ),
            Self::Untrusted(cause) => format!(
                "the certificate of the API server {api_server} is not trusted: {cause}; check certificate-authority in the kubeconfig"
            ),
            Self::Unreachable(cause) => format!(
                "the API server {api_server} cannot be reached: {cause}; the operator tries again every few seconds"
            ),
            Self::Failing(cause) => {
                format!("the API server {api_server} fails: {cause}; the operator tries again every few seconds")
            }
        }
    }
}

/// Logs the problems of one watch: a new problem at once, a lasting one once a minute, and its end.
#[derive(Debug)]
pub struct ProblemLog {
    api_server: String,
    resource: String,
    since: Option<Instant>,
    logged: Option<(Problem, Instant)>,
}

impl ProblemLog {
    /// The log for requests to this API server about this resource (its plural name), without a problem so far.
    #[must_use]
    pub fn new(api_server: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { api_server: api_server.into(), resource: resource.into(), since: None, logged: None }
    }

    /// Logs the problem, unless it was logged a short time ago.
    pub fn report(&mut self, problem: &Problem) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        if self.logged.as_ref().is_some_and(|(logged, at)| logged == problem && now - *at < LOG_AGAIN) {
            return;
        }
        self.logged = Some((problem.clone(), now));
        let sentence = problem.sentence(&self.api_server, &self.resource);
        match problem {
            Problem::Expired | Problem::SilentWatch => tracing::info!("{sentence}"),
            _ => tracing::warn!("{sentence}"),
        }
    }

    /// Records that the API server answers correctly again.
    pub fn is_over(&mut self) {
        if let Some(since) = self.since.take() {
            self.logged = None;
            tracing::info!("{} are watched again, after {:.1} s", self.resource, since.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status { code, ..Status::failure(message, "") }.boxed())
    }

    #[test]
    fn each_problem_names_the_api_server_or_the_right_and_says_what_to_do() {
        let broken = |text: &str| kube::Error::Service(text.to_owned().into());
        let table: [(kube::Error, &str); 6] = [
            (
                broken("Connection refused (os error 111)"),
                "the API server https://api:6443 cannot be reached: Connection refused (os error 111); the operator tries again every few seconds",
            ),
            (
                broken("invalid peer certificate: UnknownIssuer"),
                "the certificate of the API server https://api:6443 is not trusted: invalid peer certificate: UnknownIssuer; check certificate-authority in the kubeconfig",
            ),
            (
                status(404, "404 page not found"),
                "the API server https://api:6443 does not serve cognigydeployments: install the CRD cognigydeployments.deploy.cognigy.ai, which the operator needs (kubectl apply --server-side -k crds/)",
            ),
            (
                status(403, "User \"x\" cannot list"),
                "the operator may not list and watch cognigydeployments: it answered 403: User \"x\" cannot list; grant it (docs/security.md lists the rights)",
            ),
            (
                status(401, "Unauthorized"),
                "the API server https://api:6443 refuses the operator's credentials: it answered 401: Unauthorized; check the kubeconfig or the service account",
            ),
            (
                status(503, "starting"),
                "the API server https://api:6443 fails: it answered 503: starting; the operator tries again every few seconds",
            ),
        ];
        for (error, sentence) in table {
            assert_eq!(Problem::of_call(&error).sentence("https://api:6443", "cognigydeployments"), sentence);
        }
    }

    #[test]
    fn a_watch_that_was_silent_for_a_long_time_is_no_outage() {
        let timed_out = || kube::Error::ReadEvents(std::io::Error::new(std::io::ErrorKind::TimedOut, "timed out"));
        assert_eq!(Problem::of(&watcher::Error::WatchFailed(timed_out())), Problem::SilentWatch);
        let unreachable = Problem::Unreachable("timed out".to_owned());
        assert_eq!(Problem::of(&watcher::Error::WatchStartFailed(timed_out())), unreachable);
    }

    #[test]
    fn only_an_expired_resource_version_requires_a_new_list() {
        for (code, is_expired) in [(410, true), (404, false), (429, false), (500, false), (504, false)] {
            assert_eq!(Problem::of_call(&status(code, "")).is_expired(), is_expired, "{code}");
        }
    }
}
