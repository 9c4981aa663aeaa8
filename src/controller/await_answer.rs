//! Waits for Cognigy.AI's answer, and reports failed tries if that takes long.

use super::reconcile::{Execution, ReconcileRun};
use platform::{Connection, FailedTry, Priority};
use rollout::apply;
use std::pin::pin;
use std::time::Duration;

/// A try that failed sooner than this is reported only if the whole call fails.
const SOON: Duration = Duration::from_secs(10);

/// The next thing that happens to a call in progress.
enum Next<T> {
    Answered(T),
    Failed(FailedTry),
}

impl ReconcileRun<'_> {
    /// Waits for the answer to a call. In the meantime it publishes what was recorded before the call, and each failed
    /// try. Neither delays the call.
    pub(super) async fn await_answer<T>(&mut self, session: &Connection, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        // Discards failed tries of earlier calls that this function did not make, such as a delivery.
        while self.execution.failed_tries.try_recv().is_ok() {}
        loop {
            let Execution { publisher, failed_tries, .. } = &mut self.execution;
            let next = publisher.during(async {
                tokio::select! {
                    biased;
                    answer = &mut call => Next::Answered(answer),
                    Some(failed) = failed_tries.recv() => Next::Failed(failed),
                }
            });
            let failed = match next.await {
                Next::Answered(answer) => return answer,
                Next::Failed(failed) => failed,
            };
            let mut report = pin!(self.report_failed_try(session, &failed));
            tokio::select! {
                biased;
                () = &mut report => {}
                answer = &mut call => {
                    // Do not cancel a status write that has started.
                    report.await;
                    return answer;
                }
            }
        }
    }

    /// Reports a failed try, in the conditions and in an event. No decision depends on it, so if the write fails, the
    /// next write makes up for it.
    async fn report_failed_try(&mut self, session: &Connection, failed: &FailedTry) {
        let FailedTry { number, of, error, .. } = failed;
        tracing::debug!(call = failed.operation.name, %error, "try {number} of {of} failed");
        if !is_worth_reporting(failed) {
            return;
        }
        let obstacle = session.platform.describe(failed);
        self.change(|status, facts, memory| apply::failed_try(status, facts, memory, obstacle));
        if let Err(error) = self.record_while_waiting().await {
            tracing::debug!(%error, "a failed try could not be recorded in the status");
        }
        self.execution.publisher.start();
    }
}

/// Whether to report a failed try. A rollback is always urgent. If the request budget held a try back, it was not made.
fn is_worth_reporting(failed: &FailedTry) -> bool {
    failed.operation.priority == Priority::Rollback || (failed.took >= SOON && !failed.error.is_out_of_budget())
}
