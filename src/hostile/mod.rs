//! Hostile input from outside: random bytes, and valid inputs that were damaged. No input may make the operator panic,
//! keep it busy, fill its memory, or make it read a value that the input does not contain.
//!
//! `PROPTEST_CASES` sets the number of cases of each kind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod damage;
mod objects;
mod snapshots;
mod texts;

use proptest::test_runner::Config;

/// Few cases by default, because every kind of input also has a test of its own.
fn config() -> Config {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default(),
        None => Config::with_cases(128),
    }
}
