//! The effect of each call of the contract.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::World;
use super::incoming::Incoming;
use crate::checks;
use crate::environment::{Environment, Submission, no_such_job};
use crate::fault::Call;
use crate::identifier::{EnvironmentId, JobId};
use crate::job::Rollback;
use crate::journal::{AuditRecord, WebhookDelivery};
use crate::reply::{Refusal, json_response};
use crate::route::Route;
use crate::token::Caller;
use crate::wire;

/// An answer, or a refusal.
type Answered = Result<Response<Bytes>, Refusal>;

impl World {
    /// Executes the call of a request.
    pub(super) fn execute(&mut self, incoming: &Incoming<'_>, route: &Route, caller: &Caller) -> Response<Bytes> {
        let answered = match route {
            Route::Token => self.issue_token(incoming),
            Route::Validate(id) => self.validate(incoming, id, caller),
            Route::Trace => self.trace(incoming, caller),
            Route::Submit => self.submit(incoming, caller),
            Route::Job(id) => self.get_job(incoming, id, caller),
            Route::Health(id) => self.get_health(incoming, id, caller),
            Route::Rollback(id) => self.roll_back(incoming, id, caller),
            Route::Audit => self.record_audit(incoming),
            Route::Webhook(name) => self.record_webhook(incoming, name),
        };
        answered.unwrap_or_else(|refused| refused.response())
    }

    fn issue_token(&mut self, incoming: &Incoming<'_>) -> Answered {
        let issued = self.tokens.issue(incoming.now, &self.scenario, &incoming.body)?;
        Ok(json_response(StatusCode::OK, &issued))
    }

    fn validate(&mut self, incoming: &Incoming<'_>, id: &EnvironmentId, caller: &Caller) -> Answered {
        let environment = self.enter(incoming.now, id, caller)?;
        Ok(json_response(StatusCode::OK, &checks::validate(environment.script(), incoming.json())))
    }

    fn trace(&mut self, incoming: &Incoming<'_>, caller: &Caller) -> Answered {
        let id = environment_named_in(incoming, Call::Trace)?;
        self.traces += 1;
        let trace_id = format!("tr_{:04x}", self.traces);
        let environment = self.enter(incoming.now, &id, caller)?;
        Ok(json_response(StatusCode::OK, &checks::trace(environment.script(), incoming.json(), &trace_id)))
    }

    fn submit(&mut self, incoming: &Incoming<'_>, caller: &Caller) -> Answered {
        let body = incoming.json();
        let id = environment_named_in(incoming, Call::Submit)?;
        if !body["webhookCallbackUrl"].is_null() && !caller.may_register_webhooks() {
            let message = "the token does not have the scope `webhooks:write`";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "insufficient_scope", message));
        }
        self.enter(incoming.now, &id, caller)?;
        if let Some(conflict) = checks::lock_conflict(body) {
            let message = conflict["message"].as_str().unwrap_or_default();
            return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "dependency_conflict", message));
        }
        let number = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        let job = JobId::numbered(number);
        let submission =
            Submission { id: job.clone(), idempotency_key: incoming.idempotency_key.clone(), body: body.clone() };
        if let Some(environment) = self.environments.get_mut(&id) {
            environment.submit(incoming.now, submission, &self.scenario);
        }
        self.jobs.insert(job.clone(), id);
        Ok(json_response(StatusCode::OK, &json!({"jobId": job})))
    }

    fn get_job(&mut self, incoming: &Incoming<'_>, id: &JobId, caller: &Caller) -> Answered {
        let status = self.enter_job(incoming.now, id, caller)?.job(id).map(|job| job.status(incoming.now));
        let status = status.ok_or_else(|| no_such_job(id))?;
        Ok(json_response(StatusCode::OK, &json!({"status": status})))
    }

    fn get_health(&mut self, incoming: &Incoming<'_>, id: &EnvironmentId, caller: &Caller) -> Answered {
        self.enter(incoming.now, id, caller)?;
        let environment = self.environments.get_mut(id).ok_or_else(|| no_such_environment(id))?;
        Ok(json_response(StatusCode::OK, &environment.answer_health(&self.scenario)))
    }

    fn roll_back(&mut self, incoming: &Incoming<'_>, id: &JobId, caller: &Caller) -> Answered {
        self.enter_job(incoming.now, id, caller)?;
        let environment = self.jobs.get(id).and_then(|environment| self.environments.get_mut(environment));
        let environment = environment.ok_or_else(|| no_such_job(id))?;
        let rollback = Rollback {
            reason: incoming.body.text("reason").unwrap_or_default().to_owned(),
            accepted_at: incoming.now,
            idempotency_key: incoming.idempotency_key.clone(),
        };
        let done = environment.roll_back(incoming.now, id, rollback, &self.scenario)?;
        let (status, word) =
            if done { (StatusCode::OK, "rolled_back") } else { (StatusCode::ACCEPTED, "rolling_back") };
        Ok(json_response(status, &json!({"jobId": id, "status": word})))
    }

    fn record_audit(&mut self, incoming: &Incoming<'_>) -> Answered {
        self.journal.note_audit(AuditRecord {
            sequence: incoming.sequence,
            received_at: incoming.now,
            idempotency_key: incoming.idempotency_key.clone(),
            record: incoming.json().clone(),
        });
        Ok(json_response(StatusCode::CREATED, &json!({"recorded": true})))
    }

    fn record_webhook(&mut self, incoming: &Incoming<'_>, name: &str) -> Answered {
        self.journal.note_webhook(WebhookDelivery {
            sequence: incoming.sequence,
            received_at: incoming.now,
            name: name.to_owned(),
            idempotency_key: incoming.idempotency_key.clone(),
            body: incoming.json().clone(),
        });
        Ok(json_response(StatusCode::OK, &json!({"received": true})))
    }

    /// The environment at the time `now`, if it exists and the caller may use it.
    fn enter(&mut self, now: Timestamp, id: &EnvironmentId, caller: &Caller) -> Result<&mut Environment, Refusal> {
        if !self.environments.contains_key(id) {
            if !self.scenario.create_environments {
                return Err(no_such_environment(id));
            }
            let environment = Environment::new(self.scenario.script(id), &self.scenario);
            self.environments.insert(id.clone(), environment);
        }
        let environment = self.environments.get_mut(id).ok_or_else(|| no_such_environment(id))?;
        let allowed = &environment.script().allowed_clients;
        if !allowed.is_empty() && !caller.client.as_ref().is_some_and(|client| allowed.contains(client)) {
            let message = format!("the environment {id} belongs to another tenant");
            return Err(Refusal::new(StatusCode::FORBIDDEN, "other_tenant", message));
        }
        environment.advance(now, &self.scenario);
        Ok(environment)
    }

    fn enter_job(&mut self, now: Timestamp, id: &JobId, caller: &Caller) -> Result<&mut Environment, Refusal> {
        let environment = self.jobs.get(id).cloned().ok_or_else(|| no_such_job(id))?;
        self.enter(now, &environment, caller)
    }
}

fn environment_named_in(incoming: &Incoming<'_>, call: Call) -> Result<EnvironmentId, Refusal> {
    wire::named_environment(call, &incoming.body).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "no_such_environment", "the body contains no valid environment id")
    })
}

fn no_such_environment(id: &EnvironmentId) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no_such_environment", format!("there is no environment {id}"))
}
