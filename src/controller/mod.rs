//! Kubernetes: watches, the reconcile as a list of named steps, status writes, events, the finalizer, and who owns an
//! environment.

mod act;
pub mod announce;
pub mod cause;
pub mod census;
pub mod clock;
pub mod context;
pub mod credentials;
pub mod default_webhook;
mod deliver;
pub mod error;
pub mod fleet;
pub mod leadership;
mod overtaken;
pub mod ownership;
mod received;
pub mod reconcile;
pub mod record;
pub mod remembered;
pub mod run;
pub mod sessions;
pub mod snapshot;
mod submit;
mod texts;
mod trail;
mod turn;
pub mod watch;
pub mod watched;
mod webhook_url;
pub mod wire;
pub mod withdrawal;

pub use context::Context;
pub use run::run;
