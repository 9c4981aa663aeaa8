//! Decisions of people, as the API server holds them. Each acts at most once.

use crate::facts::Facts;
use crate::requests::is_about_standing;
use crate::time::after;
use api::decision::{DecisionState, Verb};
use api::identifier::DecisionHash;
use api::status::{ActedDecision, CognigyDeploymentStatus, CountedDecision};
use api::{DecisionUid, EnvironmentId, PlanId};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How many decisions are remembered as acted on.
const MAX_ACTED: usize = 32;

/// How long a decision counts that names no end, unless it is an approval.
const DEFAULT_LIFE: Duration = Duration::from_secs(24 * 3600);

/// The longest time that a decision counts, also if it names a later end. After it, the decision is deleted.
pub const LONGEST_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The decisions about one resource, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// The decisions. The newest ones, if there are very many.
    pub records: Vec<Arc<DecisionRecord>>,
    /// Whether the API server proves who has made them.
    pub proof: Proof,
}

/// Whether the names in decisions are proven. The admission policy refuses a decision under another user's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// The admission policy is in force.
    #[default]
    Given,
    /// It is not, or it is not known. The text says why, and what to do.
    Missing(String),
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Its uid.
    pub uid: DecisionUid,
    /// Its name.
    pub name: String,
    /// What was decided.
    pub verb: Verb,
    /// The plan that it is about.
    pub plan_id: PlanId,
    /// The environment for which the user has the right to decide.
    pub environment_id: EnvironmentId,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was made: its creation, by the API server's clock, in whole seconds.
    pub made_at: Timestamp,
    /// When it stops to count, if it names an end.
    pub expires_at: Option<Timestamp>,
}

impl DecisionRecord {
    /// When it stops to count. `life` is the longest life of an approval.
    #[must_use]
    pub fn expiry(&self, life: Option<Duration>) -> Timestamp {
        let by_age = default_expiry(self.made_at, life);
        match (self.expires_at, life) {
            (Some(named), Some(_)) => named.min(by_age),
            (Some(named), None) => named.min(after(self.made_at, LONGEST_LIFE)),
            (None, _) => by_age,
        }
    }

    /// The hash of its name and content: the same for a decision that is deleted and created again. 64 bits are enough, because
    /// it is compared within one resource, and nobody gains by a decision that does not act.
    #[must_use]
    pub fn hash(&self) -> DecisionHash {
        let expires_at = self.expires_at.map(|at| at.to_string()).unwrap_or_default();
        let parts = [
            self.name.as_str(),
            self.verb.as_str(),
            self.plan_id.as_str(),
            self.environment_id.as_str(),
            &self.by,
            &self.reason,
            &expires_at,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps "ab","c" apart from "a","bc".
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut digits = hex::encode(hash.finalize());
        digits.truncate(16);
        DecisionHash::new(digits)
    }

    fn has_acted(&self, status: &CognigyDeploymentStatus) -> bool {
        let hash = self.hash();
        status.acted_decisions.iter().any(|acted| acted.uid == self.uid || acted.hash.as_ref() == Some(&hash))
    }

    /// The decision, as an attempt records it.
    #[must_use]
    pub fn counted(&self) -> CountedDecision {
        CountedDecision { uid: self.uid.clone(), name: self.name.clone(), by: self.by.clone(), at: self.made_at }
    }
}

/// The end of a decision that names none.
#[must_use]
pub fn default_expiry(made_at: Timestamp, life: Option<Duration>) -> Timestamp {
    after(made_at, life.unwrap_or(DEFAULT_LIFE))
}

/// Whether a decision may act on this resource, apart from its plan and its expiry.
///
/// # Errors
/// Why it may not, as the end of a sentence that begins with the decision.
pub fn is_usable(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    record: &DecisionRecord,
) -> Result<(), &'static str> {
    if record.has_acted(status) {
        return Err("has acted already");
    }
    if status.decisions_ignored_until.is_some_and(|until| record.made_at <= until) {
        return Err("is older than other decisions that have acted; create another one");
    }
    if record.environment_id != facts.spec.environment_id {
        return Err("names another environment than the CognigyDeployment; create another one");
    }
    // A resource that was deleted and created again must not get the decisions about the earlier one.
    if facts.created_at.is_some_and(|created_at| record.made_at < created_at) {
        return Err("is older than the CognigyDeployment; create another one");
    }
    Ok(())
}

/// Records that a decision acts now. It belongs in the same write as what it causes.
pub fn act_on(status: &mut CognigyDeploymentStatus, record: &DecisionRecord) {
    if record.has_acted(status) {
        return;
    }
    let acted = ActedDecision { uid: record.uid.clone(), hash: Some(record.hash()), made_at: record.made_at };
    status.acted_decisions.push(acted);
    status.acted_decisions.sort_by_key(|acted| acted.made_at);
    while status.acted_decisions.len() > MAX_ACTED {
        let oldest = status.acted_decisions.remove(0);
        let until = status.decisions_ignored_until.map_or(oldest.made_at, |until| until.max(oldest.made_at));
        status.decisions_ignored_until = Some(until);
    }
}

/// Records that the approvals and overrides of a plan cannot act any more, because the plan was rejected: whoever tries again asks
/// again.
pub fn use_up(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, plan_id: &PlanId) {
    let of_plan = facts.gates.decisions.records.iter().filter(|record| record.plan_id == *plan_id);
    for record in of_plan.filter(|record| matches!(record.verb, Verb::Approve | Verb::Override)) {
        if is_usable(facts, status, record).is_ok() {
            act_on(status, record);
        }
    }
}

/// Records the decisions to roll back and to try again that existed before the operator first saw the resource, without acting
/// on them: they are about attempts that this status does not know.
pub fn ignore_existing(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let existing = facts.gates.decisions.records.iter();
    for record in existing.filter(|record| matches!(record.verb, Verb::Rollback | Verb::Retry | Verb::Reject)) {
        act_on(status, record);
    }
}

/// What became of a decision, for people: its state, and the end of a sentence that begins with the decision.
#[must_use]
pub fn state_of(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    record: &DecisionRecord,
) -> (DecisionState, String) {
    if record.has_acted(status) {
        return (DecisionState::Acted, "has acted".to_owned());
    }
    if facts.now.wall >= record.expiry(life_of(facts, record)) {
        return (DecisionState::Expired, "expired before it acted".to_owned());
    }
    match obstacle(facts, status, record) {
        Some(why) => (DecisionState::Ignored, why),
        None => (DecisionState::Waiting, "counts, and has not acted yet".to_owned()),
    }
}

/// Why a decision cannot act, apart from its expiry.
fn obstacle(facts: &Facts<'_>, status: &CognigyDeploymentStatus, record: &DecisionRecord) -> Option<String> {
    if let Proof::Missing(why) = &facts.gates.decisions.proof {
        return Some(format!("does not count: {why}"));
    }
    if let Err(why) = is_usable(facts, status, record) {
        return Some(why.to_owned());
    }
    let attempt = status.attempt.as_ref()?;
    let (number, plan_id) = (attempt.number, attempt.plan_id.as_ref()?);
    let is_open = attempt.submission.is_none() && attempt.verdict.is_none();
    if *plan_id != record.plan_id && !is_about_standing(status, record) {
        let is_ahead = !is_open && matches!(record.verb, Verb::Approve | Verb::Override | Verb::Reject);
        // It may be about the next attempt, which has not started yet.
        return (!is_ahead).then(|| {
            format!(
                "is about {}, but attempt {number} is about {plan_id}: create another decision if it is meant",
                record.plan_id
            )
        });
    }
    match (record.verb, &facts.spec.approval) {
        (Verb::Approve | Verb::Override | Verb::Reject, _) if !is_open => {
            Some(format!("cannot act any more: attempt {number} was submitted or has ended"))
        }
        (Verb::Approve, None) => Some("is not needed: spec.approval of the CognigyDeployment is not set".to_owned()),
        (Verb::Approve, Some(approval)) if approval.not_by.contains(&record.by) => {
            Some("does not count: spec.approval.notBy names this user".to_owned())
        }
        _ => None,
    }
}

/// The longest life of the decision, if it is an approval.
fn life_of(facts: &Facts<'_>, record: &DecisionRecord) -> Option<Duration> {
    let approval = facts.spec.approval.as_ref().filter(|_| record.verb == Verb::Approve);
    approval.map(api::spec::Approval::valid_for)
}
