//! Limits the memory for large answers. An answer may have 1 MiB, and a hostile API can send it very slowly. A thousand
//! such answers at once would exhaust the memory. So only a few large answers are read at the same time.

use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many bytes of an answer are read without a permit. Answers of Cognigy.AI have a few hundred bytes.
pub const MAX_SHORT_ANSWER_BYTES: usize = 64 * 1024;
/// How many larger answers are read at once: 24 MiB in total.
const MAX_LARGE_ANSWERS: usize = 24;

/// The permits for large answers, shared by all transports of a process.
#[derive(Clone, Debug)]
pub struct LargeAnswers(Arc<Semaphore>);

impl Default for LargeAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LARGE_ANSWERS)))
    }
}

impl LargeAnswers {
    /// Waits for a permit to read one large answer. Dropping the permit returns it.
    pub async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.0.acquire().await.ok()
    }

    /// How many permits are free.
    #[cfg(test)]
    pub fn available(&self) -> usize {
        self.0.available_permits()
    }
}
