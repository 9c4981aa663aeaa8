//! The platform as a state machine: its input is a request and the time, its output is a reply.

mod access;
mod calls;
mod gate;
mod incoming;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use self::gate::token_client;
use self::incoming::Incoming;
use super::control;
use super::environment::Environment;
use super::fault::Call;
use super::fault_book::FaultBook;
use super::idempotency::{AnswerBook, Fingerprint, ScopedKey, Standing};
use super::identifier::{EnvironmentId, JobId};
use super::journal::{Journal, RequestRecord};
use super::moment::after;
use super::rate::RateLimiter;
use super::reply::{Refusal, Reply};
use super::route::{Misroute, Route};
use super::scenario::{Idempotency, Scenario};
use super::token::{Caller, TokenBook};
use super::wire;

/// A simulated platform. It has no clock, does no I/O and draws no random numbers: the same
/// requests at the same times get the same replies, and a clone is a fork of the world.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Scenario,
    environments: BTreeMap<EnvironmentId, Environment>,
    jobs: BTreeMap<JobId, EnvironmentId>,
    tokens: TokenBook,
    limiter: RateLimiter,
    answers: AnswerBook,
    faults: FaultBook,
    journal: Journal,
    traces: u64,
}

/// The objects that a request concerns.
#[derive(Default)]
struct Subject {
    environment: Option<EnvironmentId>,
    job: Option<JobId>,
}

/// A reply, and its origin.
struct Outcome {
    reply: Reply,
    fault: Option<&'static str>,
    /// The honest answer, without a fault, if the platform did something.
    honest: Option<Worked>,
}

/// The answer to work that was done by this request, or by an earlier request with the same key.
struct Worked {
    response: Response<Bytes>,
    repeated: bool,
}

impl World {
    /// A platform as the scenario describes it, before the first request.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let mut faults = FaultBook::default();
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
            tokens: TokenBook::default(),
            limiter: RateLimiter::default(),
            answers: AnswerBook::default(),
            faults,
            journal: Journal::new(scenario.journal_limit),
            traces: 0,
            scenario,
        }
    }

    /// Handles one request at `now`, which must not be earlier than the last request's time. Requests below
    /// `/simulator/` control and read the world; all other requests are the contract's, and are recorded.
    pub fn handle(&mut self, now: Timestamp, request: &Request<Bytes>) -> Reply {
        if control::owns(request.uri().path()) {
            return Reply::normal(control::answer(self, now, request));
        }
        let incoming = Incoming::read(self.journal.next_sequence(), now, request);
        match Route::of(request.method(), request.uri().path()) {
            Ok(route) => self.answer_call(&incoming, &route),
            Err(misroute) => self.answer_stray(&incoming, &misroute),
        }
    }

    fn answer_stray(&mut self, incoming: &Incoming<'_>, misroute: &Misroute) -> Reply {
        let message = format!("{} {}: no such call", incoming.request.method(), incoming.request.uri().path());
        let response = match misroute {
            Misroute::NoSuchPath => Refusal::new(StatusCode::NOT_FOUND, "no_such_path", &message).response(),
            Misroute::WrongMethod { allowed } => {
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
        let offences = wire::offences(route, incoming.request, &incoming.body);
        let outcome = match self.refuse_at_the_gate(incoming, call, &caller) {
            Some(refused) => Outcome { reply: Reply::normal(refused), fault: None, honest: None },
            None => self.answer_past_the_gate(incoming, route, &subject, &caller, offences.first()),
        };
        let needs_token = !matches!(call, Call::Token | Call::Webhook);
        let started_job =
            outcome.honest.as_ref().filter(|_| call == Call::Submit).and_then(|worked| job_in(&worked.response));
        self.journal.note_request(RequestRecord {
            call: Some(call),
            authorization: needs_token.then_some(caller.authorization),
            client_id: caller.client.or_else(|| token_client(&incoming.body).filter(|_| call == Call::Token)),
            environment_id: subject.environment,
            job_id: started_job.or(subject.job),
            fault: outcome.fault,
            repeated: outcome.honest.is_some_and(|worked| worked.repeated),
            violations: offences.into_iter().map(|offence| offence.message).collect(),
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

    fn answer_past_the_gate(
        &mut self,
        incoming: &Incoming<'_>,
        route: &Route,
        subject: &Subject,
        caller: &Caller,
        offence: Option<&Refusal>,
    ) -> Outcome {
        let call = route.call();
        let fault = self.faults.next(call, subject.environment.as_ref());
        if let Some(reply) = fault.as_ref().and_then(|fault| fault.instead()) {
            return Outcome { reply, fault: fault.map(|fault| fault.name()), honest: None };
        }
        let delay = fault.as_ref().map_or(Duration::ZERO, |fault| fault.delay());
        // The webhook receiver accepts every request, as real receivers do; the journal shows the differences from the
        // contract.
        let honest = match offence.filter(|_| call != Call::Webhook) {
            Some(offence) => Worked { response: offence.response(), repeated: false },
            None => self.work(incoming, route, caller, delay),
        };
        let reply = match &fault {
            Some(fault) => fault.disturb(honest.response.clone()),
            None => Reply::normal(honest.response.clone()),
        };
        Outcome { reply, fault: fault.map(|fault| fault.name()), honest: Some(honest) }
    }

    /// Does the work that the request asks for, at most once for each idempotency key.
    fn work(&mut self, incoming: &Incoming<'_>, route: &Route, caller: &Caller, delay: Duration) -> Worked {
        let worked = |response| Worked { response, repeated: false };
        let Some(key) = self.key(incoming, route, caller) else {
            return worked(self.effect(incoming, route, caller));
        };
        let fingerprint = Fingerprint::of(incoming.request);
        let lifetime = self.scenario.idempotency_key_lifetime_seconds.duration();
        match self.answers.standing(incoming.now, &key, fingerprint, lifetime) {
            Standing::Repeat(response) => Worked { response, repeated: true },
            Standing::InProgress => worked(in_progress().response()),
            Standing::Mismatch => worked(key_reused().response()),
            Standing::First => {
                let response = self.effect(incoming, route, caller);
                // A refused request had no effect, so a repeat cannot double it.
                if response.status().is_success() {
                    let out_at = after(incoming.now, delay);
                    self.answers.keep(incoming.now, key, fingerprint, out_at, response.clone());
                }
                worked(response)
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
        "the first request with this `Idempotency-Key` is still being worked on",
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
