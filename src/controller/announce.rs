//! Events: each step that a person would want to see in `kubectl describe`.

use super::error::CALL_DEADLINE;
use crate::api::CognigyDeployment;
use crate::rollout::Announcement;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// The longest note of an event, in bytes (Kubernetes API, events.k8s.io/v1).
const NOTE_LIMIT: usize = 1000;

/// Publishes events, each as one of its own. A recorder that is kept repeats, for the same reason within minutes, the
/// note of the first: the second attempt would be told with the job of the first one.
#[derive(Clone)]
pub struct Announcer {
    kubernetes: kube::Client,
    reporter: Reporter,
}

impl Announcer {
    /// Publishes in the operator's name.
    #[must_use]
    pub fn new(kubernetes: kube::Client, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: "cognigy-operator".to_owned(), instance };
        Self { kubernetes, reporter }
    }

    /// Publishes events, in order. One that cannot be published is in the log, and that is all: it decides nothing.
    pub async fn announce(&self, object: &CognigyDeployment, mut announcements: Vec<Announcement>) {
        for Announcement { warning, reason, note } in &mut announcements {
            crate::api::condition::truncate(note, NOTE_LIMIT);
            match warning {
                true => tracing::warn!(%reason, "{note}"),
                false => tracing::info!(%reason, "{note}"),
            }
        }
        let events: Vec<_> = Announcement::gathered(announcements, NOTE_LIMIT).into_iter().map(event).collect();
        let reference = object.object_ref(&());
        let publish = async {
            for event in &events {
                let recorder = Recorder::new(self.kubernetes.clone(), self.reporter.clone());
                if let Err(error) = recorder.publish(event, &reference).await {
                    tracing::debug!(%error, reason = event.reason, "an event could not be published");
                }
            }
        };
        if tokio::time::timeout(CALL_DEADLINE, publish).await.is_err() {
            tracing::debug!("events were not taken in time");
        }
    }
}

fn event(Announcement { warning, reason, note }: Announcement) -> Event {
    Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason: reason.to_string(),
        note: Some(note),
        action: "Rollout".to_owned(),
        secondary: None,
    }
}
