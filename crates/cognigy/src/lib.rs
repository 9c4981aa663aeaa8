//! The Cognigy.AI client: every call of the contract, byte for byte, and what its answers mean.
//!
//! It knows no Kubernetes, and decides nothing about rollouts: plain data in, plain data out. From the outside in:
//!
//! - [`Client`] has one method for each call; [`WebhookSender`] delivers to CI/CD webhooks.
//! - `caller` makes one call: a turn in the [`Budget`], a token, the request, and again where that may help.
//! - `exchange` makes one request: the [`EgressPolicy`] before it, a deadline over it, its class after it.
//! - [`Transport`] is the seam to the network: [`HttpTransport`] in production, anything else in a simulation.
//!
//! What the bytes mean is decided by pure functions: `request` for those sent, `answer` for those read, `submit` for
//! what a submit's answer proves. All waiting is tokio's, so that its paused clock drives everything here.

#![forbid(unsafe_code)]

mod address;
mod answer;
mod budget;
mod call;
mod caller;
mod client;
mod credentials;
mod egress;
mod endpoint;
mod error;
mod exchange;
mod failed_try;
mod http_transport;
mod large_answers;
mod proxy;
mod request;
mod resolver;
mod retry;
mod secrets;
mod submit;
mod token;
mod transport;
mod webhook;
mod words;

#[cfg(test)]
mod tests;

pub use answer::{HealthReading, JobStatus, NotTheContract, Trace, Validation};
pub use budget::{Budget, BudgetError, Budgets, PATIENCE, Permit, Priority, Reading, Requester, TYPICAL_LIMIT, WINDOW};
pub use call::{Call, CallObserver};
pub use client::{Client, JobError, NotSent, Options, RollbackAnswer};
pub use credentials::{ClientFingerprint, Credentials, CredentialsFingerprint};
pub use egress::{EgressPolicy, EgressRefusal, EgressRule, EgressRuleError};
pub use endpoint::MAX_BASE_BYTES;
pub use endpoint::{ApiOrigin, BaseUrl, EndpointError, EnvironmentId, IdempotencyKey, JobId, TokenUrl};
pub use error::{CallError, ErrorClass};
pub use exchange::WallClock;
pub use failed_try::FailedTry;
pub use http_transport::{HttpOptions, HttpTransport, HttpTransportError};
pub use proxy::{ProxyUrl, ProxyUrlError};
pub use request::{
    AuditCategory, AuditRecord, CapacityConstraints, ComplianceFlags, DependencyLock, IsolationRules, RollbackPolicy,
    RollbackReason, SubmitRequest, TraceOptions, TraceRequest, ValidateRequest, WebhookEvent, WebhookEventKind,
    WebhookMetrics, request_hash,
};
pub use submit::{FirstPost, Idempotency, SubmitAnswer};
pub use transport::{MAX_ANSWER_BYTES, Transport, TransportError};
pub use webhook::{WebhookSender, WebhookUrl};
pub use words::quoted;
