//! The platform as a state machine: its input is a request and the time, its output is a reply.

mod access;
mod admission;
mod calls;
mod incoming;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use self::admission::token_client;
use self::incoming::Incoming;
use super::control;
use super::environment::Environment;
use super::fault::Call;
use super::fault_store::FaultStore;
use super::idempotency::{AnswerStore, Fingerprint, KeyState, ScopedKey};
use super::identifier::{EnvironmentId, JobId};
use super::journal::{Journal, RequestRecord};
use super::rate::RateLimiter;
use super::reply::{Refusal, Reply};
use super::route::{Route, RouteError};
use super::scenario::{Idempotency, Scenario};
use super::time::after;
use super::token::{Caller, TokenStore};
use super::wire;

/// A simulated platform. It has no clock, I/O or random numbers: the same requests at the same times get the same
/// replies. A clone is an independent copy.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Scenario,
    environments: BTreeMap<EnvironmentId, Environment>,
    jobs: BTreeMap<JobId, EnvironmentId>,
    tokens: TokenStore,
    limiter: RateLimiter,
    answers: AnswerStore,
    faults: FaultStore,
    journal: Journal,
    traces: u64,
}

/// The objects that a request concerns.
#[derive(Default)]
struct Subject {
    environment: Option<EnvironmentId>,
    job: Option<JobId>,
}

/// A reply, and how it was made.
struct Outcome {
    reply: Reply,
    fault: Option<&'static str>,
    /// The honest answer, without a fault. `None` if the call was not executed.
    honest: Option<CallResult>,
}

/// The answer to the call of this request, or of an earlier request with the same key.
struct CallResult {
    response: Response<Bytes>,
    repeated: bool,
}

impl World {
    /// A platform as the scenario describes it, before the first request.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let mut faults = FaultStore::default();
        for (id, script) in &scenario.environments {
            faults.script(id, &script.faults);
        }
        for rule in &scenario.faults {
            faults.add(rule.clone());
        }
        let environments = scenario
            .environments
            .iter()
            .map(|(id, script)| (id.clone(), Environment::new(script.clone(), &scenario)))
            .collect();
        Self {
            environments,
            jobs: BTreeMap::new(),
            tokens: TokenStore::default(),
            limiter: RateLimiter::default(),
            answers: AnswerStore::default(),
            faults,
            journal: Journal::new(scenario.journal_limit),
            traces: 0,
            scenario,
        }
    }

    /// Handles one request at `now`, which must not be earlier than the last request's time. Requests below
    /// `/simulator/` control and read the world. All other requests are calls of the contract, and are recorded.
    pub fn handle(&mut self, now: Timestamp, request: &Request<Bytes>) -> Reply {
        if control::owns(request.uri().path()) {
            return Reply::normal(control::answer(self, now, request));
        }
        let incoming = Incoming::read(self.journal.next_sequence(), now, request);
        match Route::of(request.method(), request.uri().path()) {
            Ok(route) => self.answer_call(&incoming, &route),
            Err(error) => self.answer_unknown_call(&incoming, &error),
        }
    }

    fn answer_unknown_call(&mut self, incoming: &Incoming<'_>, error: &RouteError) -> Reply {
        let message =
            format!("{} {} is not a call of the API", incoming.request.method(), incoming.request.uri().path());
        let response = match error {
            RouteError::NoSuchPath => Refusal::new(StatusCode::NOT_FOUND, "no_such_path", &message).response(),
            RouteError::WrongMethod { allowed } => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let mut response = Refusal::new(status, "wrong_method", &message).response();
                if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
                    response.headers_mut().insert(header::ALLOW, allowed);
                }
                response
            }
        };
        let reply = Reply::normal(response);
        let record = RequestRecord { violations: vec![message], ..incoming.record(&reply) };
        self.journal.note_request(record);
        reply
    }

    fn answer_call(&mut self, incoming: &Incoming<'_>, route: &Route) -> Reply {
        let call = route.call();
        let subject = self.subject(incoming, route);
        let caller = self.tokens.identify(incoming.now, incoming.request.headers());
        let violations = wire::violations(route, incoming.request, &incoming.body);
        let outcome = match self.refuse(incoming, call, &caller) {
            Some(refused) => Outcome { reply: Reply::normal(refused), fault: None, honest: None },
            None => self.answer_admitted(incoming, route, &subject, &caller, violations.first()),
        };
        let needs_token = !matches!(call, Call::Token | Call::Webhook);
        let started_job =
            outcome.honest.as_ref().filter(|_| call == Call::Submit).and_then(|result| job_in(&result.response));
        self.journal.note_request(RequestRecord {
            call: Some(call),
            authorization: needs_token.then_some(caller.authorization),
            client_id: caller.client.or_else(|| token_client(&incoming.body).filter(|_| call == Call::Token)),
            environment_id: subject.environment,
            job_id: started_job.or(subject.job),
            fault: outcome.fault,
            repeated: outcome.honest.is_some_and(|result| result.repeated),
            violations: violations.into_iter().map(|violation| violation.message).collect(),
            ..incoming.record(&outcome.reply)
        });
        outcome.reply
    }

    /// The objects that a request concerns, if the request names them or its job is known.
    fn subject(&self, incoming: &Incoming<'_>, route: &Route) -> Subject {
        let of_job =
            |job: Option<JobId>| Subject { environment: job.as_ref().and_then(|id| self.jobs.get(id)).cloned(), job };
        match route {
            Route::Validate(id) | Route::Health(id) => Subject { environment: Some(id.clone()), job: None },
            Route::Trace | Route::Submit => {
                Subject { environment: wire::named_environment(route.call(), &incoming.body), job: None }
            }
            Route::Job(id) | Route::Rollback(id) => of_job(Some(id.clone())),
            Route::Audit | Route::Webhook(_) => of_job(incoming.body.text("jobId").and_then(|id| id.parse().ok())),
            Route::Token => Subject::default(),
        }
    }

    fn answer_admitted(
        &mut self,
        incoming: &Incoming<'_>,
        route: &Route,
        subject: &Subject,
        caller: &Caller,
        violation: Option<&Refusal>,
    ) -> Outcome {
        let call = route.call();
        let fault = self.faults.next(call, subject.environment.as_ref());
        if let Some(reply) = fault.as_ref().and_then(|fault| fault.answer_without_effect()) {
            return Outcome { reply, fault: fault.map(|fault| fault.name()), honest: None };
        }
        let delay = fault.as_ref().map_or(Duration::ZERO, |fault| fault.delay());
        // The webhook receiver accepts every request, as real receivers do; the journal shows the differences from the
        // contract.
        let honest = match violation.filter(|_| call != Call::Webhook) {
            Some(violation) => CallResult { response: violation.response(), repeated: false },
            None => self.execute_once(incoming, route, caller, delay),
        };
        let reply = match &fault {
            Some(fault) => fault.apply(honest.response.clone()),
            None => Reply::normal(honest.response.clone()),
        };
        Outcome { reply, fault: fault.map(|fault| fault.name()), honest: Some(honest) }
    }

    /// Executes the call, at most once for each idempotency key.
    fn execute_once(&mut self, incoming: &Incoming<'_>, route: &Route, caller: &Caller, delay: Duration) -> CallResult {
        let first = |response| CallResult { response, repeated: false };
        let Some(key) = self.key(incoming, route, caller) else {
            return first(self.execute(incoming, route, caller));
        };
        let fingerprint = Fingerprint::of(incoming.request);
        let lifetime = self.scenario.idempotency_key_lifetime_seconds.duration();
        match self.answers.look_up(incoming.now, &key, fingerprint, lifetime) {
            KeyState::Repeat(response) => CallResult { response, repeated: true },
            KeyState::InProgress => first(in_progress().response()),
            KeyState::Mismatch => first(key_reused().response()),
            KeyState::First => {
                let response = self.execute(incoming, route, caller);
                // A refused request had no effect, so its answer is not kept for repeats.
                if response.status().is_success() {
                    let sent_at = after(incoming.now, delay);
                    self.answers.keep(incoming.now, key, fingerprint, sent_at, response.clone());
                }
                first(response)
            }
        }
    }

    fn key(&self, incoming: &Incoming<'_>, route: &Route, caller: &Caller) -> Option<ScopedKey> {
        let keyed = matches!(route.call(), Call::Submit | Call::Rollback | Call::Audit);
        if !keyed || self.scenario.idempotency == Idempotency::Unsupported {
            return None;
        }
        Some(ScopedKey { client: caller.client.clone()?, key: incoming.idempotency_key.clone()? })
    }
}

fn in_progress() -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "request_in_progress",
        "the first request with this `Idempotency-Key` is still being processed",
    )
}

fn key_reused() -> Refusal {
    Refusal::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this `Idempotency-Key` was used for another request",
    )
}

fn job_in(response: &Response<Bytes>) -> Option<JobId> {
    let body: Value = serde_json::from_slice(response.body()).ok()?;
    body["jobId"].as_str()?.parse().ok()
}
