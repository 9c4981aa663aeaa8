//! The stories that are played, each once as it is and once more for every way in which each request can go wrong.

mod deletions;
mod edits;
mod outages;
mod ownership;
mod requests;
mod rollouts;
mod watches;

use super::scenario::Scenario;

/// Every story.
pub fn all() -> Vec<Scenario> {
    [rollouts::all(), edits::all(), deletions::all(), requests::all(), outages::all(), ownership::all(), watches::all()]
        .concat()
}
