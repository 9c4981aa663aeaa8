//! What a failed watch means: whether it recovers by itself.

use crate::exit::{Failure, causes};
use kube::Error;
use kube::runtime::watcher;

/// The problem in words. The watch is tried again by itself.
///
/// # Errors
/// The watch cannot recover: the caller lacks a right, or this version of the plugin cannot read the object.
pub fn of_error(namespace: &str, name: &str, error: &watcher::Error) -> Result<String, Failure> {
    let inner = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    };
    let code = match (inner, error) {
        (Some(Error::Api(status)), _) => status.code,
        (_, watcher::Error::WatchError(status)) => status.code,
        _ => 0,
    };
    match (inner, code) {
        (_, 401 | 403) => Err(Failure::Forbidden(format!(
            "cannot watch cognigydeployment {namespace}/{name}: the rights `list` and `watch` are needed; `kubectl cognigy doctor \
             -n {namespace}` shows your rights"
        ))),
        (_, 404) => Err(Failure::NotFound(
            "this cluster has no CognigyDeployments any more: somebody has removed the CRD".to_owned(),
        )),
        (Some(Error::SerdeError(problem)), _) => Err(Failure::Refused(format!(
            "cognigydeployment {namespace}/{name} cannot be read by this version of the plugin: {problem}; use the plugin of the \
             operator's version"
        ))),
        _ => Ok(format!("the API server cannot be watched at the moment, trying again: {}", causes(error))),
    }
}

/// The stream of a watch has ended, which it never does by itself.
#[must_use]
pub fn ended() -> Failure {
    Failure::Connection("the watch has ended; repeat the command".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16) -> Error {
        Error::Api(Box::new(Status::failure("no", "no").with_code(code)))
    }

    #[test]
    fn only_a_problem_that_can_pass_is_waited_for() {
        let of = |error| of_error("bots", "bot", &error);
        assert!(matches!(of(watcher::Error::InitialListFailed(api(403))), Err(Failure::Forbidden(_))));
        assert!(matches!(of(watcher::Error::WatchStartFailed(api(403))), Err(Failure::Forbidden(_))));
        assert!(matches!(of(watcher::Error::InitialListFailed(api(404))), Err(Failure::NotFound(_))));
        assert!(of(watcher::Error::WatchStartFailed(api(500))).is_ok());
        let unreadable = serde_json::from_str::<i32>("true").unwrap_err();
        let unreadable = of(watcher::Error::InitialListFailed(Error::SerdeError(unreadable)));
        assert!(matches!(unreadable, Err(Failure::Refused(_))), "another version of the operator wrote it");
    }
}
