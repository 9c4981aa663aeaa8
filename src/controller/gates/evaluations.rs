//! The evaluations of sets of change windows.
//!
//! Many rollouts wait for the same windows, and windows that are made to be expensive take 16 ms each time: 1,000 rollouts of one
//! tenant would take a quarter of a core.

use super::windows::KnownWindow;
use change_windows::{Evaluation, Window, evaluate};
use jiff::Timestamp;
use rollout::time::after;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How many evaluations are kept.
const MAX_EVALUATIONS: usize = 256;

/// How long an evaluation is kept at most.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

type Times = Arc<Result<Window, String>>;

/// The windows that are evaluated together, by scope.
pub(super) struct SetOfWindows {
    scopes: Vec<Vec<Times>>,
}

impl SetOfWindows {
    pub(super) fn of(scopes: &[Vec<Arc<KnownWindow>>]) -> Self {
        let times = |scope: &Vec<Arc<KnownWindow>>| scope.iter().map(|window| Arc::clone(&window.times)).collect();
        Self { scopes: scopes.iter().map(times).collect() }
    }

    pub(super) fn evaluate(&self, now: Timestamp) -> Evaluation {
        let readable = |scope: &Vec<Times>| scope.iter().filter_map(|times| times.as_ref().clone().ok()).collect();
        let windows: Vec<Vec<Window>> = self.scopes.iter().map(readable).collect();
        let slices: Vec<&[Window]> = windows.iter().map(Vec::as_slice).collect();
        evaluate(&slices, now)
    }

    /// The addresses of the times, with a zero after each scope.
    fn key(&self) -> Vec<usize> {
        let addresses = |scope: &Vec<Times>| scope.iter().map(address).chain([0]).collect::<Vec<_>>();
        self.scopes.iter().flat_map(addresses).collect()
    }
}

fn address(times: &Times) -> usize {
    Arc::as_ptr(times).addr()
}

/// The evaluations that may still hold.
#[derive(Default)]
pub(super) struct Evaluations {
    /// Each one owns its windows, so that no other window gets their addresses.
    kept: HashMap<Vec<usize>, (SetOfWindows, Timestamp, Evaluation)>,
}

impl Evaluations {
    /// The evaluation of these windows, if one is kept that holds now.
    pub(super) fn known(&self, set: &SetOfWindows, now: Timestamp) -> Option<Evaluation> {
        let (_, from, evaluation) = self.kept.get(&set.key())?;
        (*from <= now && now < holds_until(*from, evaluation)).then_some(*evaluation)
    }

    pub(super) fn keep(&mut self, set: SetOfWindows, from: Timestamp, evaluation: Evaluation) {
        if self.kept.len() >= MAX_EVALUATIONS {
            self.kept.clear();
        }
        self.kept.insert(set.key(), (set, from, evaluation));
    }

    /// Drops the evaluations that a window is part of.
    pub(super) fn forget(&mut self, times: &Times) {
        self.kept.retain(|addresses, _| !addresses.contains(&address(times)));
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }
}

/// The search may have stopped before the next change, so only its own promise counts.
fn holds_until(from: Timestamp, evaluation: &Evaluation) -> Timestamp {
    let promised = match evaluation {
        Evaluation::Open { open_until, .. } => *open_until,
        Evaluation::Closed { closed_until, .. } => *closed_until,
    };
    after(from, LONGEST).min(promised)
}
