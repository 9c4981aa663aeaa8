//! Polls the environment's health after a success.

use super::error::Error;
use super::reconcile::ReconcileRun;
use platform::FailureCause;
use rollout::apply::after_success;

impl ReconcileRun<'_> {
    /// Sends one poll, or notes why it could not be sent. Either way, the next one is due one interval later.
    pub(super) async fn watch_health(&mut self) -> Result<(), Error> {
        let Some(session) = self.session().await? else {
            // If the resource is deleted later, the credentials may be there again.
            self.state.memory.credentials_gone = false;
            return Ok(());
        };
        let object = self.observed.object.clone();
        let (requested_at, requester) = (self.context.now(), self.execution.requester.clone());
        let call = session.platform.watch_health(&object.spec, &requester);
        match self.await_answer(&session, call).await {
            Ok(polled) => {
                self.forget_client_if(polled.are_credentials_refused);
                let sent_at = self.sent_after(requested_at);
                self.answered(sent_at, |status, facts, memory| {
                    after_success::health(status, facts, memory, polled.answer)
                });
            }
            Err(failure) if failure.cause == FailureCause::Cancelled => return Err(Error::Cancelled),
            Err(failure) => {
                self.forget_client_if(failure.cause == FailureCause::Credentials);
                let why = failure.obstacle.message;
                self.change(|status, facts, memory| after_success::unanswered(status, facts, memory, &why));
            }
        }
        // The answer may lead to a rollback, and another resource may have deployed while it was awaited.
        self.find_other_owner().await
    }
}
