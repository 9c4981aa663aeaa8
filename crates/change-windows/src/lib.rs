//! Change windows: whether a rollout may start at an instant, and when one may start next.
//!
//! A [`Window`] is a set of instants with a [`Kind`]. [`evaluate()`] combines windows into one [`Evaluation`]. Both are pure:
//! the caller passes the instant, and the time zones are part of the program, so every machine gives the same answer.
//!
//! # How windows combine
//!
//! Windows belong to scopes: the operator's namespace, and the namespace of the resource. A scope is open if none of its
//! Deny windows is active, and if it has no Allow window or one of them is active. Everything is open if every scope is
//! open. So a scope can close what another one opens, and never the reverse.
//!
//! # When a window is active
//!
//! * [`Window::once`] is active from an instant until another one. The first instant belongs to it, the last does not.
//! * [`Window::recurring`] becomes active whenever its schedule fires, and stays active for its duration. Occurrences that
//!   overlap or touch are one occurrence.
//!
//! # Schedules
//!
//! A schedule has five fields: minute (0-59), hour (0-23), day of month (1-31), month (1-12 or JAN-DEC), day of week (0-7 or
//! SUN-SAT; 0 and 7 are Sunday). A field is `*`, a value, a range `a-b`, each of them with or without a step `/n`, or a list of
//! these. `a/n` means from `a` to the largest value; for a weekday, this is Saturday. A range ascends, and has two numbers or two
//! names. A step is at most the largest value of its field. Names are written in capital letters.
//!
//! A schedule in which neither the day of month nor the day of week is `*` is refused. Cron fires if either matches, many people
//! expect that both must match, and the implementations do not agree about steps. Seconds, years, `@daily`, `?`, `L`, `#`, `W` and
//! `H` are refused too.
//!
//! The CEL rules of the ChangeWindow resource accept the same schedules, so that the API server refuses what cannot be read. A test
//! of the crate with the resource compares the two.
//!
//! # Daylight saving time
//!
//! Clocks go forward and backward. Three rules follow:
//!
//! * A start that clocks skip in spring happens at once after the skipped time. "30 2 * * *" in Europe/Berlin starts at 03:00
//!   CEST on that day.
//! * A start that clocks show twice in autumn happens once, at the first of the two instants. This holds for every schedule, so
//!   "0 * * * *" does not fire in the repeated hour. Prefer one start with a long duration to many starts with short ones.
//! * A duration is elapsed time. A window of 8 hours that begins at 22:00 ends at 07:00 or 05:00 in these two nights.
//!
//! # Limits
//!
//! A tenant may write windows, so every loop has a limit: texts are short, a duration is 60 seconds to 31 days, a single window
//! lasts at most 366 days, searches stop after [`HORIZON`], and [`evaluate()`] stops after [`MAX_INTERVALS`] intervals. A search
//! that stops says until when it knows the answer, so a caller that asks again then misses no opening and no closing.

#![forbid(unsafe_code)]

mod error;
mod evaluate;
mod fields;
mod recurrence;
mod schedule;
mod window;
mod zone;

pub use error::{Field, InvalidWindow};
pub use evaluate::{Closer, Evaluation, MAX_INTERVALS, NextAllow, evaluate};
pub use window::{Activity, HORIZON, Kind, LONGEST_DURATION, LONGEST_SINGLE_WINDOW, SHORTEST_DURATION, Window};
