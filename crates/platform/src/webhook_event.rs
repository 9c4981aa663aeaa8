//! The event that a CI/CD webhook receives (contract, section 8).

use super::endpoint::JobId;
use bytes::Bytes;
use serde::Serialize;

/// Section 8: what the CI/CD webhook hears.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent<'a> {
    /// Always the same word.
    pub event: WebhookEventKind,
    /// The rollout's job; `null` where it ended before there was one.
    pub job_id: Option<&'a JobId>,
    /// Whether the new configuration runs.
    pub success: bool,
    /// Its numbers.
    pub metrics: WebhookMetrics,
}

/// The kind of every event that we send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEventKind {
    /// A rollout's outcome is known.
    #[default]
    DeploymentComplete,
}

/// Numbers of a [`WebhookEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookMetrics {
    /// Seconds from the submit to the verdict; 0 where nothing was submitted.
    pub duration_seconds: f64,
    /// Checks passed / checks run, of validation and trace; 0 where none ran.
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
    fn a_webhook_event_is_the_contracts_to_the_byte() {
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
