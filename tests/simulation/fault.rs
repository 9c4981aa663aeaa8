//! The faults that can hit a request of the operator.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use super::stage::{WatchLoss, WatchReturn};

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process crashes before the request is sent.
    CrashBefore,
    /// The process crashes after the request took effect and before it receives the answer.
    CrashAfter,
    /// The same as [`CrashAfter`](Self::CrashAfter), but the next process starts from a list that is older than the
    /// last write.
    CrashThenStale,
    /// The process crashes, and the request takes effect later, after the next process has acted.
    CrashWhileUnderWay,
    /// The same as [`CrashAfter`](Self::CrashAfter), but no process starts until every deadline has passed.
    CrashForLong,
    /// The request took effect, but the connection is lost before the answer.
    AnswerLost,
    /// The request took effect, but the answer comes late.
    AnswerLate,
    /// No connection: the request had no effect.
    Refused,
    /// Another client writes the resource just before.
    Conflict,
    /// The watch is lost for seconds, and starts again with a list.
    WatchLost,
    /// The process is paused before it sends the request. Another one takes over, and then the first one is resumed.
    PausedBefore,
    /// The process is paused after the request took effect. Another one takes over, and then the first one gets the
    /// answer.
    PausedAfter,
}

impl Fault {
    /// Every kind, the simplest first.
    pub const ALL: [Self; 12] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::AnswerLost,
        Self::Refused,
        Self::Conflict,
        Self::WatchLost,
        Self::AnswerLate,
        Self::CrashThenStale,
        Self::CrashWhileUnderWay,
        Self::CrashForLong,
        Self::PausedBefore,
        Self::PausedAfter,
    ];

    /// Whether this fault can hit such a request.
    pub fn can_hit(self, io: &Io) -> bool {
        match self {
            Self::Conflict | Self::CrashThenStale => io.kind == IoKind::WriteResource,
            Self::CrashWhileUnderWay => io.kind != IoKind::Read,
            _ => true,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CrashBefore => "crash before it",
            Self::CrashAfter => "crash after its effect",
            Self::CrashThenStale => "crash after its effect, and a stale list for the next",
            Self::CrashWhileUnderWay => "crash while it is under way, effect later",
            Self::CrashForLong => "crash after its effect, and no process starts for a long time",
            Self::AnswerLost => "answer lost",
            Self::AnswerLate => "answer late",
            Self::Refused => "no connection",
            Self::Conflict => "another client writes first",
            Self::WatchLost => "the watch is lost, and starts again with a list",
            Self::PausedBefore => "paused before it, and another process takes over",
            Self::PausedAfter => "paused after its effect, and another process takes over",
        })
    }
}

/// The kinds of requests that faults distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoKind {
    /// It changes nothing.
    Read,
    /// It writes the operator's resource.
    WriteResource,
    /// It publishes an event.
    PublishEvent,
    /// It writes what became of a decision.
    WriteDecision,
    /// It makes the platform do something.
    Effect,
}

/// One request of the operator.
#[derive(Clone, Debug)]
pub struct Io {
    pub kind: IoKind,
    /// The method and the path.
    pub what: String,
}

/// The faults of a run, by the index of the request that each one hits.
pub type Plan = BTreeMap<usize, Fault>;

/// A lost watch: the API server is down for 5 s, and the end of its list comes 3 s after the list's objects.
pub const RESTART: WatchLoss = WatchLoss {
    silent: Duration::from_secs(5),
    then: WatchReturn::Lists { versions_old: 0, ends_after: Duration::from_secs(3), stays_behind: Duration::ZERO },
};
/// How long after a crash the next process starts.
pub const TAKE_OVER: Duration = Duration::from_secs(2);
/// How long no process starts after [`Fault::CrashForLong`].
pub const LONG: Duration = Duration::from_secs(1200);
/// How long after a crash a request takes effect that was in flight.
pub const UNDER_WAY: Duration = Duration::from_secs(20);
/// The delay of a late answer of the platform. It is shorter than the time-out of a call.
pub const LATE: Duration = Duration::from_secs(25);
/// How long a process that starts from an old list gets no newer changes.
pub const STALE: Duration = Duration::from_secs(12);
/// How long after a pause another process starts, and how long a pause lasts.
pub const LEASE: Duration = Duration::from_secs(16);
pub const PAUSE: Duration = Duration::from_secs(50);
