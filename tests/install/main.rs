//! What people install: the Helm chart and the kustomize overlays, judged by Helm, kubectl, kubeconform and a real API
//! server.
//!
//! The tools are built once a machine, in minutes (`COGNIGY_TOOLS` names a folder that holds them already).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod chart;
mod command_line;
mod documents;
mod lifecycle;
mod manifest;
mod monitoring;
mod overlays;
mod release;
mod rights;
mod rules;
mod schemas;
mod support;
