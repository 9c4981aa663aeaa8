//! Whether a deployment in `spec.requires` is ready for a rollout: a pure function of recorded statuses.
//!
//! Releases are compared by their digest. The newest attempt that was submitted with the release decides: older successes do not
//! count if the same release has failed since. The proof of an earlier attempt lasts: the upstream may go on to the next
//! release while this rollout waits for an approval or a change window.

use crate::attempt::healthy_since;
use crate::claim;
use crate::time::{after, between};
use api::Digest;
use api::reason::Reason;
use api::spec::Requirement;
use api::status::{Attempt, ClosedGate, CognigyDeploymentStatus, Outcome, PastAttempt};
use jiff::Timestamp;
use std::time::Duration;

/// A rollout that requires other deployments.
#[derive(Clone, Copy, Debug)]
pub struct Downstream<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// The digest of its attempt's release.
    pub release: &'a Digest,
    /// The version of its attempt's configuration, for people.
    pub version: Option<&'a str>,
}

/// What is known about a required deployment.
#[derive(Clone, Copy, Debug)]
pub enum UpstreamObservation<'a> {
    /// It does not exist.
    NotFound {
        /// Whether the operator watches its namespace. If not, nobody has looked whether it exists.
        is_watched: bool,
    },
    /// It exists. A deployment that is being deleted counts as it is.
    Found(Upstream<'a>),
}

/// A required deployment.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// The namespaces that may require it, besides its own.
    pub allowed_downstream_namespaces: &'a [String],
    /// The generation of its spec.
    pub generation: i64,
    /// Its status. `None` if this version of the operator cannot read it.
    pub status: Option<&'a CognigyDeploymentStatus>,
}

/// Whether a required deployment is ready. Messages contain fixed times and no ages, because each change of a text is a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamState {
    /// It is ready.
    Satisfied,
    /// It is not ready yet.
    Waiting {
        /// What is missing.
        message: String,
        /// When it is ready, if only time is missing.
        opens_at: Option<Timestamp>,
    },
    /// It does not exist, or the operator does not watch its namespace. The text says which.
    NotFound(String),
    /// It is in another namespace, and does not exist there or does not allow this namespace. Nobody learns which, because the
    /// names in another namespace may be confidential.
    Forbidden(String),
    /// It waits, directly or indirectly, for this deployment.
    Cycle(String),
}

impl UpstreamState {
    fn waiting(message: String) -> Self {
        Self::Waiting { message, opens_at: None }
    }

    /// Whether the rollout may start, as far as this deployment is concerned.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        *self == Self::Satisfied
    }

    /// The reason for the closed gate, its message, and when it opens. `None` if the deployment is ready.
    fn closed(&self) -> Option<(Reason, &str, Option<Timestamp>)> {
        match self {
            Self::Satisfied => None,
            Self::Waiting { message, opens_at } => Some((Reason::AwaitingUpstream, message, *opens_at)),
            Self::NotFound(message) => Some((Reason::UpstreamNotFound, message, None)),
            Self::Forbidden(message) => Some((Reason::UpstreamForbidden, message, None)),
            Self::Cycle(message) => Some((Reason::UpstreamCycle, message, None)),
        }
    }
}

/// The gate of all required deployments, if one of them is not ready. The worst comes first: what only a person can correct,
/// before what comes by itself. The others are counted.
#[must_use]
pub fn closed_gate(states: &[UpstreamState]) -> Option<ClosedGate> {
    let closed: Vec<_> = states.iter().filter_map(UpstreamState::closed).collect();
    let severity = |reason: Reason| match reason {
        Reason::UpstreamCycle => 0,
        Reason::UpstreamNotFound => 1,
        Reason::UpstreamForbidden => 2,
        _ => 3,
    };
    let (reason, message, _) = *closed.iter().min_by_key(|(reason, ..)| severity(*reason))?;
    let message = match closed.len() - 1 {
        0 => message.to_owned(),
        1 => format!("{message}; 1 more CognigyDeployment in spec.requires is not ready"),
        others => format!("{message}; {others} more CognigyDeployments in spec.requires are not ready"),
    };
    let opens_at = closed.iter().map(|(_, _, opens_at)| *opens_at).collect::<Option<Vec<_>>>();
    Some(ClosedGate { reason, message, opens_at: opens_at.and_then(|all| all.into_iter().max()) })
}

/// Whether a required deployment is ready for a rollout.
#[must_use]
pub fn evaluate(
    requirement: &Requirement,
    downstream: Downstream<'_>,
    observation: UpstreamObservation<'_>,
    now: Timestamp,
) -> UpstreamState {
    let (own, namespace) = (downstream.namespace, requirement.namespace_from(downstream.namespace));
    let name = format!("{namespace}/{}", requirement.name);
    let upstream = match observation {
        UpstreamObservation::NotFound { is_watched: false } => {
            return UpstreamState::NotFound(format!(
                "the operator does not watch the namespace {namespace}, so it cannot read {name} in spec.requires; add the \
                 namespace to the operator's --namespace, or remove the entry"
            ));
        }
        UpstreamObservation::NotFound { is_watched: true } if namespace == own => {
            return UpstreamState::NotFound(format!(
                "{name} in spec.requires does not exist; create it, or correct the entry"
            ));
        }
        UpstreamObservation::Found(upstream) if namespace == own || upstream.allows(own) => upstream,
        UpstreamObservation::NotFound { is_watched: true } | UpstreamObservation::Found(_) => {
            return UpstreamState::Forbidden(format!(
                "{name} in spec.requires does not exist, or does not allow the namespace {own} to require it; its owner must add \
                 {own} to its spec.allowedDownstreamNamespaces"
            ));
        }
    };
    let Some(status) = upstream.status else {
        return UpstreamState::waiting(format!(
            "this version of the operator cannot read {name}; upgrade the operator"
        ));
    };
    let judge = Judge { name, requirement, downstream, generation: upstream.generation, status, now };
    if requirement.same_release { judge.same_release() } else { judge.any_release() }
}

impl Upstream<'_> {
    fn allows(&self, namespace: &str) -> bool {
        self.allowed_downstream_namespaces.iter().any(|allowed| allowed == namespace)
    }
}

/// Evaluates the status of one upstream.
struct Judge<'a> {
    /// Its namespace and name.
    name: String,
    requirement: &'a Requirement,
    downstream: Downstream<'a>,
    generation: i64,
    status: &'a CognigyDeploymentStatus,
    now: Timestamp,
}

impl Judge<'_> {
    fn same_release(&self) -> UpstreamState {
        let is_same = |release: Option<&Digest>| release == Some(self.downstream.release);
        let current = self.status.attempt.as_ref();
        if let Some(attempt) = current.filter(|attempt| is_same(attempt.release.as_ref()) && was_submitted(attempt)) {
            return self.current(attempt);
        }
        // The history is sorted: the newest attempt comes first.
        let mut history = self.status.history.iter();
        match history.find(|past| is_same(past.release.as_ref()) && past_was_submitted(past)) {
            Some(past) => self.past(past),
            None => {
                let Self { name, .. } = self;
                UpstreamState::waiting(format!("{name} has not deployed {} yet; deploy it there first", self.release()))
            }
        }
    }

    fn any_release(&self) -> UpstreamState {
        match &self.status.attempt {
            Some(attempt) => self.current(attempt),
            None => UpstreamState::waiting(format!("{} has not deployed anything yet", self.name)),
        }
    }

    /// The current attempt: it must have succeeded, and the environment must have been healthy with it since then.
    fn current(&self, attempt: &Attempt) -> UpstreamState {
        let (name, attempted) = (&self.name, self.attempted(attempt.number));
        let Some(outcome) = attempt.outcome() else {
            return UpstreamState::waiting(format!("{attempted} has not ended yet"));
        };
        if outcome != Outcome::Succeeded {
            return self.failed(attempt.number, outcome);
        }
        if !claim::claims_to_run(attempt) {
            return UpstreamState::waiting(format!(
                "{attempted} succeeded, but a rollback of it was requested later; deploy there again"
            ));
        }
        if self.status.running.as_ref().is_none_or(|running| running.attempt != attempt.number) {
            return UpstreamState::waiting(format!(
                "{attempted} succeeded, but another CognigyDeployment has deployed to the same environment since; deploy there \
                 again"
            ));
        }
        if self.status.observed_generation != self.generation {
            return UpstreamState::waiting(format!("{name} was edited, and the operator has not handled the edit yet"));
        }
        let Some(since) = healthy_since(self.status, attempt) else {
            return UpstreamState::waiting(format!("{attempted} succeeded, but its condition Healthy is not True now"));
        };
        let opens_at = after(since, self.requirement.healthy_for());
        if self.now >= opens_at {
            return UpstreamState::Satisfied;
        }
        let message = format!(
            "{attempted} has been healthy for less than {} s; the gate opens at {} if it stays healthy",
            self.requirement.healthy_for_seconds,
            opens_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        UpstreamState::Waiting { message, opens_at: Some(opens_at) }
    }

    /// An earlier attempt: its record says for how long the environment was healthy with it.
    fn past(&self, past: &PastAttempt) -> UpstreamState {
        let attempted = self.attempted(past.number);
        if past.verdict.outcome != Outcome::Succeeded {
            return self.failed(past.number, past.verdict.outcome);
        }
        let required = self.requirement.healthy_for_seconds;
        match self.healthy_seconds(past) {
            Some(seconds) if seconds >= i64::from(required) => UpstreamState::Satisfied,
            Some(_) if let Some(next) = self.next_of(past) => self.still_healthy(past, next),
            Some(seconds) => UpstreamState::waiting(format!(
                "{attempted} was healthy for {seconds} s until the next attempt replaced it, and {required} s are required; deploy \
                 it there again"
            )),
            None => UpstreamState::waiting(format!(
                "{attempted} succeeded, but was rolled back, or was not healthy when the next attempt replaced it; deploy it \
                 there again"
            )),
        }
    }

    fn still_healthy(&self, past: &PastAttempt, next: &Attempt) -> UpstreamState {
        let had = past.healthy_for_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        let missing = self.requirement.healthy_for().saturating_sub(Duration::from_secs(had));
        let opens_at = after(next.started_at, missing);
        let message = format!(
            "{} has been healthy for less than {} s; the gate opens at {} if it stays healthy",
            self.attempted(past.number),
            self.requirement.healthy_for_seconds,
            opens_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        UpstreamState::Waiting { message, opens_at: Some(opens_at) }
    }

    /// The attempt that will replace this one, and is not submitted yet: until then, the environment runs this one.
    fn next_of(&self, past: &PastAttempt) -> Option<&Attempt> {
        let stands = self.status.standing_attempt.as_ref().is_some_and(|standing| standing.number == past.number);
        self.status.attempt.as_ref().filter(|_| stands)
    }

    /// For how long the environment was healthy. While the next attempt is not submitted, the time goes on.
    fn healthy_seconds(&self, past: &PastAttempt) -> Option<i64> {
        let since = self.next_of(past).map_or(0, |next| between(next.started_at, self.now).as_secs());
        past.healthy_for_seconds.map(|seconds| seconds.saturating_add(i64::try_from(since).unwrap_or(0)))
    }

    fn failed(&self, number: i64, outcome: Outcome) -> UpstreamState {
        let attempted = self.attempted(number);
        UpstreamState::waiting(format!("{attempted} ended as {outcome}; correct the release, or deploy it there again"))
    }

    /// An attempt of the upstream, for messages.
    fn attempted(&self, number: i64) -> String {
        match self.requirement.same_release {
            true => format!("attempt {number} of {} with {}", self.name, self.release()),
            false => format!("attempt {number} of {}", self.name),
        }
    }

    fn release(&self) -> String {
        let release = self.downstream.release.short();
        match self.downstream.version {
            Some(version) => format!("release {release} ({version})"),
            None => format!("release {release}"),
        }
    }
}

/// Whether the attempt has reached the environment, or may have. An attempt whose submit was refused has not.
fn was_submitted(attempt: &Attempt) -> bool {
    match attempt.outcome() {
        None => attempt.has_intent(),
        Some(outcome) => attempt.job.is_some() || outcome == Outcome::Unknown,
    }
}

fn past_was_submitted(past: &PastAttempt) -> bool {
    past.job_id.is_some() || past.verdict.outcome == Outcome::Unknown
}
