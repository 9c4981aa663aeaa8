//! The Helm chart and the kustomize overlays, checked with Helm, kubectl, kubeconform and a real API server.
//!
//! The tools are built once on each machine, in minutes. If they exist already, set `COGNIGY_TOOLS` to their folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod chart;
mod command_line;
mod documents;
mod lifecycle;
mod manifest;
mod monitoring;
mod overlays;
mod plugin;
mod release;
mod rights;
mod rules;
mod schemas;
mod support;
