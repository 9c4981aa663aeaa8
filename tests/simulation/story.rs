//! Everything that happened in a run, in order. The promises are checked against it, and it is printed if one is
//! broken.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use simulator::{Call, Delivery, JobId};

use super::fault::Fault;
use super::kubernetes::DEPLOYMENTS;
use super::kubernetes::ObjectName;

/// One process of the operator, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

impl Display for ProcessId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "operator {}", self.0)
    }
}

/// Who changed an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    Operator(ProcessId),
    SomebodyElse,
}

/// A request that reached the platform, and the answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub number: u64,
    /// Scheme and host of the request.
    pub server: String,
    pub path: String,
    pub call: Option<Call>,
    pub body: Value,
    pub body_sha256: String,
    pub key: Option<String>,
    /// The job that the request is about, or that it started.
    pub job: Option<JobId>,
    pub status: u16,
    pub answer: Value,
    pub delivery: Delivery,
    /// Whether the answer repeats the first answer to the same key.
    pub repeated: bool,
    /// The job whose snapshot runs in the environment after the request.
    pub deployed: Option<JobId>,
    /// The violations of the contract.
    pub violations: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happening {
    Started(ProcessId),
    Crashed(ProcessId),
    Paused(ProcessId),
    Resumed(ProcessId),
    /// A watch was started again with a list that is older than what it had delivered.
    ListedOld(ProcessId),
    /// The operator sends a request.
    Io {
        process: ProcessId,
        index: usize,
        what: String,
        fault: Option<Fault>,
    },
    /// An object changed. `after` is missing if the object was deleted.
    Changed {
        by: Author,
        name: ObjectName,
        after: Option<Arc<Value>>,
    },
    /// An event was published. `at` is its time.
    EventPublished {
        at: Option<Timestamp>,
        warning: bool,
        reason: String,
        note: String,
    },
    /// A request reached the platform.
    RequestReceived(Box<Exchange>),
    /// The operator received the answer.
    AnswerReceived(u64),
    /// A user, or the simulation, did something.
    Acted(String),
    /// A reconcile ended with an error.
    Failed(String),
}

/// One entry, with its time in the run.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Duration,
    pub what: Happening,
}

impl Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:>10.3} s  ", self.at.as_secs_f64())?;
        match &self.what {
            Happening::Started(process) => write!(formatter, "{process} starts"),
            Happening::Crashed(process) => write!(formatter, "{process} crashes"),
            Happening::Paused(process) => write!(formatter, "{process} is paused"),
            Happening::Resumed(process) => write!(formatter, "{process} is resumed"),
            Happening::ListedOld(process) => write!(formatter, "{process} receives a list from an older cache"),
            Happening::Io { process, index, what, fault } => {
                write!(formatter, "{process} [{index}] {what}")?;
                fault.as_ref().map_or(Ok(()), |fault| write!(formatter, "   <- {fault}"))
            }
            Happening::Changed { by, name, after, .. } => {
                let who = match by {
                    Author::Operator(process) => process.to_string(),
                    Author::SomebodyElse => "somebody".to_owned(),
                };
                match after {
                    None => write!(formatter, "      {who} removed {} {}", name.plural, name.name),
                    Some(after) => {
                        write!(formatter, "      {who} wrote {} {}{}", name.plural, name.name, summary(after))
                    }
                }
            }
            Happening::EventPublished { warning, reason, note, .. } => {
                let kind = if *warning { "Warning" } else { "Event" };
                write!(formatter, "      {kind} {reason}: {note}")
            }
            Happening::RequestReceived(exchange) => {
                let repeated = if exchange.repeated { " (again)" } else { "" };
                let job = exchange.job.as_ref().map(|job| format!(" {job}")).unwrap_or_default();
                write!(
                    formatter,
                    "      platform #{}{job}: {}{repeated} {}",
                    exchange.number, exchange.status, exchange.answer
                )?;
                match &exchange.delivery {
                    Delivery::Normal => Ok(()),
                    delivery => write!(formatter, " {delivery:?}"),
                }
            }
            Happening::AnswerReceived(number) => {
                write!(formatter, "      the operator received the answer to #{number}")
            }
            Happening::Acted(what) => write!(formatter, "   *** {what}"),
            Happening::Failed(error) => write!(formatter, "      the reconcile failed: {error}"),
        }
    }
}

/// A summary of a resource in one line.
fn summary(object: &Value) -> String {
    if !object["spec"]["planId"].is_null() {
        let (spec, state) = (&object["spec"], &object["status"]["state"]);
        return format!(": {} by {}, {}", text(&spec["verb"]), text(&spec["by"]), text(state));
    }
    if object["kind"] != "CognigyDeployment" && object["spec"]["environmentId"].is_null() {
        return String::new();
    }
    let attempt = &object["status"]["attempt"];
    let ready = object["status"]["conditions"]
        .as_array()
        .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == "Ready"))
        .map(|ready| format!("Ready={} {}", text(&ready["status"]), text(&ready["reason"])));
    let outbox = object["status"]["outbox"].as_array().map_or(0, Vec::len);
    format!(
        " @{} generation {}: attempt {} {} {} {} streak {} outbox {outbox}{}",
        text(&object["metadata"]["resourceVersion"]),
        object["metadata"]["generation"],
        attempt["number"],
        text(&attempt["step"]),
        text(&attempt["verdict"]["outcome"]),
        ready.unwrap_or_default(),
        attempt["health"]["badStreak"].as_i64().unwrap_or_default(),
        if object["metadata"]["deletionTimestamp"].is_null() { "" } else { " being deleted" },
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Whether an object is a CognigyDeployment.
pub fn is_deployment(name: &ObjectName) -> bool {
    name.plural == DEPLOYMENTS
}
