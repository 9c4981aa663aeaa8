//! The promises. Each is checked against the story of a run.

mod deliveries;
mod gates;
mod kstatus;
mod owners;
mod promotion;
mod rollbacks;
mod secrets;
mod status;
mod submits;
mod watching;

use super::director::Run;
use super::record::Record;
use super::scenario::Scenario;

/// A promise that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub promise: &'static str,
    pub how: String,
}

impl Broken {
    pub fn new(promise: &'static str, how: impl Into<String>) -> Self {
        Self { promise, how: how.into() }
    }
}

/// The safety promises that a run broke. They must hold in every run, with any fault.
pub fn broken(scenario: &Scenario, run: &Run) -> Vec<Broken> {
    let record = Record::of(run);
    let mut broken = Vec::new();
    submits::check(&record, &mut broken);
    rollbacks::check(&record, &mut broken);
    status::check(&record, &mut broken);
    secrets::check(&record, &mut broken);
    kstatus::check(&record, &mut broken);
    owners::check(&record, &mut broken);
    watching::check(&record, &mut broken);
    promotion::check(&record, &mut broken);
    deliveries::check(scenario, &record, &mut broken);
    gates::check(&record, &mut broken);
    broken
}
