//! Evaluates the answer to a submit. This part of the contract's error table ensures that no rollout is submitted twice.

use http::StatusCode;

use super::answer;
use super::caller::Failure;
use platform::{Answer, CallError, ErrorClass, FirstPost, JobId};
use rollout::facts::SubmitIdempotency;

/// The result of a submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiSubmitAnswer {
    /// The rollout was started.
    Accepted(JobId),
    /// The first POST was answered with 4xx: no rollout was started, and the same request would get the same answer.
    Rejected {
        /// 400 to 499; 401 only with a fresh token.
        status: u16,
        /// The API's own message.
        message: String,
    },
    /// The token endpoint refused the credentials, so the last try sent nothing to the API.
    Unauthorized {
        /// The endpoint's own message.
        message: String,
        /// Whether the next POST would be the first.
        next: FirstPost,
    },
    /// 409 to a repeat: the API is still processing the first POST. Try again later with the same key.
    StillInProgress {
        /// The API's own message.
        message: String,
    },
    /// No usable answer: try again later with the same key.
    Transient {
        /// What happened.
        error: CallError,
        /// Whether the next POST would be the first.
        next: FirstPost,
    },
    /// It is not known whether a rollout was started.
    OutcomeUnknown {
        /// What happened.
        message: String,
    },
}

/// Evaluates the result of a submit with the contract's error table.
pub(crate) fn evaluate(
    result: Result<Answer, Failure>,
    first: FirstPost,
    idempotency: SubmitIdempotency,
) -> ApiSubmitAnswer {
    let failure = match result {
        Ok(answer) => return accepted(answer),
        Err(failure) => failure,
    };
    let Failure { error, status, sent, sent_earlier } = failure;
    let was_first = first == FirstPost::Yes && !sent_earlier;
    let next = if was_first && !sent { FirstPost::Yes } else { FirstPost::No };
    let message = error.message().to_owned();
    match (error.class(), status) {
        (ErrorClass::Unauthorized | ErrorClass::Rejected { .. }, None) => {
            ApiSubmitAnswer::Unauthorized { message, next }
        }
        (ErrorClass::Unauthorized | ErrorClass::Rejected { .. }, Some(status)) if was_first => {
            ApiSubmitAnswer::Rejected { status: status.as_u16(), message }
        }
        (ErrorClass::Rejected { .. }, Some(StatusCode::CONFLICT)) => ApiSubmitAnswer::StillInProgress { message },
        (ErrorClass::Unauthorized | ErrorClass::Rejected { .. }, Some(_)) => {
            ApiSubmitAnswer::OutcomeUnknown { message }
        }
        (ErrorClass::Protocol, _) if sent => ApiSubmitAnswer::OutcomeUnknown { message },
        (ErrorClass::Transient, Some(StatusCode::TOO_MANY_REQUESTS))
            if idempotency == SubmitIdempotency::Unsupported =>
        {
            // The request was refused before it was processed: this POST had no effect, whether or not the API supports
            // keys.
            ApiSubmitAnswer::Transient { error, next: if was_first { FirstPost::Yes } else { FirstPost::No } }
        }
        (ErrorClass::Transient, _) if sent && idempotency == SubmitIdempotency::Unsupported => {
            ApiSubmitAnswer::OutcomeUnknown { message }
        }
        // A submit is never cancelled. If it were cancelled, it would not have been sent.
        (ErrorClass::Transient | ErrorClass::Protocol | ErrorClass::EgressRefused | ErrorClass::Cancelled, _) => {
            ApiSubmitAnswer::Transient { error, next }
        }
    }
}

fn accepted(answer: Answer) -> ApiSubmitAnswer {
    let server = answer.server();
    let job_id = answer.into_body().map(|body| answer::read_job_id(&body));
    let job_id = job_id.map(|read| read.map_err(|error| format!("{server}: {error}")));
    match job_id.unwrap_or_else(|error| Err(error.message().to_owned())) {
        Ok(job_id) => ApiSubmitAnswer::Accepted(job_id),
        Err(message) => ApiSubmitAnswer::OutcomeUnknown { message },
    }
}
