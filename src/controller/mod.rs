//! Kubernetes: watches, the reconcile as a list of named steps, status writes, events, the finalizer, and who owns an
//! environment.

mod act;
pub mod announce;
mod ask;
pub mod cause;
pub mod census;
mod claiming;
pub mod clock;
pub mod context;
pub mod default_webhook;
mod deliver;
pub mod error;
pub mod fleet;
pub mod leadership;
mod overtaken;
pub mod ownership;
mod publisher;
pub mod queue;
mod received;
pub mod reconcile;
pub mod record;
pub mod remembered;
pub mod run;
pub mod runner;
pub mod sessions;
pub mod snapshot;
mod submit;
mod texts;
mod trail;
mod turn;
pub mod unreadable;
pub mod watch;
pub mod watched;
mod webhook_url;
pub mod withdrawal;

pub use context::Context;
pub use run::run;
