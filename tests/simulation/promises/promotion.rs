//! G3: nothing is submitted before every deployment in `spec.requires` has succeeded with the same release, and enough time has
//! passed since then. The check looks only at the writes before the intent.

use api::spec::Requirement;
use api::status::Outcome;
use jiff::SignedDuration;
use simulator::Call;

use super::Broken;
use crate::record::{Record, Write};

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for submit in record.calls(Call::Submit) {
        let Some(intent) = submit.exchange.key.as_deref().and_then(|key| record.intent(key)) else { continue };
        for requirement in &intent.object.spec.requires {
            if !is_proved(record, intent, requirement) {
                let (number, name) = (submit.exchange.number, &requirement.name);
                broken
                    .push(Broken::new("G3", format!("submit #{number} was sent before {name} had proved its release")));
            }
        }
    }
}

/// Whether the last attempt of the required deployment with this release had succeeded for long enough before the intent.
fn is_proved(record: &Record<'_>, intent: &Write, requirement: &Requirement) -> bool {
    let Some(attempt) = intent.attempt() else { return false };
    let before = record.writes.iter().filter(|write| {
        write.place < intent.place && write.object.metadata.name.as_deref() == Some(requirement.name.as_str())
    });
    let mut attempts = before.filter_map(Write::attempt);
    let last = attempts.rfind(|upstream| upstream.release == attempt.release && upstream.job.is_some());
    let verdict = last.filter(|last| last.rollback.is_none()).and_then(|last| last.verdict.as_ref());
    let proved_at = verdict.filter(|verdict| verdict.outcome == Outcome::Succeeded).map(|verdict| {
        verdict
            .at
            .saturating_add(SignedDuration::from_secs(requirement.healthy_for_seconds.into()))
            .unwrap_or(verdict.at)
    });
    proved_at.is_some_and(|at| attempt.intended_at().is_some_and(|intended_at| intended_at >= at))
}
