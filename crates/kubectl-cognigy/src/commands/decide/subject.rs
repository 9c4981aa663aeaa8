//! What a decision is about, by the status that the operator has written: a pure function.

use super::full_name;
use crate::output::{age, clock_time};
use crate::view::gates::of_required;
use api::decision::{DecisionState, Verb};
use api::status::Attempt;
use api::{CognigyDecision, CognigyDeployment, DecisionUid, PlanId, Reason};
use jiff::Timestamp;
use kube::ResourceExt;
use rollout::gates::DecisionRecord;

/// What somebody wants to decide.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What they decide.
    pub verb: Verb,
    /// The deployment, as they see it.
    pub deployment: &'a CognigyDeployment,
    /// The plan that they name.
    pub plan: Option<&'a PlanId>,
    /// Who they are.
    pub me: &'a str,
    /// The decisions in the namespace, as far as the caller may read them.
    pub known: &'a [CognigyDecision],
    /// The present moment.
    pub now: Timestamp,
}

/// What the decision is about.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// The plan.
    pub plan_id: PlanId,
    /// Whether no attempt has this plan yet.
    pub is_ahead: bool,
    /// What the person should see before, each with its heading.
    pub facts: Vec<(&'static str, String)>,
    /// What may surprise them.
    pub warnings: Vec<String>,
    /// What happens after the decision.
    pub next: String,
}

impl Question<'_> {
    /// Finds the plan.
    ///
    /// # Errors
    /// There is nothing to decide. The text says why, and what to do.
    pub fn subject(&self) -> Result<Subject, String> {
        let attempt = self.attempt();
        let open = attempt.filter(|attempt| is_open(attempt));
        let subject = match (open, self.plan) {
            (Some(attempt), plan) => self.of_open(attempt, plan)?,
            (None, Some(plan)) if self.verb != Verb::Reject => self.ahead(attempt, plan),
            (None, _) => return Err(self.nothing_waits(attempt)),
        };
        match self.verb {
            Verb::Approve => self.may_approve(&subject)?,
            Verb::Override => self.may_override(&subject)?,
            Verb::Reject | Verb::Rollback | Verb::Retry => {}
        }
        Ok(subject)
    }

    fn attempt(&self) -> Option<&Attempt> {
        self.deployment.status.as_ref().and_then(|status| status.attempt.as_ref())
    }

    fn name(&self) -> String {
        full_name(self.deployment)
    }

    /// Whether approvals that were given count. If the operator says that nobody has proved who gave them, they do not.
    fn are_approvals_unverified(&self) -> bool {
        let gates = self.attempt().and_then(|attempt| attempt.gates.as_ref());
        gates.is_some_and(|gates| gates.closed.iter().any(|gate| gate.reason == Reason::ApproverUnverified))
    }

    /// An attempt waits that was not submitted.
    fn of_open(&self, attempt: &Attempt, plan: Option<&PlanId>) -> Result<Subject, String> {
        let number = attempt.number;
        let name = self.name();
        let Some(present) = &attempt.plan_id else {
            return Err(format!(
                "attempt {number} of {name} has no plan id: an older operator has started it; upgrade the operator"
            ));
        };
        if let Some(plan) = plan.filter(|plan| *plan != present) {
            let verb = self.verb.as_str().to_ascii_lowercase();
            return Err(format!(
                "attempt {number} of {name} is about {present}, and not about {plan}: its configuration, its checks or what runs \
                 has changed since; look at it with `kubectl cognigy status {}`, and {verb} {present} if you mean it",
                self.deployment.name_any()
            ));
        }
        let mut facts = self.change(attempt);
        facts.push(("checks", self.checks(attempt)));
        facts.extend(self.approvals(attempt).map(|text| ("approvals", text)));
        let gates = attempt.gates.as_ref();
        for gate in gates.map_or(&[][..], |gates| &gates.closed) {
            facts.push(("waits", gate.message.clone()));
        }
        let mut warnings = Vec::new();
        if self.deployment.spec.suspend {
            let what = match self.verb {
                Verb::Reject => "the attempt is suspended, and ends all the same",
                _ => "the deployment is suspended: nothing is submitted until `resume`, also with this decision",
            };
            warnings.push(what.to_owned());
        }
        if self.verb == Verb::Approve && self.are_approvals_unverified() {
            warnings.push(
                "the operator counts no approvals at the moment, because the admission policy does not prove who gives them; the \
                 line above says what to do"
                    .to_owned(),
            );
        }
        let next = self.next(attempt);
        Ok(Subject { plan_id: present.clone(), is_ahead: false, facts, warnings, next })
    }

    /// No attempt is about the plan yet.
    fn ahead(&self, attempt: Option<&Attempt>, plan: &PlanId) -> Subject {
        let mut facts = Vec::new();
        if let Some(status) = &self.deployment.status {
            facts.push(("runs", status.running_in_words()));
        }
        let mut warnings = vec![format!(
            "no attempt is about {plan} yet: check that it is the id that `kubectl cognigy plan` prints for the new configuration"
        )];
        if let Some(attempt) = attempt.filter(|attempt| attempt.is_in_flight()) {
            warnings.push(format!(
                "attempt {} is in flight: when it succeeds, something else runs, and the next configuration gets another plan id",
                attempt.number
            ));
        }
        if self.verb == Verb::Approve && self.deployment.spec.approval.is_none() {
            warnings.push(
                "spec.approval is not set at present: the approval is needed only if the new configuration sets it"
                    .to_owned(),
            );
        }
        let next = format!("it counts once an attempt is about {plan}, if it has not expired by then");
        Subject { plan_id: plan.clone(), is_ahead: true, facts, warnings, next }
    }

    fn nothing_waits(&self, attempt: Option<&Attempt>) -> String {
        let (name, resource) = (self.name(), self.deployment.name_any());
        let ahead = match self.verb {
            Verb::Reject => String::new(),
            verb => format!(
                "; to {} the next configuration ahead of time, name the plan that `kubectl cognigy plan` prints with --plan",
                verb.as_str().to_ascii_lowercase()
            ),
        };
        let Some(attempt) = attempt else {
            return format!("nothing of {name} waits for a decision: it has made no attempt yet{ahead}");
        };
        let number = attempt.number;
        match (attempt.intended_at(), &attempt.verdict) {
            (Some(at), None) => format!(
                "attempt {number} of {name} was submitted at {} UTC: it is too late to {}; `kubectl cognigy rollback {resource} \
                 --reason …` undoes it{ahead}",
                clock_time(at, self.now),
                self.verb.as_str().to_ascii_lowercase()
            ),
            (_, Some(verdict)) => format!(
                "nothing of {name} waits for a decision: attempt {number} has ended as {} ({}){ahead}",
                verdict.outcome, verdict.reason
            ),
            (None, None) => format!("nothing of {name} waits for a decision{ahead}"),
        }
    }

    /// From which version to which.
    fn change(&self, attempt: &Attempt) -> Vec<(&'static str, String)> {
        let status = self.deployment.status.clone().unwrap_or_default();
        let new = attempt.version.as_deref().unwrap_or_else(|| attempt.digest.short());
        vec![
            ("attempt", format!("{} of {}", attempt.number, attempt.configuration())),
            ("change", format!("{} → {}", status.running_in_short(), new)),
        ]
    }

    fn checks(&self, attempt: &Attempt) -> String {
        match attempt.checks.passed_at() {
            Some(at) => {
                let warnings = attempt.checks.validation.as_ref().map_or(0, |validation| validation.warnings.len());
                let warnings = match warnings {
                    0 => String::new(),
                    1 => ", with 1 warning".to_owned(),
                    count => format!(", with {count} warnings"),
                };
                format!("passed at {} UTC ({} ago){warnings}", clock_time(at, self.now), age(at, self.now))
            }
            None => format!("not passed yet ({})", attempt.step.as_str()),
        }
    }

    /// How many have approved, and who.
    fn approvals(&self, attempt: &Attempt) -> Option<String> {
        let required = self.deployment.spec.approval.as_ref()?.people();
        Some(of_required(required, attempt.gates.as_ref()))
    }

    fn may_approve(&self, subject: &Subject) -> Result<(), String> {
        let (name, plan_id) = (self.name(), &subject.plan_id);
        let Some(approval) = &self.deployment.spec.approval else {
            return match subject.is_ahead {
                true => Ok(()),
                false => Err(format!("{plan_id} needs no approval: spec.approval of {name} is not set")),
            };
        };
        if approval.not_by.iter().any(|other| other == self.me) {
            return Err(format!(
                "spec.approval.notBy of {name} names you, {}: somebody else must approve {plan_id}",
                self.me
            ));
        }
        if self.are_approvals_unverified() {
            return Ok(());
        }
        let mine =
            self.known.iter().filter(|decision| self.counts(decision, plan_id)).map(ResourceExt::name_any).next();
        let gates = self.attempt().filter(|_| !subject.is_ahead).and_then(|attempt| attempt.gates.as_ref());
        let counted = gates.map_or(&[][..], |gates| &gates.approvals);
        let recorded = counted.iter().find(|approval| approval.by == self.me).map(|approval| approval.name.clone());
        match recorded.or(mine) {
            Some(decision) => Err(format!(
                "you ({}) have approved {plan_id} of {name} already, with the decision {decision}: each person counts once",
                self.me
            )),
            None => Ok(()),
        }
    }

    /// Whether a decision is an approval of this plan by the same person that has not acted and has not expired.
    fn counts(&self, decision: &CognigyDecision, plan_id: &PlanId) -> bool {
        let spec = &decision.spec;
        let is_over = decision.status.as_ref().is_some_and(|status| match status.state {
            DecisionState::Acted | DecisionState::Expired => true,
            DecisionState::Waiting | DecisionState::Ignored => false,
        });
        let is_mine = spec.verb == Verb::Approve
            && spec.plan_id == *plan_id
            && spec.by == self.me
            && spec.deployment == self.deployment.name_any();
        let Some(made_at) = decision.metadata.creation_timestamp.as_ref().map(|time| time.0) else { return false };
        let created_at = self.deployment.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let life = self.deployment.spec.approval.as_ref().map(api::spec::Approval::valid_for);
        let record = DecisionRecord {
            uid: DecisionUid::new(decision.metadata.uid.clone().unwrap_or_default()),
            name: decision.name_any(),
            verb: spec.verb,
            plan_id: spec.plan_id.clone(),
            environment_id: spec.environment_id.clone(),
            by: spec.by.clone(),
            reason: String::new(),
            made_at,
            expires_at: spec.expires_at,
        };
        is_mine
            && !is_over
            && created_at.is_none_or(|created_at| created_at <= made_at)
            && self.now < record.expiry(life)
    }

    fn may_override(&self, subject: &Subject) -> Result<(), String> {
        let Some(attempt) = self.attempt().filter(|_| !subject.is_ahead) else { return Ok(()) };
        let gates = attempt.gates.as_ref();
        if let Some(decision) = gates.and_then(|gates| gates.overridden_by.as_ref()) {
            return Err(format!(
                "change windows do not hold {} back: {} overrides them already, with the decision {}",
                subject.plan_id, decision.by, decision.name
            ));
        }
        let is_closed = gates.is_some_and(|gates| gates.closed.iter().any(|gate| gate.reason == Reason::WindowClosed));
        // Before the checks have passed, the operator has not looked at the windows.
        match attempt.checks.passed_at() {
            Some(_) if !is_closed => Err(format!(
                "no change window holds {} back now: there is nothing to override; `kubectl cognigy status {}` shows what it waits for",
                subject.plan_id,
                self.deployment.name_any()
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// What happens after the decision.
    fn next(&self, attempt: &Attempt) -> String {
        let gates = attempt.gates.as_ref();
        let closed = gates.map_or(&[][..], |gates| &gates.closed);
        let others = |skipped: fn(Reason) -> bool| -> Vec<&str> {
            closed.iter().filter(|gate| !skipped(gate.reason)).map(|gate| gate.reason.as_str()).collect()
        };
        let still = |others: Vec<&str>| match others.is_empty() {
            true => "the rollout starts by itself".to_owned(),
            false => format!("the rollout still waits: {}", others.join(", ")),
        };
        if self.verb == Verb::Reject {
            return format!(
                "attempt {} ends, and nothing is submitted; a new configuration or a retry starts another one",
                attempt.number
            );
        }
        if attempt.checks.passed_at().is_none() {
            return "the checks come first; then it counts".to_owned();
        }
        if self.verb != Verb::Approve {
            return still(others(|reason| reason == Reason::WindowClosed));
        }
        let required = self.deployment.spec.approval.as_ref().map_or(0, api::spec::Approval::people);
        let given = gates.map_or(0, |gates| gates.approvals.len()) + 1;
        match required.saturating_sub(given) {
            0 => still(others(Reason::is_about_approvals)),
            1 => "1 more person must approve".to_owned(),
            more => format!("{more} more people must approve"),
        }
    }
}

/// Whether the attempt was not submitted and has not ended.
fn is_open(attempt: &Attempt) -> bool {
    !attempt.has_intent() && attempt.verdict.is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
