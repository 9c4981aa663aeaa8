//! The Cognigy.AI deployment API (`/api/v2` of the contract) behind the operator's [`Platform`](platform::Platform)
//! trait.
//!
//! The modules, from the outside in:
//!
//! - [`CognigyDeployments`] is the provider. It reads the Secret's keys, and keeps one client for each set of
//!   credentials.
//! - [`Client`] has one method for each call of the contract. `translate` converts its answers into the operator's
//!   types.
//! - `caller` makes one call: it waits for the budget, gets a token, sends the request, and repeats it if that may
//!   help.
//! - `request` contains the request bodies, `answer` reads the answers, and `submit` evaluates the answer to a submit.
//!   These are pure functions.

#![forbid(unsafe_code)]

mod answer;
mod base_url;
mod caller;
mod client;
mod credentials;
pub mod operations;
mod provider;
mod request;
mod secret_keys;
mod submit;
mod token;
mod translate;

#[cfg(test)]
mod tests;

pub use answer::{HealthStatus, JobStatus, NotTheContract, Trace, Validation};
pub use base_url::{BaseUrl, TokenUrl};
pub use client::{ApiRollbackAnswer, Client, JobError, NotSent};
pub use credentials::Credentials;
pub use provider::{CognigyDeployments, REQUIRED_SECRET_KEYS};
pub use request::{
    AuditCategory, AuditRecord, CapacityConstraints, ComplianceFlags, DependencyLock, IsolationRules, RollbackPolicy,
    SubmitRequest, TraceOptions, TraceRequest, ValidateRequest,
};
pub use secret_keys::{Defaults, OwnClient};
pub use submit::ApiSubmitAnswer;
