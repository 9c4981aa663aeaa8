//! What each resource did, in order: its conditions and Events from the cluster, and the requests that Cognigy.AI received.

use crate::error::{Error, Trying};
use crate::output::Output;
use crate::releases::NAMESPACE;
use crate::rollouts::{AppliedRelease, ReleaseState};
use api::CognigyDeploymentStatus;
use api::condition::ConditionStatus;
use api::status::Verdict;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use simulator::{Call, RequestFilter, RequestRecord, WorldHandle};
use std::fmt::Write;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// How long the last Events may take to be published.
const EVENTS_WITHIN: Duration = Duration::from_secs(5);

/// One thing that happened.
struct Moment {
    at: Timestamp,
    /// The source: the resource's status, an Event, or Cognigy.AI.
    source: &'static str,
    what: String,
}

/// All requests, Events and resources at the end of the demo.
pub struct Timeline {
    requests: Vec<RequestRecord>,
    events: Vec<Event>,
}

impl Timeline {
    /// Asks Cognigy.AI's journal and the API server.
    pub async fn read(
        kubernetes: &Client,
        platform: &WorldHandle,
        all_applied: &[AppliedRelease],
    ) -> Result<Self, Error> {
        let events: Api<Event> = Api::namespaced(kubernetes.clone(), NAMESPACE);
        // Events arrive later than what they describe, and nothing depends on them. If one does not arrive, the timeline
        // omits it.
        let _ = timeout(EVENTS_WITHIN, every_verdict_has_an_event(events.clone(), all_applied)).await;
        let events = events.list(&ListParams::default()).await.trying("list the Events")?.items;
        let requests = platform.with(|world| world.requests(&RequestFilter::default()).cloned().collect());
        Ok(Self { requests, events })
    }

    /// The requests that were sent for one resource.
    pub fn requests<'a>(&'a self, applied: &'a AppliedRelease) -> impl Iterator<Item = &'a RequestRecord> {
        self.requests.iter().filter(|request| concerns(request, applied))
    }

    /// Prints the timeline of each release.
    pub fn print(&self, all_applied: &[AppliedRelease], output: &Output) -> Result<(), Error> {
        for applied in all_applied {
            output.print(&self.lines_of(applied))?;
        }
        let all = self.requests.len();
        let tokens = self.requests.iter().filter(|request| request.call == Some(Call::Token)).count();
        output.print(&format!("Cognigy.AI received {all} requests in all, {tokens} of them for a token\n\n"))
    }

    fn lines_of(&self, applied: &AppliedRelease) -> String {
        let mut moments = self.moments(applied);
        moments.sort_by_key(|moment| moment.at);
        let mut lines = format!("{}: {}\n", applied.release.name, applied.release.shows);
        for Moment { at, source, what } in moments {
            let seconds = at.duration_since(applied.applied_at).as_secs_f64();
            // Writing into a String cannot fail.
            let _ = writeln!(lines, "  {seconds:+7.2} s  {source:<10}  {what}");
        }
        lines.push('\n');
        lines
    }

    fn moments(&self, applied: &AppliedRelease) -> Vec<Moment> {
        let of_you = |what: String| Moment { at: applied.applied_at, source: "you", what };
        let object = match &applied.state {
            ReleaseState::Refused(message) => {
                let refused = Moment { source: "API server", ..of_you(message.clone()) };
                return vec![of_you("apply".to_owned()), refused];
            }
            ReleaseState::Accepted(object) => object,
        };
        let mut moments = vec![of_you("apply".to_owned())];
        moments.extend(self.requests(applied).map(of_request));
        moments.extend(self.events.iter().filter(|event| is_about(event, applied)).filter_map(of_event));
        moments.extend(object.status.iter().flat_map(of_status));
        moments
    }
}

/// Waits until there is an Event for the verdict of every release.
async fn every_verdict_has_an_event(events: Api<Event>, all_applied: &[AppliedRelease]) {
    let mut missing: Vec<&AppliedRelease> =
        all_applied.iter().filter(|applied| verdict_of(applied).is_some()).collect();
    let mut published = pin!(watcher(events, watcher::Config::default()).default_backoff().applied_objects());
    while !missing.is_empty() {
        let event = match published.next().await {
            Some(Ok(event)) => event,
            // The watch restarts by itself.
            Some(Err(_)) => continue,
            None => return,
        };
        let is_about_verdict = |verdict: &Verdict| event.reason.as_deref() == Some(verdict.reason.as_str());
        missing.retain(|applied| !(is_about(&event, applied) && verdict_of(applied).is_some_and(is_about_verdict)));
    }
}

fn verdict_of(applied: &AppliedRelease) -> Option<&Verdict> {
    let ReleaseState::Accepted(object) = &applied.state else { return None };
    object.status.as_ref()?.attempt.as_ref()?.verdict.as_ref()
}

fn concerns(request: &RequestRecord, applied: &AppliedRelease) -> bool {
    let environment = request.environment_id.as_ref().map(|environment| environment.as_str());
    match request.call {
        // A webhook event without a job names no environment. But each resource has its own webhook.
        Some(Call::Webhook) => request.path.strip_prefix("/webhooks/") == Some(applied.release.name),
        _ => environment == Some(applied.release.environment),
    }
}

fn of_request(request: &RequestRecord) -> Moment {
    let body = |field: &str| request.body.as_ref().and_then(|body| body.get(field)).map(ToString::to_string);
    let detail = match request.call {
        Some(Call::Rollback) => body("reason").map(|reason| format!(", reason {reason}")),
        Some(Call::Audit) => body("deploymentSuccess").map(|success| format!(", deploymentSuccess {success}")),
        Some(Call::Webhook) => body("success").map(|success| format!(", success {success}")),
        Some(Call::Submit) => request.job_id.as_ref().map(|job| format!(": {}", job.as_str())),
        _ => None,
    };
    let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let what = format!("{:<4} {}  {status}{}", request.method, request.path, detail.unwrap_or_default());
    Moment { at: request.received_at, source: "Cognigy.AI", what }
}

fn is_about(event: &Event, applied: &AppliedRelease) -> bool {
    event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(applied.release.name)
}

fn of_event(event: &Event) -> Option<Moment> {
    let at = event.event_time.as_ref()?.0;
    let reason = event.reason.as_deref().unwrap_or_default();
    let note = event.note.as_deref().unwrap_or_default();
    let repeated = event.series.as_ref().map(|series| format!(" (told {} times)", series.count)).unwrap_or_default();
    let kind = event.type_.as_deref().unwrap_or_default();
    Some(Moment { at, source: "Event", what: format!("{kind} {reason}{repeated}: {note}") })
}

/// The final conditions, each with the time of its last change, and the verdict.
fn of_status(status: &CognigyDeploymentStatus) -> Vec<Moment> {
    let known = status.conditions.iter().filter(|condition| condition.status != ConditionStatus::Unknown);
    let conditions = known.map(|condition| Moment {
        at: condition.last_transition_time,
        source: "condition",
        what: format!("{}={:?}  {}", condition.condition_type, condition.status, condition.reason),
    });
    let verdict = status.attempt.as_ref().and_then(|attempt| attempt.verdict.as_ref());
    let verdict = verdict.map(|Verdict { outcome, reason, at }| Moment {
        at: *at,
        source: "verdict",
        what: format!("{outcome}, because: {reason}"),
    });
    conditions.chain(verdict).collect()
}
