//! The table: for each call and each fault, what the resource shows while the fault lasts, and how it ends.

use api::condition::ConditionStatus::{False, True, Unknown};
use api::condition::{ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::Outcome;
use simulator::Call;

use super::cell::{KstatusState, Person, Shows};
use super::kind::Kind::{self, *};

/// Faults of one call that look the same in the resource.
pub struct Row {
    pub kinds: &'static [Kind],
    /// What the conditions show after three minutes of the fault.
    pub shows: Shows,
    /// How it ends once the call works again.
    pub ends: Ends,
}

/// How it ends once the call works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// What a person must do: any one of these. Empty if it ends by itself.
    pub persons: &'static [Person],
    /// The outcomes of the attempts, in order.
    pub outcomes: &'static [Outcome],
    /// What the conditions show at the end.
    pub shows: Reason,
}

/// The request gets no answer, or an answer that asks to try again. The same request may succeed later.
const UNANSWERED: &[Kind] = &[
    NoConnection,
    Reset,
    AnswerLost,
    TimeOut,
    SlowDrip,
    Truncated,
    TooManyRequests,
    TooManyRequestsWithRetryAfter,
    ServerError,
    BadGateway,
    Unavailable,
    GatewayTimeout,
];

/// Every call with its rows. Each kind of fault is in exactly one row of each call.
pub const TABLE: [(Call, &[Row]); 9] = [
    (Call::Token, TOKEN),
    (Call::Validate, VALIDATE),
    (Call::Trace, TRACE),
    (Call::Submit, SUBMIT),
    (Call::Job, JOB),
    (Call::Health, HEALTH),
    (Call::Rollback, ROLLBACK),
    (Call::Audit, AUDIT),
    (Call::Webhook, WEBHOOK),
];

const TOKEN: &[Row] = &[
    row(UNANSWERED, reconciling(Reason::ApiUnavailable), SUCCEEDS),
    row(
        &[Empty, NotJson, WrongTypes, MissingFields, TwoGibibytes, Redirect],
        reconciling(Reason::UnexpectedAnswer),
        SUCCEEDS,
    ),
    row(
        &[BadRequest, UnauthorizedOnce, UnauthorizedTwice, Forbidden, NotFound, Conflict, Unprocessable, WrongValue],
        stalled(Reason::Unauthorized),
        SUCCEEDS_WITH_SECRET_OR_RETRY,
    ),
];

const VALIDATE: &[Row] = &[
    row(
        UNANSWERED,
        reconciling(Reason::ApiUnavailable).and(ConditionType::Validated, Unknown, Reason::AttemptStarted),
        SUCCEEDS,
    ),
    row(
        &[Empty, NotJson, WrongTypes, TwoGibibytes, Redirect],
        reconciling(Reason::UnexpectedAnswer).and(ConditionType::Validated, Unknown, Reason::AttemptStarted),
        SUCCEEDS,
    ),
    row(
        &[MissingFields, WrongValue],
        stalled(Reason::ValidationRefused).and(ConditionType::Validated, False, Reason::ValidationRefused),
        SUCCEEDS_ANEW,
    ),
    row(
        &[BadRequest, NotFound, Conflict, Unprocessable],
        stalled(Reason::RequestRejected).and(ConditionType::Validated, Unknown, Reason::AttemptStarted),
        SUCCEEDS_WITH_SECRET_OR_RETRY,
    ),
    row(&[UnauthorizedOnce], ready().and(ConditionType::Validated, True, Reason::ValidationPassed), SUCCEEDS),
    row(
        &[UnauthorizedTwice, Forbidden],
        stalled(Reason::Unauthorized).and(ConditionType::Validated, Unknown, Reason::AttemptStarted),
        SUCCEEDS_WITH_SECRET_OR_RETRY,
    ),
];

const TRACE: &[Row] = &[
    row(
        UNANSWERED,
        reconciling(Reason::ApiUnavailable).and(ConditionType::TracePassed, Unknown, Reason::AttemptStarted),
        SUCCEEDS,
    ),
    row(
        &[Empty, NotJson, WrongTypes, MissingFields, TwoGibibytes, Redirect],
        reconciling(Reason::UnexpectedAnswer).and(ConditionType::TracePassed, Unknown, Reason::AttemptStarted),
        SUCCEEDS,
    ),
    row(
        &[BadRequest, NotFound, Conflict, Unprocessable],
        stalled(Reason::RequestRejected).and(ConditionType::TracePassed, Unknown, Reason::AttemptStarted),
        SUCCEEDS_WITH_SECRET_OR_RETRY,
    ),
    row(&[UnauthorizedOnce], ready().and(ConditionType::TracePassed, True, Reason::TracePassed), SUCCEEDS),
    row(
        &[UnauthorizedTwice, Forbidden],
        stalled(Reason::Unauthorized).and(ConditionType::TracePassed, Unknown, Reason::AttemptStarted),
        SUCCEEDS_WITH_SECRET_OR_RETRY,
    ),
    row(
        &[WrongValue],
        stalled(Reason::TraceNotPassed).and(ConditionType::TracePassed, False, Reason::TraceNotPassed),
        SUCCEEDS_ANEW,
    ),
];

const SUBMIT: &[Row] = &[
    row(
        UNANSWERED,
        reconciling(Reason::ApiUnavailable).and(ConditionType::RolledOut, Unknown, Reason::AttemptStarted),
        SUCCEEDS,
    ),
    row(
        &[Empty, NotJson, WrongTypes, MissingFields, TwoGibibytes, Redirect, WrongValue],
        stalled(Reason::SubmitOutcomeUnknown).and(ConditionType::RolledOut, Unknown, Reason::SubmitOutcomeUnknown),
        SUCCEEDS,
    ),
    row(
        &[BadRequest, UnauthorizedTwice, Forbidden, NotFound, Conflict, Unprocessable],
        stalled(Reason::SubmitRejected).and(ConditionType::RolledOut, False, Reason::SubmitRejected),
        SUCCEEDS_ANEW,
    ),
    row(&[UnauthorizedOnce], ready().and(ConditionType::RolledOut, True, Reason::JobCompleted), SUCCEEDS),
];

const JOB: &[Row] = &[
    row(
        &[
            Reset,
            AnswerLost,
            TimeOut,
            SlowDrip,
            Truncated,
            Empty,
            NotJson,
            WrongTypes,
            MissingFields,
            TwoGibibytes,
            Redirect,
            BadRequest,
            Forbidden,
            Conflict,
            Unprocessable,
            TooManyRequests,
            ServerError,
            BadGateway,
            Unavailable,
            GatewayTimeout,
        ],
        reconciling(Reason::RollingOut).and(ConditionType::RolledOut, Unknown, Reason::JobUnreadable),
        SUCCEEDS,
    ),
    row(
        &[WrongValue],
        reconciling(Reason::RollingOut).and(ConditionType::RolledOut, Unknown, Reason::SubmitAccepted),
        SUCCEEDS,
    ),
    row(
        &[UnauthorizedOnce, UnauthorizedTwice],
        ready().and(ConditionType::RolledOut, True, Reason::JobCompleted),
        SUCCEEDS,
    ),
    row(
        &[NotFound],
        stalled(Reason::RolledBack).and(ConditionType::RolledOut, False, Reason::JobGone),
        ROLLED_BACK_THEN_SUCCEEDS_ANEW,
    ),
    // A poll that was not sent, or that waits for the end of a pause, gives no answer.
    row(
        &[NoConnection],
        reconciling(Reason::ApiUnavailable).and(ConditionType::RolledOut, Unknown, Reason::SubmitAccepted),
        SUCCEEDS,
    ),
    row(
        &[TooManyRequestsWithRetryAfter],
        reconciling(Reason::ApiUnavailable).and(ConditionType::RolledOut, Unknown, Reason::JobUnreadable),
        SUCCEEDS,
    ),
];

const HEALTH: &[Row] = &[
    row(
        &[
            Reset,
            AnswerLost,
            TimeOut,
            SlowDrip,
            Truncated,
            Empty,
            NotJson,
            WrongTypes,
            MissingFields,
            TwoGibibytes,
            Redirect,
            BadRequest,
            Forbidden,
            NotFound,
            Conflict,
            Unprocessable,
            TooManyRequests,
            ServerError,
            BadGateway,
            Unavailable,
            GatewayTimeout,
        ],
        reconciling(Reason::Monitoring).and(ConditionType::Healthy, Unknown, Reason::HealthUnreadable),
        SUCCEEDS,
    ),
    row(
        &[UnauthorizedOnce, UnauthorizedTwice],
        ready().and(ConditionType::Healthy, True, Reason::HealthGood),
        SUCCEEDS,
    ),
    row(
        &[WrongValue],
        stalled(Reason::RolledBack).and(ConditionType::Healthy, False, Reason::HealthBad),
        ROLLED_BACK_THEN_SUCCEEDS_ANEW,
    ),
    // A poll that was not sent, or that waits for the end of a pause, gives no answer.
    row(
        &[NoConnection],
        reconciling(Reason::ApiUnavailable).and(ConditionType::Healthy, Unknown, Reason::AttemptStarted),
        SUCCEEDS,
    ),
    row(
        &[TooManyRequestsWithRetryAfter],
        reconciling(Reason::ApiUnavailable).and(ConditionType::Healthy, Unknown, Reason::HealthUnreadable),
        SUCCEEDS,
    ),
];

const ROLLBACK: &[Row] = &[
    row(
        &[
            NoConnection,
            Reset,
            AnswerLost,
            TimeOut,
            SlowDrip,
            Truncated,
            Redirect,
            Conflict,
            TooManyRequests,
            TooManyRequestsWithRetryAfter,
            ServerError,
            BadGateway,
            Unavailable,
            GatewayTimeout,
        ],
        stalled(Reason::RollbackUnreachable).and(ConditionType::RolledBack, Unknown, Reason::RollingBack),
        ROLLED_BACK,
    ),
    row(
        &[Empty, NotJson, WrongTypes, MissingFields, TwoGibibytes, UnauthorizedOnce, UnauthorizedTwice, WrongValue],
        stalled(Reason::RolledBack).and(ConditionType::RolledBack, True, Reason::RolledBack),
        ROLLED_BACK,
    ),
    row(
        &[Forbidden],
        stalled(Reason::Unauthorized).and(ConditionType::RolledBack, Unknown, Reason::RollingBack),
        ROLLED_BACK,
    ),
    row(
        &[BadRequest, NotFound, Unprocessable],
        stalled(Reason::RollbackRefused).and(ConditionType::RolledBack, False, Reason::RollbackRefused),
        Ends {
            persons: &[Person::AsksForTheRollback],
            outcomes: &[Outcome::RollbackFailed],
            shows: Reason::RolledBack,
        },
    ),
];

/// A 200 of the receiver is enough, with any body. Only a refused message waits.
const AUDIT: &[Row] = DELIVERIES;
const WEBHOOK: &[Row] = DELIVERIES;

const DELIVERIES: &[Row] = &[
    row(
        &[
            NoConnection,
            Reset,
            AnswerLost,
            TimeOut,
            SlowDrip,
            Truncated,
            Redirect,
            BadRequest,
            Forbidden,
            NotFound,
            Conflict,
            Unprocessable,
            TooManyRequests,
            TooManyRequestsWithRetryAfter,
            ServerError,
            BadGateway,
            Unavailable,
            GatewayTimeout,
        ],
        ready().and(ConditionType::Delivered, Unknown, Reason::DeliveryPending),
        SUCCEEDS,
    ),
    row(
        &[Empty, NotJson, WrongTypes, MissingFields, TwoGibibytes, UnauthorizedOnce, UnauthorizedTwice, WrongValue],
        ready().and(ConditionType::Delivered, True, Reason::Delivered),
        SUCCEEDS,
    ),
];

const SUCCEEDS: Ends = Ends { persons: &[], outcomes: &[Outcome::Succeeded], shows: Reason::Succeeded };
const ROLLED_BACK: Ends = Ends { persons: &[], outcomes: &[Outcome::RolledBack], shows: Reason::RolledBack };
/// The attempt continues from the step that it had reached.
const SUCCEEDS_WITH_SECRET_OR_RETRY: Ends = Ends { persons: &[Person::ChangesTheSecret, Person::Retries], ..SUCCEEDS };
/// The attempt has ended; the next one succeeds.
const SUCCEEDS_ANEW: Ends =
    Ends { persons: &[Person::Retries], outcomes: &[Outcome::Failed, Outcome::Succeeded], shows: Reason::Succeeded };
const ROLLED_BACK_THEN_SUCCEEDS_ANEW: Ends =
    Ends { outcomes: &[Outcome::RolledBack, Outcome::Succeeded], ..SUCCEEDS_ANEW };

const fn row(kinds: &'static [Kind], shows: Shows, ends: Ends) -> Row {
    Row { kinds, shows, ends }
}

const fn reconciling(ready: Reason) -> Shows {
    Shows { ready, state: KstatusState::Reconciling, story: None }
}

const fn stalled(ready: Reason) -> Shows {
    Shows { ready, state: KstatusState::Stalled, story: None }
}

const fn ready() -> Shows {
    Shows { ready: Reason::Succeeded, state: KstatusState::Ready, story: None }
}

impl Shows {
    const fn and(self, condition_type: ConditionType, status: ConditionStatus, reason: Reason) -> Self {
        Self { story: Some((condition_type, status, reason)), ..self }
    }
}
