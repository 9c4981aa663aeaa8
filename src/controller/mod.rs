//! Kubernetes: watches, the reconcile as a list of named steps, status writes, events, the finalizer, and who owns an
//! environment.

mod act;
mod admission_slot;
mod attempt_spans;
mod await_answer;
pub mod cause;
mod claiming;
pub mod clock;
pub mod cluster;
mod config_map_cache;
pub mod context;
pub mod default_webhook;
mod deliver;
pub mod error;
pub mod event_recorder;
pub mod gates;
pub mod leadership;
mod observe;
mod publisher;
pub mod queue;
mod received;
pub mod reconcile;
pub mod record;
pub mod resources;
pub mod run;
pub mod runner;
pub mod sessions;
pub mod snapshot;
mod submit;
pub mod unreadable;
pub mod watch;
mod watch_health;
pub mod watch_scope;
pub mod watched;
mod webhook_url;
mod write_status;

pub use context::Context;
pub use run::run;
