//! Limits the memory for large answers. An answer may have 1 MiB, and a hostile API can send it byte by byte. If a
//! thousand calls read such answers at once, they would use all memory. So only a few large answers are read at a time;
//! all other answers must be short.

use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many bytes of an answer are read without a permit. Answers of Cognigy.AI have a few hundred bytes.
pub const SHORT: usize = 64 * 1024;
/// How many larger answers are read at once: 24 MiB in total.
const LARGE_AT_ONCE: usize = 24;

/// The permits for large answers, shared by all transports of a process.
#[derive(Clone, Debug)]
pub struct LargeAnswers(Arc<Semaphore>);

impl Default for LargeAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl LargeAnswers {
    /// Waits for the permit to read one more large answer. The permit is free again when it is dropped.
    pub async fn room(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.0.acquire().await.ok()
    }

    /// How many permits are free.
    #[cfg(test)]
    pub fn left(&self) -> usize {
        self.0.available_permits()
    }
}
