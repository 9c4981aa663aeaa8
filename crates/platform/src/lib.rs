//! The interface between the operator and the platforms that run rollouts.
//!
//! The operator decides about rollouts and uses Kubernetes. It knows no platform: it calls a [`Platform`], which answers
//! with the types of [`rollout::answer`]. A [`Provider`] connects to a kind of platform with the
//! credentials of a Secret. These two traits hide all details of one platform: paths, field values, HTTP status codes,
//! the keys of its Secret, and how it makes a submit safe to repeat.
//!
//! The operator usually reaches a platform over HTTP. For that, this crate has:
//!
//! - [`Budget`]: in any minute, at most as many requests as the platform allows one client, the most urgent first.
//! - [`Exchange`]: one request and its answer, within the [`EgressPolicy`] and a deadline.
//! - [`Transport`]: the interface to the network. [`HttpTransport`] in production, another type in a simulation.
//! - [`WebhookSender`]: delivers events to CI/CD webhooks.

#![forbid(unsafe_code)]

mod budget;
mod endpoint;
mod error;
mod exchange;
mod failed_try;
mod failure;
mod fingerprint;
mod http;
mod namespaces;
mod operation;
mod platform;
mod provider;
pub mod retry;
pub mod sanitize;
mod secret;
mod secrets;
mod webhook;
mod webhook_event;

pub use budget::{
    Budget, BudgetError, BudgetUsage, Budgets, LimitClaim, MAX_QUEUE_WAIT, Permit, Priority, Requester, TYPICAL_LIMIT,
    WINDOW,
};
pub use endpoint::{EndpointError, EnvironmentId, IdempotencyKey, JobId, MAX_BASE_BYTES, parse_url, server_of};
pub use error::{CallError, ErrorClass};
pub use exchange::{Answer, Exchange, ExchangeOptions, Unanswered, WallClock, class_of};
pub use failed_try::FailedTry;
pub use failure::{CallFailure, FailureCause};
pub use fingerprint::{ClientFingerprint, CredentialsFingerprint};
pub use http::{
    EgressPolicy, EgressRefusal, EgressRule, EgressRuleError, HttpOptions, HttpTransport, HttpTransportError,
    MAX_ANSWER_BYTES, ProxyUrl, ProxyUrlError, Transport, TransportError,
};
pub use namespaces::OfferedNamespaces;
pub use operation::{Operation, RequestObserver};
pub use platform::{AuditRecord, Configuration, FirstPost, Platform, Polled, Submit};
pub use provider::{Connection, CredentialsSource, Provider, SubmitRules, TransportFactory};
pub use sanitize::quoted;
pub use secret::{SecretKeys, SecretName, not_a_key, not_a_name};
pub use secrets::Secrets;
pub use webhook::{IDEMPOTENCY_KEY, WEBHOOK, WebhookSender, WebhookUrl, parts_that_may_be_secret};
pub use webhook_event::{WebhookEvent, WebhookEventKind, WebhookMetrics};
