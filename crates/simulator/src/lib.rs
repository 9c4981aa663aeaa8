//! A realistic Cognigy.AI that runs anywhere: for tests, for demonstrations, and for users who evaluate the operator
//! without an account.
//!
//! It answers every call of the deployment API (token, validate, synthetic trace, submit, job, health, rollback,
//! audit), receives the CI/CD webhook, and checks every request strictly against the contract. It shares no code with
//! the operator's client, so a mistake in one of them becomes visible in the other.
//!
//! # Run it
//!
//! ```console
//! $ cognigy-operator simulator --listen 127.0.0.1:8090 --scenario examples/scenarios/bad-release.yaml
//! ```
//!
//! Configure the operator with base URL `http://127.0.0.1:8090`, token URL `http://127.0.0.1:8090/oauth/token`, client
//! `demo` with the secret `demo-secret`, and webhooks to `http://127.0.0.1:8090/webhooks/anything`. Then read what it
//! received: `GET /simulator/requests`, `/simulator/violations`, `/simulator/state`. `docs/simulator.md` is the
//! reference of scenarios, faults and endpoints.
//!
//! # In a test
//!
//! ```
//! use cognigy_simulator::{Call, RequestFilter, Scenario, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scenario = Scenario::parse("environments: {env_a: {jobOutcome: failed}}")?;
//! let server = Server::bind("127.0.0.1:0".parse()?, scenario, None).await?;
//! // ... something sends requests to server.url() ...
//! let submits = RequestFilter { call: Some(Call::Submit), ..RequestFilter::default() };
//! server.handle().with(|world| {
//!     assert_eq!(world.requests(&submits).count(), 0);
//!     assert_eq!(world.violations().count(), 0);
//! });
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # In virtual time
//!
//! [`World`] is the platform without a clock, I/O or randomness. [`World::handle`] takes a request and the time, and
//! returns a [`Reply`]: the answer, and how it is delivered. A clone is an independent copy.

#![forbid(unsafe_code)]

pub mod command;

mod checks;
mod control;
mod environment;
mod fault;
mod fault_store;
mod idempotency;
mod identifier;
mod job;
mod journal;
mod rate;
mod reply;
mod route;
mod scenario;
mod script;
mod server;
mod shape;
mod stream;
mod time;
mod tls;
mod token;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use environment::{Condition, Deployed, Environment, Overlap};
pub use fault::{Call, Fault, FaultRule, Status, Times};
pub use identifier::{ClientId, EnvironmentId, JobId, UnsafeIdentifier};
pub use job::{Job, Phase, Rollback};
pub use journal::{AuditRecord, RequestFilter, RequestRecord, Violation, WebhookDelivery};
pub use rate::ClientTraffic;
pub use reply::{Delivery, Reply};
pub use scenario::{Client, ClientSecret, Idempotency, RateLimit, Scenario, ScenarioError, Scope};
pub use script::{
    Capacity, EnvironmentScript, HealthAnswer, HealthScript, InitialDeployment, Isolation, JobOutcome, SnapshotPattern,
};
pub use server::{Server, ServerError, WorldHandle};
pub use time::Seconds;
pub use tls::{Tls, TlsError};
pub use token::Authorization;
pub use world::World;
