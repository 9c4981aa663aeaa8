//! A story in a form that promises can be checked against: the writes of resources with their status, the exchanges
//! with the platform, and the answers that the operator received.

use std::collections::BTreeMap;
use std::time::Duration;

use api::status::{Attempt, CognigyDeploymentStatus, Verdict};
use api::{CognigyDeployment, JobId};
use serde::Deserialize;
use simulator::Call;

use super::director::Run;
use super::kubernetes::ObjectName;
use super::story::{Author, Exchange, Happening, is_deployment};

/// One write to a resource.
pub struct Write {
    /// Its place in the story.
    pub place: usize,
    pub at: Duration,
    pub by: Author,
    pub object: CognigyDeployment,
    pub status_before: Option<CognigyDeploymentStatus>,
}

/// One exchange with the platform.
pub struct RecordedRequest<'r> {
    pub place: usize,
    pub at: Duration,
    /// The place in the story at which the operator received the answer, if it did.
    pub answer_place: Option<usize>,
    pub exchange: &'r Exchange,
}

/// A story, with its writes and exchanges.
pub struct Record<'r> {
    pub run: &'r Run,
    pub writes: Vec<Write>,
    pub requests: Vec<RecordedRequest<'r>>,
}

/// An attempt of one resource: uid and number.
pub type AttemptName = (String, i64);

impl<'r> Record<'r> {
    pub fn of(run: &'r Run) -> Self {
        let mut answers: BTreeMap<u64, usize> = BTreeMap::new();
        let mut statuses: BTreeMap<&ObjectName, Option<CognigyDeploymentStatus>> = BTreeMap::new();
        let (mut writes, mut requests) = (Vec::new(), Vec::new());
        for (place, entry) in run.story.iter().enumerate() {
            match &entry.what {
                Happening::AnswerReceived(number) => {
                    answers.insert(*number, place);
                }
                Happening::Changed { name, after: None, .. } => {
                    statuses.remove(name);
                }
                Happening::RequestReceived(exchange) => {
                    requests.push(RecordedRequest { place, at: entry.at, answer_place: None, exchange })
                }
                Happening::Changed { by, name, after: Some(after), .. } if is_deployment(name) => {
                    let Ok(object) = CognigyDeployment::deserialize(after.as_ref()) else { continue };
                    let status_before = statuses.insert(name, object.status.clone()).flatten();
                    writes.push(Write { place, at: entry.at, by: *by, object, status_before });
                }
                _ => {}
            }
        }
        for request in &mut requests {
            request.answer_place = answers.get(&request.exchange.number).copied();
        }
        Self { run, writes, requests }
    }

    /// The writes of the operator.
    pub fn operator_writes(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter().filter(|write| matches!(write.by, Author::Operator(_)))
    }

    /// The exchanges of one kind.
    pub fn calls(&self, call: Call) -> impl Iterator<Item = &RecordedRequest<'r>> {
        self.requests.iter().filter(move |request| request.exchange.call == Some(call))
    }

    /// The exchanges of one kind whose answers the operator received in this part of the story.
    pub fn answered(&self, call: Call, part: std::ops::Range<usize>) -> impl Iterator<Item = &RecordedRequest<'r>> {
        self.calls(call).filter(move |request| request.answer_place.is_some_and(|place| part.contains(&place)))
    }

    /// The first write of an intent under this key.
    pub fn intent(&self, key: &str) -> Option<&Write> {
        self.writes.iter().find(|write| {
            write.attempt().and_then(|attempt| attempt.idempotency_key()).is_some_and(|known| known.as_str() == key)
        })
    }

    /// The last written state of each attempt, with its verdict, also if the verdict was written together with the next
    /// attempt.
    pub fn attempts(&self) -> BTreeMap<AttemptName, Attempt> {
        let mut attempts: BTreeMap<AttemptName, Attempt> = BTreeMap::new();
        for write in &self.writes {
            for past in write.status().into_iter().flat_map(|status| &status.history) {
                if let Some(attempt) = attempts.get_mut(&(write.uid(), past.number)) {
                    attempt.verdict = Some(past.verdict.clone());
                }
            }
            if let Some(attempt) = write.attempt() {
                attempts.insert((write.uid(), attempt.number), attempt.clone());
            }
        }
        attempts
    }

    /// Every verdict, with the write that has it first.
    pub fn verdicts(&self) -> Vec<Judged<'_>> {
        let mut known: BTreeMap<AttemptName, ()> = BTreeMap::new();
        let mut verdicts = Vec::new();
        for write in self.operator_writes() {
            let Some(status) = write.status() else { continue };
            let current = status.attempt.iter().filter_map(|attempt| {
                Some(Judged {
                    write,
                    number: attempt.number,
                    job: attempt.job_id(),
                    verdict: attempt.verdict.as_ref()?,
                })
            });
            let past = status.history.iter().map(|past| Judged {
                write,
                number: past.number,
                job: past.job_id.as_ref(),
                verdict: &past.verdict,
            });
            for judged in current.chain(past) {
                if known.insert((write.uid(), judged.number), ()).is_none() {
                    verdicts.push(judged);
                }
            }
        }
        verdicts
    }
}

/// A verdict, and the first write that has it.
pub struct Judged<'w> {
    pub write: &'w Write,
    pub number: i64,
    pub job: Option<&'w JobId>,
    pub verdict: &'w Verdict,
}

impl Write {
    pub fn uid(&self) -> String {
        self.object.metadata.uid.clone().unwrap_or_default()
    }

    pub fn status(&self) -> Option<&CognigyDeploymentStatus> {
        self.object.status.as_ref()
    }

    pub fn attempt(&self) -> Option<&Attempt> {
        self.status()?.attempt.as_ref()
    }

    pub fn attempt_before(&self) -> Option<&Attempt> {
        self.status_before.as_ref()?.attempt.as_ref()
    }

    /// The attempt before and after the write, if it is the same attempt.
    pub fn same_attempt(&self) -> Option<(&Attempt, &Attempt)> {
        let (before, after) = (self.attempt_before()?, self.attempt()?);
        (before.number == after.number).then_some((before, after))
    }
}
