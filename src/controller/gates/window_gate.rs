//! The gate of the change windows, in words.
//!
//! A message is cut at 512 bytes, and a window is written by a tenant. So its texts are short and clean, and come last: after the
//! instant at which the rollout can start, and after the next step.

use super::windows::{KnownWindow, MAX_WINDOWS};
use api::status::ClosedGate;
use api::{CognigyDeployment, Reason};
use change_windows::{Closer, Evaluation};
use kube::ResourceExt;
use platform::sanitize::{single_line, truncate};
use std::sync::Arc;

/// How much of a window's reason a message shows, in bytes.
const SHOWN_REASON: usize = 64;

/// How much of the cause a message shows if a window cannot be read, in bytes.
const SHOWN_CAUSE: usize = 200;

/// The closed gate, unless the windows are open.
pub(super) fn closed_by(
    evaluation: Evaluation,
    scopes: &[Vec<Arc<KnownWindow>>],
    object: &CognigyDeployment,
) -> Option<ClosedGate> {
    let Evaluation::Closed { by, opens_at, .. } = evaluation else { return None };
    let find = |scope: usize, window: usize| scopes.get(scope)?.get(window).map(Arc::as_ref);
    let (what, window) = match by {
        Closer::Deny { scope, window, .. } => {
            let window = find(scope, window);
            let name = window.map(name_of).unwrap_or_default();
            (format!("the change window {name} allows no rollout now"), window)
        }
        Closer::OutsideAllow { scope, next } => match next.and_then(|next| find(scope, next.window)) {
            Some(window) => (format!("no change window is open; the next one is {}", name_of(window)), Some(window)),
            None => ("no change window is open, and none opens within two years".to_owned(), None),
        },
    };
    let when = match (opens_at, window.and_then(|window| window.times.as_ref().as_ref().ok())) {
        (Some(at), Some(zone)) => format!("the rollout can start at {}", zone.display(at)),
        (Some(at), None) => format!("the rollout can start at {at}"),
        (None, _) => "it is not known when a rollout can start".to_owned(),
    };
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let why = window.and_then(reason_of).map(|reason| format!("; the window's reason: {reason}")).unwrap_or_default();
    let message =
        format!("{what}; {when}; in an emergency: kubectl cognigy override {name} -n {namespace} --reason '…'{why}");
    Some(ClosedGate { reason: Reason::WindowClosed, message, opens_at })
}

/// The gate that is closed because a window cannot be read.
pub(super) fn unreadable(window: &KnownWindow, why: &str) -> ClosedGate {
    let (name, why) = (name_of(window), single_line(why));
    let why = truncate(&why, SHOWN_CAUSE);
    let message = format!("the change window {name} cannot be read, so no rollout starts; correct or delete it: {why}");
    ClosedGate { reason: Reason::WindowClosed, message, opens_at: None }
}

/// The gate that is closed because a namespace has too many windows.
pub(super) fn too_many(namespace: &str, count: usize) -> ClosedGate {
    let message = format!(
        "the namespace {namespace} has {count} change windows, so no rollout starts: at most {MAX_WINDOWS} are evaluated; delete some"
    );
    ClosedGate { reason: Reason::WindowClosed, message, opens_at: None }
}

fn name_of(window: &KnownWindow) -> String {
    let metadata = &window.metadata;
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn reason_of(window: &KnownWindow) -> Option<String> {
    let reason = single_line(window.spec.as_ref()?.reason.as_deref()?);
    (!reason.is_empty()).then(|| truncate(&reason, SHOWN_REASON).into_owned())
}
