//! Manifests offline: [read](read::read()) as kubectl reads them, [validated](validate::validate) by the rules of the CRD, and
//! [compared](plan::plan) with what is live, and [given](promote::promote) the release of another manifest. Nothing here needs a cluster, a clock or the network.

#![forbid(unsafe_code)]

pub mod document;
mod node;
mod objects;
pub mod plan;
pub mod problem;
pub mod promote;
pub mod read;
pub mod render;
pub mod validate;

#[cfg(test)]
mod tests;

pub use document::{Document, Manifests, OtherKind, SecretDocument};
pub use problem::{Problem, Severity};
