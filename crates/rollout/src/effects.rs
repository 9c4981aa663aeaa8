//! The effects of a change of the status: events for people, and messages for the audit log and the webhook.

use api::identifier::ApiOrigin;
use api::spec::Compliance;
use api::{IdempotencyKey, JobId, Reason};
use jiff::Timestamp;

/// The text between two notes that are published as one.
const BETWEEN: &str = "; ";

/// The text of an event, as people see it in `kubectl describe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventText {
    /// Whether a person must act.
    pub warning: bool,
    /// Its reason.
    pub reason: Reason,
    /// What happened.
    pub note: String,
}

/// An event, and when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedEvent {
    /// When it happened.
    pub at: Timestamp,
    /// The event.
    pub event: EventText,
}

impl TimedEvent {
    /// Merges events. A step that only leads to the next one is published in one event with the next one, if the note
    /// has at most `limit` bytes. Each published event is a request to the API server, and a line for its reader.
    #[must_use]
    pub fn merged(events: Vec<Self>, limit: usize) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::with_capacity(events.len());
        for mut next in events {
            if let Some(step) = merged.pop_if(|step| step.event.leads_to(&next.event, limit)) {
                next.event.note = [step.event.note, next.event.note].join(BETWEEN);
            }
            merged.push(next);
        }
        merged
    }
}

impl EventText {
    fn leads_to(&self, next: &Self, limit: usize) -> bool {
        let is_on_the_way =
            matches!(self.reason, Reason::ValidationPassed | Reason::TracePassed | Reason::JobCompleted);
        is_on_the_way && !next.warning && self.note.len() + BETWEEN.len() + next.note.len() <= limit
    }
}

/// A message for the audit log or the CI/CD webhook.
#[derive(Clone, Debug, PartialEq)]
pub enum OutboxMessage {
    /// For the audit log (contract, section 7).
    Audit {
        /// The message's stable id.
        id: IdempotencyKey,
        /// The job. Missing if nobody knows whether there is one.
        job_id: Option<JobId>,
        /// Whether the deployment succeeded.
        success: bool,
        /// From the submit to the verdict, in seconds.
        duration_seconds: f64,
        /// What the user attests.
        compliance: Compliance,
        /// When the verdict was known.
        at: Timestamp,
        /// The API that has the rollout. The record must be delivered there and nowhere else.
        api_origin: Option<ApiOrigin>,
    },
    /// For the CI/CD webhook (contract, section 8).
    Webhook {
        /// The message's stable id.
        id: IdempotencyKey,
        /// The job, if there is one.
        job_id: Option<JobId>,
        /// Whether the deployment succeeded.
        success: bool,
        /// From the submit to the verdict, in seconds. 0 if nothing was submitted.
        duration_seconds: f64,
        /// The share of the checks that passed. 0 if none was made.
        validation_success_rate: f64,
        /// When the outcome was known.
        at: Timestamp,
        /// The API that has the rollout, or that would have received it.
        api_origin: Option<ApiOrigin>,
    },
}

/// The effects of a change, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Events.
    pub events: Vec<EventText>,
    /// Messages to deliver. They are recorded in the same write as the outcome that they report.
    pub messages: Vec<OutboxMessage>,
}

impl Effects {
    /// No effects.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One event.
    #[must_use]
    pub fn normal(reason: Reason, note: impl Into<String>) -> Self {
        Self { events: vec![EventText { warning: false, reason, note: note.into() }], messages: Vec::new() }
    }

    /// One event that a person must act on.
    #[must_use]
    pub fn warning(reason: Reason, note: impl Into<String>) -> Self {
        Self { events: vec![EventText { warning: true, reason, note: note.into() }], messages: Vec::new() }
    }

    /// These effects, then those.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.events.extend(later.events);
        self.messages.extend(later.messages);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, event: &EventText) -> TimedEvent {
        TimedEvent { at: Timestamp::from_second(second).unwrap_or_default(), event: event.clone() }
    }

    fn event(warning: bool, reason: Reason, note: &str) -> EventText {
        EventText { warning, reason, note: note.to_owned() }
    }

    #[test]
    fn a_step_that_leads_to_the_next_one_is_merged_into_its_event() {
        let checked = event(false, Reason::ValidationPassed, "fits");
        let traced = event(false, Reason::TracePassed, "no conflict");
        let taken = event(false, Reason::SubmitAccepted, "taken");
        let bad = event(true, Reason::HealthBad, "bad");
        let ignored = event(false, Reason::RequestIgnored, "ignored");
        let two = event(false, Reason::TracePassed, "fits; no conflict");
        let all = event(false, Reason::SubmitAccepted, "fits; no conflict; taken");
        for (what, events, limit, expected) in [
            ("nothing", vec![], 100, vec![]),
            ("one", vec![&checked], 100, vec![&checked]),
            ("two steps", vec![&checked, &traced], 100, vec![&two]),
            ("all steps", vec![&checked, &traced, &taken], 100, vec![&all]),
            ("just as long as it may be", vec![&checked, &traced, &taken], all.note.len(), vec![&all]),
            ("longer", vec![&checked, &traced, &taken], all.note.len() - 1, vec![&two, &taken]),
            ("what ends a chain", vec![&taken, &checked], 100, vec![&taken, &checked]),
            ("warnings", vec![&bad, &bad], 100, vec![&bad, &bad]),
            ("a warning in between", vec![&checked, &bad, &traced], 100, vec![&checked, &bad, &traced]),
            ("an answer to a person", vec![&ignored, &traced], 100, vec![&ignored, &traced]),
        ] {
            let merged = TimedEvent::merged(events.into_iter().map(|it| at(1, it)).collect(), limit);
            assert_eq!(merged.iter().map(|it| &it.event).collect::<Vec<_>>(), expected, "{what}");
        }
    }

    #[test]
    fn merged_steps_have_the_time_of_the_last_step() {
        let steps = [(1, Reason::ValidationPassed), (2, Reason::TracePassed), (3, Reason::SubmitAccepted)];
        let steps = steps.map(|(second, reason)| at(second, &event(false, reason, "done"))).to_vec();
        let [all] = &TimedEvent::merged(steps, 100)[..] else { panic!("they are one event") };
        assert_eq!(all.at, at(3, &all.event).at);
    }
}
