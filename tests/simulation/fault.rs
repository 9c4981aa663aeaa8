//! What can go wrong at one request of the operator.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use super::stage::{WatchLoss, WatchReturn};

/// What goes wrong at one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies before the request is sent.
    CrashBefore,
    /// The process dies after the request took effect, before its answer is seen.
    CrashAfter,
    /// As [`CrashAfter`](Self::CrashAfter), and the next process starts from a list that is older than the last write.
    CrashThenStale,
    /// The process dies; the request is under way, and takes effect when the next process has acted.
    CrashWhileUnderWay,
    /// As [`CrashAfter`](Self::CrashAfter), and nobody takes over until every deadline has passed.
    CrashForLong,
    /// The request took effect; the connection is lost before the answer.
    AnswerLost,
    /// The request took effect; the answer comes late.
    AnswerLate,
    /// No connection: the request had no effect.
    Refused,
    /// Somebody else writes the resource just before.
    Conflict,
    /// The watch is lost for seconds, and begins anew with a list.
    WatchLost,
    /// The process stands still before the request is sent; another one takes over; then the first goes on.
    PausedBefore,
    /// The process stands still after the request took effect; another one takes over; then the first hears the answer.
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

    /// Whether it can happen to such a request.
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
            Self::CrashForLong => "crash after its effect, and nobody takes over for long",
            Self::AnswerLost => "answer lost",
            Self::AnswerLate => "answer late",
            Self::Refused => "no connection",
            Self::Conflict => "somebody else writes first",
            Self::WatchLost => "the watch is lost, and begins with a list",
            Self::PausedBefore => "stands still before it, another takes over",
            Self::PausedAfter => "stands still after its effect, another takes over",
        })
    }
}

/// What a request is, as far as faults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoKind {
    /// It changes nothing anywhere.
    Read,
    /// It writes the operator's resource.
    WriteResource,
    /// It publishes an event.
    Announce,
    /// It asks the platform to do something.
    Effect,
}

/// One request of the operator.
#[derive(Clone, Debug)]
pub struct Io {
    pub kind: IoKind,
    /// Whom, and for what.
    pub what: String,
}

/// Which faults hit which requests, by their place in the order of all requests of a run.
pub type Plan = BTreeMap<usize, Fault>;

/// A lost watch: the API server is away for 5 s, and the end of its list comes 3 s after the list's objects.
pub const RESTART: WatchLoss = WatchLoss {
    silent: Duration::from_secs(5),
    then: WatchReturn::Lists { versions_old: 0, ends_after: Duration::from_secs(3), stays_behind: Duration::ZERO },
};
/// How long after a crash the next process starts.
pub const TAKE_OVER: Duration = Duration::from_secs(2);
/// How long nobody takes over after a crash for long.
pub const LONG: Duration = Duration::from_secs(1200);
/// When a request takes effect that was under way in a crash.
pub const UNDER_WAY: Duration = Duration::from_secs(20);
/// How late a late answer of the platform is: within the time that a call may take.
pub const LATE: Duration = Duration::from_secs(25);
/// For how long a list stays behind that a process starts from.
pub const STALE: Duration = Duration::from_secs(12);
/// When another process starts after one has come to stand still, and when that one goes on.
pub const LEASE: Duration = Duration::from_secs(16);
pub const PAUSE: Duration = Duration::from_secs(50);
