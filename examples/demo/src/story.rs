//! What each resource did, in order: its conditions and Events from the cluster, and the requests that Cognigy.AI received.

use crate::cast::NAMESPACE;
use crate::error::{Error, Trying};
use crate::narrator::Narrator;
use crate::play::{Fate, Part};
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
    told_by: &'static str,
    what: String,
}

/// All requests, Events and resources at the end of the play.
pub struct Record {
    requests: Vec<RequestRecord>,
    events: Vec<Event>,
}

impl Record {
    /// Asks Cognigy.AI's journal and the API server.
    pub async fn read(kubernetes: &Client, platform: &WorldHandle, parts: &[Part]) -> Result<Self, Error> {
        let events: Api<Event> = Api::namespaced(kubernetes.clone(), NAMESPACE);
        // Events arrive later than what they describe, and nothing depends on them. If one does not arrive, the story omits it.
        let _ = timeout(EVENTS_WITHIN, every_verdict_is_told(events.clone(), parts)).await;
        let events = events.list(&ListParams::default()).await.trying("list the Events")?.items;
        let requests = platform.with(|world| world.requests(&RequestFilter::default()).cloned().collect());
        Ok(Self { requests, events })
    }

    /// The requests that were sent for one resource.
    pub fn requests<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = &'a RequestRecord> {
        self.requests.iter().filter(|request| concerns(request, part))
    }

    /// Tells the story of each part.
    pub fn tell(&self, parts: &[Part], narrator: &Narrator) -> Result<(), Error> {
        for part in parts {
            narrator.print(&self.story(part))?;
        }
        let all = self.requests.len();
        let tokens = self.requests.iter().filter(|request| request.call == Some(Call::Token)).count();
        narrator.print(&format!("Cognigy.AI received {all} requests in all, {tokens} of them for a token\n\n"))
    }

    fn story(&self, part: &Part) -> String {
        let mut moments = self.moments(part);
        moments.sort_by_key(|moment| moment.at);
        let mut story = format!("{}: {}\n", part.role.name, part.role.shows);
        for Moment { at, told_by, what } in moments {
            let seconds = at.duration_since(part.applied_at).as_secs_f64();
            // Writing into a String cannot fail.
            let _ = writeln!(story, "  {seconds:+7.2} s  {told_by:<10}  {what}");
        }
        story.push('\n');
        story
    }

    fn moments(&self, part: &Part) -> Vec<Moment> {
        let applied = |what: String| Moment { at: part.applied_at, told_by: "you", what };
        let object = match &part.fate {
            Fate::Refused(message) => {
                let refused = Moment { told_by: "API server", ..applied(message.clone()) };
                return vec![applied("apply".to_owned()), refused];
            }
            Fate::Taken(object) => object,
        };
        let mut moments = vec![applied("apply".to_owned())];
        moments.extend(self.requests(part).map(of_request));
        moments.extend(self.events.iter().filter(|event| is_about(event, part)).filter_map(of_event));
        moments.extend(object.status.iter().flat_map(of_status));
        moments
    }
}

/// Waits until there is an Event for the verdict of every part.
async fn every_verdict_is_told(events: Api<Event>, parts: &[Part]) {
    let mut untold: Vec<&Part> = parts.iter().filter(|part| verdict_of(part).is_some()).collect();
    let mut published = pin!(watcher(events, watcher::Config::default()).default_backoff().applied_objects());
    while !untold.is_empty() {
        let event = match published.next().await {
            Some(Ok(event)) => event,
            // The watch restarts by itself.
            Some(Err(_)) => continue,
            None => return,
        };
        let tells = |verdict: &Verdict| event.reason.as_deref() == Some(verdict.reason.as_str());
        untold.retain(|part| !(is_about(&event, part) && verdict_of(part).is_some_and(tells)));
    }
}

fn verdict_of(part: &Part) -> Option<&Verdict> {
    let Fate::Taken(object) = &part.fate else { return None };
    object.status.as_ref()?.attempt.as_ref()?.verdict.as_ref()
}

fn concerns(request: &RequestRecord, part: &Part) -> bool {
    let environment = request.environment_id.as_ref().map(|environment| environment.as_str());
    match request.call {
        // A webhook event without a job names no environment. But each resource has its own webhook.
        Some(Call::Webhook) => request.path.strip_prefix("/webhooks/") == Some(part.role.name),
        _ => environment == Some(part.role.environment),
    }
}

fn of_request(request: &RequestRecord) -> Moment {
    let body = |field: &str| request.body.as_ref().and_then(|body| body.get(field)).map(ToString::to_string);
    let told = match request.call {
        Some(Call::Rollback) => body("reason").map(|reason| format!(", reason {reason}")),
        Some(Call::Audit) => body("deploymentSuccess").map(|success| format!(", deploymentSuccess {success}")),
        Some(Call::Webhook) => body("success").map(|success| format!(", success {success}")),
        Some(Call::Submit) => request.job_id.as_ref().map(|job| format!(": {}", job.as_str())),
        _ => None,
    };
    let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let what = format!("{:<4} {}  {status}{}", request.method, request.path, told.unwrap_or_default());
    Moment { at: request.received_at, told_by: "Cognigy.AI", what }
}

fn is_about(event: &Event, part: &Part) -> bool {
    event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(part.role.name)
}

fn of_event(event: &Event) -> Option<Moment> {
    let at = event.event_time.as_ref()?.0;
    let reason = event.reason.as_deref().unwrap_or_default();
    let note = event.note.as_deref().unwrap_or_default();
    let repeated = event.series.as_ref().map(|series| format!(" (told {} times)", series.count)).unwrap_or_default();
    let kind = event.type_.as_deref().unwrap_or_default();
    Some(Moment { at, told_by: "Event", what: format!("{kind} {reason}{repeated}: {note}") })
}

/// The final conditions, each with the time of its last change, and the verdict.
fn of_status(status: &CognigyDeploymentStatus) -> Vec<Moment> {
    let known = status.conditions.iter().filter(|condition| condition.status != ConditionStatus::Unknown);
    let conditions = known.map(|condition| Moment {
        at: condition.last_transition_time,
        told_by: "condition",
        what: format!("{}={:?}  {}", condition.condition_type, condition.status, condition.reason),
    });
    let verdict = status.attempt.as_ref().and_then(|attempt| attempt.verdict.as_ref());
    let verdict = verdict.map(|Verdict { outcome, reason, at }| Moment {
        at: *at,
        told_by: "verdict",
        what: format!("{outcome}, because: {reason}"),
    });
    conditions.chain(verdict).collect()
}
