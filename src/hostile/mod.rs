//! What others wrote, at its worst: bytes without sense, and valid inputs that were damaged. None of it may make the operator
//! panic, or keep it busy or its memory full, or be taken for something that it does not say.
//!
//! `PROPTEST_CASES` says how many of each are tried.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod damage;
mod objects;
mod snapshots;
mod texts;

use proptest::test_runner::Config;

/// Few by default, since every kind of input has a test of its own.
fn config() -> Config {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default(),
        None => Config::with_cases(128),
    }
}
