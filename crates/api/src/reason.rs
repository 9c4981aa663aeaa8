//! The reasons in conditions, verdicts and events. Each is a CamelCase word that never changes its meaning.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The maximum length of a reason, in bytes.
const MAX_BYTES: usize = 64;
/// How many different unrecognized reasons a process keeps. Their texts stay in memory until the process ends.
const MAX_UNRECOGNIZED: usize = 256;

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// Why a condition or a verdict has its value, or why an event was published.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$meta])* $name,)*
            /// A reason that another version of the operator wrote. It is written back unchanged.
            Unrecognized(UnrecognizedReason),
        }

        impl Reason {
            /// Every reason that this version writes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The text of the reason.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unrecognized(reason) => reason.0,
                }
            }

            fn known(word: &str) -> Option<Self> {
                $(if word == stringify!($name) {
                    return Some(Self::$name);
                })*
                None
            }
        }
    };
}

reasons! {
    /// The attempt has started, and nothing is known about this stage yet.
    AttemptStarted,
    /// The attempt is about to start.
    Pending,
    /// The ConfigMap does not hold the text that `sha256` names yet. The operator continues when it does.
    AwaitingSnapshot,
    /// The ConfigMap or its key is missing.
    SnapshotNotFound,
    /// The snapshot is nested too deeply, has a key twice or is empty, or the ConfigMap's text is not a JSON or YAML object.
    SnapshotInvalid,
    /// The resource is larger than the API server can store with its status.
    SnapshotTooLarge,
    /// The Secret in spec.credentialsRef does not exist. Or the spec names no Secret, and this namespace may not use the operator's
    /// own credentials.
    CredentialsNotFound,
    /// The Secret lacks a key, or holds a URL or a number that cannot be read.
    CredentialsInvalid,
    /// The Secret or the key that holds the webhook's URL is missing.
    WebhookUrlNotFound,
    /// Cognigy.AI refuses the credentials, or they do not have the scopes or the environment.
    Unauthorized,
    /// Cognigy.AI refuses the request, because the request is wrong.
    RequestRejected,
    /// The operator's egress rules do not allow this address.
    EndpointRefused,
    /// The credentials now point to another Cognigy.AI, but a job is still in flight at the first one, or an audit record for the
    /// first one is not delivered yet.
    EndpointChanged,
    /// Another resource owns this environment.
    EnvironmentInUse,
    /// Cognigy.AI cannot be reached, or asks the operator to wait. The operator tries again.
    ApiUnavailable,
    /// The answer of Cognigy.AI does not follow its API contract. The operator tries again.
    UnexpectedAnswer,
    /// The rollout waits because spec.suspend is true.
    Suspended,
    /// The rollout waits for the request budget: it can watch no more rollouts, or the validation must wait for other requests.
    Queued,
    /// Cognigy.AI validates whether the environment can run the configuration.
    Validating,
    /// The synthetic trace looks for conflicts.
    Tracing,
    /// The rollout waits for approvals.
    AwaitingApproval,
    /// The rollout waits for approvals, because approvals of this plan have expired.
    ApprovalExpired,
    /// The rollout waits for approvals, because the admission policy that proves who has approved is not installed.
    ApproverUnverified,
    /// The rollout waits for a change window, or for the end of one.
    WindowClosed,
    /// The rollout waits for another CognigyDeployment to succeed with the same release and to stay healthy.
    AwaitingUpstream,
    /// A CognigyDeployment in spec.requires does not exist, or the operator does not watch its namespace.
    UpstreamNotFound,
    /// A CognigyDeployment in spec.requires does not allow this namespace to require it.
    UpstreamForbidden,
    /// The CognigyDeployments in spec.requires require each other in a circle.
    UpstreamCycle,
    /// All gates are open.
    GatesOpen,
    /// A decision lets the rollout start although a change window is closed.
    WindowOverridden,
    /// A person has rejected the rollout before it was submitted.
    Rejected,
    /// A decision cannot act, for example because it is about another plan.
    DecisionIgnored,
    /// The rollout is being submitted.
    Submitting,
    /// The job is running.
    RollingOut,
    /// The job has completed, and health is being watched.
    Monitoring,
    /// The rollback is being requested.
    RollingBack,
    /// The rollback was accepted or refused, and health is being watched.
    VerifyingRollback,
    /// The environment can run the configuration.
    ValidationPassed,
    /// The environment cannot run the configuration.
    ValidationRefused,
    /// The synthetic trace found no conflict.
    TracePassed,
    /// The synthetic trace found conflicts, or did not pass.
    TraceNotPassed,
    /// Cognigy.AI has accepted the rollout and named its job.
    SubmitAccepted,
    /// Cognigy.AI refused the submit. Nothing was deployed.
    SubmitRejected,
    /// It is not known yet whether Cognigy.AI accepted the submit.
    SubmitOutcomeUnknown,
    /// The job has completed.
    JobCompleted,
    /// The job failed or was cancelled.
    JobFailed,
    /// The state of the job could not be read at the last poll.
    JobUnreadable,
    /// Cognigy.AI no longer knows the job.
    JobGone,
    /// The environment is healthy.
    HealthGood,
    /// The environment's health was bad at the last poll.
    HealthBad,
    /// The environment's health could not be read at the last poll.
    HealthUnreadable,
    /// The rollout failed, because health was bad spec.rollbackPolicy.healthThreshold times in a row.
    HealthCheckFailed,
    /// After the success, health was bad spec.monitoring.afterSuccess.healthThreshold times in a row.
    UnhealthyAfterSuccess,
    /// After the success, no health answer could be read for as long as healthThreshold polls take. Or health is not watched any
    /// more, and was bad at last.
    HealthUnknown,
    /// There was no verdict before the deadline.
    DeadlineExceeded,
    /// The environment runs the configuration, and is healthy.
    Succeeded,
    /// Cognigy.AI accepted the rollback.
    RolledBack,
    /// Cognigy.AI rolled the job back by itself.
    RolledBackByPlatform,
    /// The rollback was accepted, but the environment is not healthy.
    RolledBackUnhealthy,
    /// Cognigy.AI refused the rollback.
    RollbackRefused,
    /// The rollback is not accepted yet, because Cognigy.AI cannot be reached or fails. The operator repeats it.
    RollbackUnreachable,
    /// A person requested the rollback.
    RollbackRequested,
    /// A rollback was requested, but there is nothing to roll back.
    RollbackNotPossible,
    /// A person requested another attempt.
    RetryRequested,
    /// A retry was requested while an attempt was in flight.
    RequestIgnored,
    /// A person stopped the attempt before anything was submitted.
    Cancelled,
    /// The resource was deleted.
    ResourceDeleted,
    /// A newer configuration replaced this one before anything was submitted.
    Superseded,
    /// A newer configuration waits for the end of the attempt in flight, or is about to be deployed.
    NewerConfigurationWaiting,
    /// The resource was removed before its rollout was settled.
    DeletionGraceExpired,
    /// Some messages were not accepted yet by the audit log or the webhook.
    DeliveryPending,
    /// Every message was accepted.
    Delivered,
    /// The operator stopped trying to deliver a message after 72 hours. The message is in the operator's log.
    DeliveryGivenUp,
    /// A person edited the status, and a field that the current step needs is missing. Or the object has a value that this version
    /// of the operator does not know.
    StatusUnreadable,
    /// Somebody removed the status while a rollout was in flight or messages were not delivered. The operator restored it.
    StatusPutBack,
}

impl Reason {
    /// Whether a closed gate with this reason waits for approvals.
    #[must_use]
    pub fn is_about_approvals(self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::ApprovalExpired | Self::ApproverUnverified)
    }

    /// Whether a closed gate with this reason waits for another deployment.
    #[must_use]
    pub fn is_about_upstream(self) -> bool {
        matches!(self, Self::AwaitingUpstream | Self::UpstreamNotFound | Self::UpstreamForbidden | Self::UpstreamCycle)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The text of a reason that this version of the operator does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnrecognizedReason(&'static str);

impl UnrecognizedReason {
    /// Keeps the text if it consists of letters and digits and fewer than [`MAX_UNRECOGNIZED`] reasons are kept.
    fn keep(word: &str) -> Option<Self> {
        static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(word) {
            return Some(Self(known));
        }
        let is_word = word.len() <= MAX_BYTES
            && word.starts_with(|letter: char| letter.is_ascii_uppercase())
            && word.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !is_word || kept.len() >= MAX_UNRECOGNIZED {
            return None;
        }
        let word: &'static str = Box::leak(word.into());
        kept.insert(word);
        Some(Self(word))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = Reason;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a reason, a CamelCase word")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Reason, E> {
                let unrecognized = || UnrecognizedReason::keep(word).map(Reason::Unrecognized);
                Reason::known(word)
                    .or_else(unrecognized)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(word), &self))
            }
        }

        deserializer.deserialize_str(Word)
    }
}

/// A plain string in the CRD: an enumeration would make the API server refuse a newer operator's status.
impl JsonSchema for Reason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX_BYTES})
    }
}
