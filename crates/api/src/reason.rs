//! The reasons that conditions, verdicts and events give, each a CamelCase word that never changes its meaning.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The longest reason, in bytes.
const LONGEST: usize = 64;
/// How many different reasons of other versions a process keeps: their texts stay in memory for as long as it runs.
const MOST_UNRECOGNIZED: usize = 256;

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// Why something is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$meta])* $name,)*
            /// A reason that another version of the operator wrote; it is written back as it was read.
            Unrecognized(UnrecognizedReason),
        }

        impl Reason {
            /// Every reason that this version writes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word itself.
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
    /// Story: the attempt has begun, and nothing is known of this yet.
    AttemptStarted,
    /// The attempt is about to begin.
    Pending,
    /// The ConfigMap does not hold the text that `sha256` names yet; the operator goes on when it does.
    AwaitingSnapshot,
    /// The ConfigMap or its key is missing.
    SnapshotNotFound,
    /// The snapshot is nested too deeply or has a key twice, or the ConfigMap's text is not a JSON or YAML object, or an
    /// empty one.
    SnapshotInvalid,
    /// The resource is larger than the API server can store with its status.
    SnapshotTooLarge,
    /// There is no Secret with credentials, and none of the operator's own for this namespace.
    CredentialsNotFound,
    /// The Secret lacks a key, or holds a URL or a number that cannot be read.
    CredentialsInvalid,
    /// The Secret or the key that holds the webhook's URL is missing.
    WebhookUrlNotFound,
    /// Cognigy.AI refuses the credentials, their scopes, or this environment for them.
    Unauthorized,
    /// Cognigy.AI refuses the request as wrong.
    RequestRejected,
    /// The operator's egress rules do not allow this address.
    EndpointRefused,
    /// The credentials now point to another Cognigy.AI while a job is out at the first one, or an audit record waits for it.
    EndpointChanged,
    /// Another resource owns this environment.
    EnvironmentInUse,
    /// Cognigy.AI cannot be reached, or asks to be left alone; the operator tries again.
    ApiUnavailable,
    /// Cognigy.AI answered something that the contract does not know; the operator tries again.
    UnexpectedAnswer,
    /// spec.suspend holds the rollout back.
    Suspended,
    /// The rollout waits for its turn: the request budget can watch no more, or its validation is not due yet.
    Queued,
    /// The environment is asked whether it can take the configuration.
    Validating,
    /// The synthetic trace looks for conflicts.
    Tracing,
    /// The rollout is being submitted.
    Submitting,
    /// The job is running.
    RollingOut,
    /// The job has completed; health is being watched.
    Monitoring,
    /// The rollback is being asked for.
    RollingBack,
    /// The rollback is through; health is being watched.
    VerifyingRollback,
    /// The environment can take the configuration.
    ValidationPassed,
    /// The environment cannot take the configuration.
    ValidationRefused,
    /// The synthetic trace found no conflict.
    TracePassed,
    /// The synthetic trace found conflicts, or did not pass.
    TraceNotPassed,
    /// Cognigy.AI has taken the rollout and named its job.
    SubmitAccepted,
    /// Cognigy.AI refused the submit; nothing is out.
    SubmitRejected,
    /// Nobody can say yet whether the submit was accepted.
    SubmitOutcomeUnknown,
    /// The job has completed.
    JobCompleted,
    /// The job ended badly.
    JobFailed,
    /// How the job stands could not be read when it was last asked.
    JobUnreadable,
    /// Cognigy.AI no longer knows the job.
    JobGone,
    /// The environment is healthy.
    HealthGood,
    /// The environment's health was bad when it was last read.
    HealthBad,
    /// The environment's health could not be read.
    HealthUnreadable,
    /// Health was bad as often in a row as the policy allows.
    HealthCheckFailed,
    /// There was no verdict in time.
    DeadlineExceeded,
    /// The environment runs the configuration, and is well.
    Succeeded,
    /// What was there before runs again.
    RolledBack,
    /// Cognigy.AI rolled the job back by itself.
    RolledBackByPlatform,
    /// The rollback was accepted, but the environment is not well.
    RolledBackUnhealthy,
    /// Cognigy.AI refused the rollback.
    RollbackRefused,
    /// The rollback is not accepted yet, because Cognigy.AI cannot be reached or fails; the operator keeps asking.
    RollbackUnreachable,
    /// A person asked for the rollback.
    RollbackRequested,
    /// A rollback was asked for, but there is nothing to roll back.
    RollbackNotPossible,
    /// A person asked for another attempt.
    RetryRequested,
    /// A retry was asked for while an attempt was in flight.
    RequestIgnored,
    /// A person stopped the attempt before anything was submitted.
    Cancelled,
    /// The resource was deleted.
    ResourceDeleted,
    /// A newer configuration took its place before anything was submitted.
    Superseded,
    /// A newer configuration waits for the end of the attempt in flight, or is about to be tried.
    NewerConfigurationWaiting,
    /// The resource went before its rollout was settled.
    DeletionGraceExpired,
    /// Messages wait for the audit log or the webhook to take them.
    DeliveryPending,
    /// Every message was taken.
    Delivered,
    /// A message was given up after 72 hours; the operator's log holds it.
    DeliveryGivenUp,
    /// The status lacks what the step it names needs, because it was edited by hand; or the object holds a value that this
    /// version of the operator does not know.
    StatusUnreadable,
    /// Somebody removed the status while a rollout was in flight or messages waited, and the operator put that back.
    StatusPutBack,
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
    /// Keeps the text. Only a word of letters and digits is a reason, and only so many are kept.
    fn keep(word: &str) -> Option<Self> {
        static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(word) {
            return Some(Self(known));
        }
        let is_word = word.len() <= LONGEST
            && word.starts_with(|letter: char| letter.is_ascii_uppercase())
            && word.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !is_word || kept.len() >= MOST_UNRECOGNIZED {
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
        json_schema!({"type": "string", "maxLength": LONGEST})
    }
}
