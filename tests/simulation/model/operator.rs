//! A process of the operator. The operator's pure core decides and reads the answers. The model only executes the
//! decisions.
//!
//! This file models the part of the controller that has effects: the order of writes, what a conflict discards, and
//! which call is sent. Steps without an effect outside of the process (a decision, a passed check) are combined.

use super::protocol::Mutant;
use super::world::{GivenApproval, Printed, Process, TICK, UserRequests, hash_of, moment};
use api::decision::Verb;
use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::status::CognigyDeploymentStatus;
use api::{CognigyDeploymentSpec, Digest};
use rollout::admission::AdmissionSlot;
use rollout::answer::{TraceAnswer, ValidationAnswer};
use rollout::facts::{Requests, Settings, Target};
use rollout::gates::{DecisionRecord, Decisions, GateFacts, Proof};
use rollout::{Decision, Effects, Facts, Memory, PollTuning, apply, attempt, decide, requests};
use serde_json::json;
use std::sync::Arc;

/// The next step of a process that has an effect outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, until something changes or time passes.
    Rest,
    Write,
    SendSubmit,
    SendRollback,
    PollJob,
    CheckJob,
    PollHealth,
}

/// The state of a process before its next step with an effect.
pub(super) struct Plan {
    pub(super) status: CognigyDeploymentStatus,
    pub(super) memory: Memory,
    pub(super) body_of: Option<u64>,
    pub(super) next: Next,
}

/// What all processes share: the two configurations and the settings.
#[derive(Clone, Debug)]
pub(super) struct Core {
    before_edit: Variant,
    after_edit: Variant,
    settings: Settings,
    mutant: Option<Mutant>,
}

#[derive(Clone, Debug)]
struct Variant {
    spec: CognigyDeploymentSpec,
    target: Target,
}

impl Core {
    pub(super) fn new(mutant: Option<Mutant>, is_gated: bool) -> Self {
        let key_ttl = match mutant {
            Some(Mutant::KeyReusedAfterExpiry) => TICK * 1000,
            _ => TICK * u32::from(super::world::KEY_TTL),
        };
        Self {
            before_edit: Variant::of("2.4.1", is_gated),
            after_edit: Variant::of("2.4.2", is_gated),
            settings: Settings { submit_key_ttl: key_ttl, ..Settings::default() },
            mutant,
        }
    }

    fn variant(&self, requests: UserRequests) -> &Variant {
        if requests.edit { &self.after_edit } else { &self.before_edit }
    }

    pub(super) fn digest(&self, requests: UserRequests) -> &Digest {
        &self.variant(requests).target.digest
    }

    pub(super) fn facts(&self, requests: UserRequests, approvals: &[GivenApproval], tick: u8) -> Facts<'_> {
        let variant = self.variant(requests);
        Facts {
            namespace: "bots",
            name: "bot",
            created_at: None,
            uid: "0f8e7d6c",
            generation: 1 + i64::from(requests.edit),
            deleted_at: None,
            spec: &variant.spec,
            target: Ok(variant.target.clone()),
            requests: Requests { retry: None, rollback: requests.rollback.then(|| "please".to_owned()) },
            other_owner: None,
            gates: self.gates(approvals, tick),
            settings: &self.settings,
            credentials_origin: None,
            has_default_webhook: false,
            polling: PollTuning::default(),
            sent_at: moment(tick),
            now: moment(tick),
        }
    }

    fn gates(&self, approvals: &[GivenApproval], tick: u8) -> GateFacts {
        let is_always_new = self.mutant == Some(Mutant::ApprovalNeverExpires);
        let record = |approval: &GivenApproval| DecisionRecord {
            uid: approval.uid(),
            name: format!("approval-{}", approval.number),
            verb: Verb::Approve,
            plan_id: approval.plan.clone(),
            environment_id: self.before_edit.spec.environment_id.clone(),
            by: "anna".to_owned(),
            reason: "tested".to_owned(),
            made_at: moment(if is_always_new { tick } else { approval.made_at }).wall,
            expires_at: None,
        };
        let records = approvals.iter().map(|approval| Arc::new(record(approval))).collect();
        GateFacts { decisions: Arc::new(Decisions { records, proof: Proof::Given }), ..GateFacts::default() }
    }

    /// Decides, and takes all steps without an effect outside of the process.
    pub(super) fn plan(&self, process: &Process, tick: u8) -> Plan {
        let facts = self.facts(process.view.user_requests, &process.approvals, tick);
        let mut status = (*process.working).clone();
        let mut memory = (*process.memory).clone();
        let mut body_of = process.body_of;
        let next = loop {
            memory.prepare_for(status.attempt.as_ref(), None, facts.now);
            let decision = decide(&facts, &status, &memory);
            let must_write = decision.needs_record(&status) && !self.skips_record(&decision);
            if must_write && status != *process.view.status {
                break Next::Write;
            }
            match decision {
                Decision::Wait(_) if status != *process.view.status => break Next::Write,
                Decision::Wait(_) => break Next::Rest,
                Decision::PollJob => break Next::PollJob,
                Decision::CheckJob => break Next::CheckJob,
                Decision::PollHealth => break Next::PollHealth,
                Decision::Rollback => break Next::SendRollback,
                Decision::Submit => {
                    if body_of == key_of(&status) || self.can_build_body(&facts, &status) {
                        break Next::SendSubmit;
                    }
                    apply::submit::body_changed(&mut status, &facts, &mut memory);
                }
                decision => self.take(decision, &mut status, &facts, &mut memory, &mut body_of),
            }
            without_words(&mut status);
        };
        without_the_fleet(&mut memory);
        Plan { status, memory, body_of, next }
    }

    fn take(
        &self,
        decision: Decision,
        status: &mut CognigyDeploymentStatus,
        facts: &Facts<'_>,
        memory: &mut Memory,
        body_of: &mut Option<u64>,
    ) {
        match decision {
            Decision::NoteRequests => requests::record_without_acting(status, facts),
            Decision::HandleRequest(request) => apply::requests::handle(status, facts, memory, request),
            Decision::Start => attempt::start(status, facts),
            Decision::CheckAgain => attempt::check_again(status, facts),
            Decision::RecordGates => apply::gates::record(status, facts),
            Decision::RequestSlot => {
                memory.attempt.slot = memory.attempt.slot.grant();
                Effects::none()
            }
            Decision::Validate => {
                let passed = ValidationAnswer::Passed { warnings: Vec::new(), capacity_utilization: None };
                apply::checks::validation(status, facts, memory, &api_origin(), passed)
            }
            Decision::Trace => {
                let passed = TraceAnswer {
                    synthetic_trace_id: None,
                    has_passed: true,
                    status: "passed".to_owned(),
                    conflicts: Vec::new(),
                };
                apply::checks::trace(status, facts, memory, &api_origin(), passed)
            }
            Decision::Intend => {
                let identity = apply::submit::SubmitIdentity {
                    api_origin: api_origin(),
                    client_hash: ClientHash::new("client"),
                    request_hash: RequestHash::new(self.request_hash(facts)),
                };
                let effects = apply::submit::intend(status, facts, memory, identity);
                *body_of = key_of(status);
                effects
            }
            Decision::ApplySubmitAnswer => apply::submit::remembered_answer(status, facts, memory),
            Decision::GiveUpSubmit => attempt::give_up_submit(status, facts),
            Decision::DeclareTimeout => apply::rollback::declare_timeout(status, facts, memory),
            Decision::BeginRollback(reason) => apply::rollback::begin(status, facts, memory, reason),
            Decision::Settle => apply::rollback::settle(status, facts),
            Decision::Abandon(reason) => attempt::abandon(status, facts, reason),
            other => unreachable!("{other:?} has an effect outside of the process"),
        };
    }

    fn skips_record(&self, decision: &Decision) -> bool {
        match self.mutant {
            Some(Mutant::NoIntent) => *decision == Decision::Submit,
            Some(Mutant::NextAttemptBeforeTheRecord) => *decision == Decision::Start,
            Some(Mutant::RollbackBeforeItsRecord) => *decision == Decision::Rollback,
            _ => false,
        }
    }

    fn can_build_body(&self, facts: &Facts<'_>, status: &CognigyDeploymentStatus) -> bool {
        let submission = status.attempt.as_ref().and_then(|attempt| attempt.submission.as_ref());
        submission.is_some_and(|submission| submission.request_hash.as_str() == self.request_hash(facts))
    }

    /// The body contains the configuration, so another configuration has another hash.
    fn request_hash(&self, facts: &Facts<'_>) -> String {
        facts.target.as_ref().map(|target| target.digest.as_str().to_owned()).unwrap()
    }
}

fn api_origin() -> ApiOrigin {
    ApiOrigin::new("https://api.example.com")
}

/// The key of the attempt's submit, as a number.
pub(super) fn key_of(status: &CognigyDeploymentStatus) -> Option<u64> {
    status.attempt.as_ref()?.idempotency_key().map(hash_of)
}

/// Leaves out the texts for users. No decision depends on them, and they would make equal states look different.
pub(super) fn without_words(status: &mut CognigyDeploymentStatus) {
    status.conditions.clear();
}

/// Removes the memory that depends on other rollouts: when this rollout may start, and the known durations of jobs.
/// This memory only changes times.
fn without_the_fleet(memory: &mut Memory) {
    memory.attempt.slot = AdmissionSlot::NotRequested;
    memory.attempt.job.forget_durations();
}

impl Process {
    /// Takes the steps of the plan that have no effect outside of the process.
    pub(super) fn follow(&mut self, plan: Plan) {
        self.working = Printed::new(plan.status);
        self.memory = Printed::new(plan.memory);
        self.body_of = plan.body_of;
    }

    /// Reads an answer with the operator's own core.
    pub(super) fn answered(
        &mut self,
        facts: &Facts<'_>,
        read: impl FnOnce(&mut CognigyDeploymentStatus, &Facts<'_>, &mut Memory),
    ) {
        let mut status = (*self.working).clone();
        let mut memory = (*self.memory).clone();
        read(&mut status, facts, &mut memory);
        without_words(&mut status);
        self.working = Printed::new(status);
        without_the_fleet(&mut memory);
        self.memory = Printed::new(memory);
        self.is_waiting = false;
    }
}

impl Variant {
    fn of(bot_version: &str, is_gated: bool) -> Self {
        let timeout = TICK * u32::from(super::world::TIMEOUT);
        let life = TICK * u32::from(super::world::APPROVAL_LIFE);
        let spec: CognigyDeploymentSpec = serde_json::from_value(json!({
            "environmentId": "env_model",
            "configurationSnapshot": {"botVersion": bot_version},
            "rollbackPolicy": {"healthThreshold": 1, "timeoutSeconds": timeout.as_secs()},
            "monitoring": {"intervalSeconds": TICK.as_secs()},
            "approval": is_gated.then(|| json!({"expiresAfterSeconds": life.as_secs()})),
        }))
        .unwrap();
        let snapshot = spec.configuration_snapshot.clone().unwrap();
        let target = Target::of(&spec, &snapshot, snapshot.version()).unwrap();
        Self { spec, target }
    }
}
