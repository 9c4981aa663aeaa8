//! The event that a CI/CD webhook receives (contract, section 8).

use super::endpoint::JobId;
use bytes::Bytes;
use serde::Serialize;

/// The body that the CI/CD webhook receives (contract, section 8).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent<'a> {
    /// The event type. It is always `deployment_complete`.
    pub event: WebhookEventKind,
    /// The rollout's job; `null` if the rollout ended before it had a job.
    pub job_id: Option<&'a JobId>,
    /// Whether the environment runs the new configuration.
    pub success: bool,
    /// The event's metrics.
    pub metrics: WebhookMetrics,
}

/// The event type of every event that we send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEventKind {
    /// The rollout's outcome is known.
    #[default]
    DeploymentComplete,
}

/// The metrics of a [`WebhookEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookMetrics {
    /// Seconds from the submit to the verdict; 0 if nothing was submitted.
    pub duration_seconds: f64,
    /// Checks passed / checks run, of validation and trace; 0 if no check ran.
    pub validation_success_rate: f64,
}

impl WebhookEvent<'_> {
    /// The body, byte for byte as it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        #[expect(clippy::expect_used, reason = "plain data with text keys is always JSON")]
        let body = serde_json::to_vec(self).expect("plain data with text keys is always JSON");
        body.into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_webhook_event_has_the_exact_bytes_of_the_contract() {
        let job_id = "job_8f3a2c".parse().unwrap();
        let event = WebhookEvent {
            event: WebhookEventKind::default(),
            job_id: Some(&job_id),
            success: true,
            metrics: WebhookMetrics { duration_seconds: 42.5, validation_success_rate: 1.0 },
        };
        assert_eq!(
            text(&event.to_bytes()),
            r#"{"event":"deployment_complete","jobId":"job_8f3a2c","success":true,"metrics":{"durationSeconds":42.5,"validationSuccessRate":1.0}}"#
        );
        let early = WebhookEvent { job_id: None, success: false, ..event };
        assert!(text(&early.to_bytes()).contains(r#""jobId":null,"success":false"#));
    }
}
