//! The stories. Each is played once without faults, and once for each fault at each request.

mod after_success;
mod deletions;
mod edits;
mod gates;
mod outages;
mod ownership;
mod promotion;
mod requests;
mod rollouts;
mod watches;

use super::scenario::Scenario;

/// Every story.
pub fn all() -> Vec<Scenario> {
    [
        rollouts::all(),
        edits::all(),
        deletions::all(),
        requests::all(),
        outages::all(),
        ownership::all(),
        watches::all(),
        after_success::all(),
        promotion::all(),
        gates::all(),
    ]
    .concat()
}
