//! Room for large answers. An answer may have 1 MiB, and a hostile API sends it byte by byte: read by a thousand calls at
//! once, such answers would take all memory. So few are read at a time, and all others are short.

use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many bytes of an answer are read without asking for room. Answers of Cognigy.AI have some hundred.
pub const SHORT: usize = 64 * 1024;
/// How many longer answers are read at once: 24 MiB in all.
const LARGE_AT_ONCE: usize = 24;

/// Room for large answers, shared by all transports of a process.
#[derive(Clone, Debug)]
pub struct LargeAnswers(Arc<Semaphore>);

impl Default for LargeAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl LargeAnswers {
    /// Waits until there is room for one more large answer. The room is free again when the permit is dropped.
    pub async fn room(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.acquire().await.ok()
    }

    /// How many more there is room for.
    #[cfg(test)]
    pub fn left(&self) -> usize {
        self.0.available_permits()
    }
}
