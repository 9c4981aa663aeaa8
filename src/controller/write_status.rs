//! Records the results of a reconcile in the status: only if the status has changed, and only on top of the version for
//! which the decision was made.
//!
//! Another client may write the resource at the same time. If our status does not depend on that change, it is written
//! on top of it. Without this, each conflict would lose an answer of the platform, and a client that writes all the
//! time would prevent every record.

use super::error::Error;
use super::reconcile::ReconcileRun;
use super::record;
use crate::delivery::outbox;
use api::status::{Attempt, CognigyDeploymentStatus};
use api::{CognigyDeployment, CognigyDeploymentSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use rollout::facts::Requests;
use rollout::requests::Request;
use rollout::transition::transitions;
use rollout::{Decision, Effects, TimedEvent, summary};
use std::sync::Arc;

/// The maximum number of tries of one write. After the last one, the reconcile ends, and the next one decides again.
const MAX_TRIES: usize = 16;

impl ReconcileRun<'_> {
    /// Whether the status must be recorded before the decision is executed.
    pub(super) fn must_record_before(&self, decision: &Decision) -> bool {
        decision.needs_record(&self.status) && !self.would_soon_be_overwritten(decision)
    }

    /// An edit or a deletion raises the generation, and so `observedGeneration` in the status is outdated. If
    /// everything else is recorded, this alone is not worth a write just before an attempt starts or the finalizer is
    /// removed.
    fn would_soon_be_overwritten(&self, decision: &Decision) -> bool {
        let is_next = matches!(decision, Decision::Release | Decision::Start | Decision::HandleRequest(Request::Retry));
        is_next && self.observed.object.status.as_ref() == Some(&self.status)
    }

    /// Writes the status if it has changed.
    pub(super) async fn record(&mut self) -> Result<(), Error> {
        let written = self.record_while_waiting().await;
        if written.is_err() {
            // If it is unknown whether an intent was recorded, another process may have recorded and sent it.
            self.state.memory.attempt.submission.may_be_sent();
        }
        written
    }

    /// The same, while a call waits for its answer: the call has been sent, so a failure changes nothing for it.
    pub(super) async fn record_while_waiting(&mut self) -> Result<(), Error> {
        self.refresh_status();
        if self.observed.object.status.as_ref() != Some(&self.status) {
            self.write_status().await?;
        }
        self.mark_recorded();
        Ok(())
    }

    /// Writes the status. After a conflict, writes it on top of the other client's change if the status does not depend
    /// on it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the status depends on the change, or every try has a conflict. Another error if the API
    /// server failed.
    async fn write_status(&mut self) -> Result<(), Error> {
        for _ in 0..MAX_TRIES {
            self.context.cluster.must_lead()?;
            self.status.limit_size();
            match record::status(self.context, &self.observed.object, &self.status).await {
                Ok(metadata) => {
                    self.count_transitions();
                    self.keep_status(metadata);
                    self.log_recorded();
                    return Ok(());
                }
                Err(Error::Conflict) => self.follow().await?,
                Err(error) => return Err(error),
            }
        }
        self.newest = Some(Arc::clone(&self.observed.object));
        Err(Error::Conflict)
    }

    /// Reads the resource after a conflict, and continues with it if it has the same inputs of the decision. If not, it
    /// is kept for the next reconcile.
    async fn follow(&mut self) -> Result<(), Error> {
        let newer = record::read(self.context, self.observed.object.as_ref()).await?;
        let is_allowed = !self.records_intent() || self.gates_still_allow_intent(&newer);
        if !is_allowed || !has_same_inputs(&self.observed.object, &newer) {
            self.newest = Some(newer);
            return Err(Error::Conflict);
        }
        tracing::debug!(
            "another client has written the resource; the status does not depend on it and is written again"
        );
        self.observed.object = newer;
        self.refresh_status();
        Ok(())
    }

    /// Whether the status to write has an intent that the recorded one does not have.
    fn records_intent(&self) -> bool {
        let has_intent = |status: &CognigyDeploymentStatus| status.attempt.as_ref().is_some_and(Attempt::has_intent);
        has_intent(&self.status) && !self.observed.object.status.as_ref().is_some_and(has_intent)
    }

    /// Adds the finalizer, before the first request to the platform.
    pub(super) async fn put_finalizer(&mut self) -> Result<(), Error> {
        if record::has_finalizer(&self.observed.object) || self.observed.is_deleted() {
            return Ok(());
        }
        self.context.cluster.must_lead()?;
        let metadata = record::put_finalizer(self.context, &self.observed.object).await?;
        self.keep_changed(|object| object.metadata = metadata);
        Ok(())
    }

    /// Writes the status again if somebody has removed it. Its transitions are not new, so they are not counted again.
    pub(super) async fn put_status_back(&mut self) -> Result<(), Error> {
        let Some(effects) = self.put_back.take() else { return Ok(()) };
        self.context.cluster.must_lead()?;
        self.refresh_status();
        let metadata = record::status(self.context, &self.observed.object, &self.status).await?;
        self.keep_status(metadata);
        self.apply_effects(effects);
        self.mark_recorded();
        Ok(())
    }

    /// Updates the parts of the status that follow from the rest of it.
    fn refresh_status(&mut self) {
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, self.context.now());
        summary::refresh(&mut self.status, &facts, &self.state.memory);
    }

    /// Continues with the status that was just written.
    fn keep_status(&mut self, metadata: ObjectMeta) {
        let status = self.status.clone();
        self.state.know_status(Some(&status));
        self.keep_changed(|object| {
            object.metadata = metadata;
            object.status = Some(status);
        });
    }

    /// Continues with the resource as it was just written, even if the watch lags behind. The object is changed in
    /// place, unless the watch shares it.
    fn keep_changed(&mut self, change: impl FnOnce(&mut CognigyDeployment)) {
        self.state.newest = None;
        change(Arc::make_mut(&mut self.observed.object));
        self.context.resources.wrote(&self.observed.object.metadata);
        self.state.newest = Some(Arc::clone(&self.observed.object));
    }

    /// Counts the transitions that were just recorded. They are not counted earlier, because a transition that is not
    /// recorded happens again.
    fn count_transitions(&self) {
        let (before, memory) = (self.observed.object.status.as_ref(), &self.state.memory.attempt);
        for transition in transitions(before, &self.status, memory, self.context.now().wall) {
            self.context.metrics.record_transition(transition);
            self.execution.spans.record_transition(transition, &self.observed.uid, self.status.attempt.as_ref());
        }
    }

    /// Releases the events of all changes for publication: the changes are recorded, or the resource is gone and
    /// nothing can be recorded any more.
    pub(super) fn mark_recorded(&mut self) {
        self.execution.publisher.add(self.execution.unrecorded.drain(..));
    }

    /// Queues the events and messages of a change.
    pub(super) fn apply_effects(&mut self, effects: Effects) {
        let at = self.context.now().wall;
        let events = effects.events.into_iter().map(|event| TimedEvent { at, event });
        self.execution.unrecorded.extend(events);
        for message in &effects.messages {
            if let Some(dropped) = outbox::put(&mut self.status, message, self.context.platforms.sessions.provider()) {
                self.drop_message(&dropped, "the outbox is full");
            }
        }
    }
}

/// Whether all inputs of the decision are the same. The most important one is the status: an intent is written only on
/// top of the status from which it was made. `monitoring` may differ, because it is read again for each poll.
fn has_same_inputs(ours: &CognigyDeployment, newer: &CognigyDeployment) -> bool {
    let requests = |object: &CognigyDeployment| Requests::from_annotations(object.annotations());
    ours.metadata.uid == newer.metadata.uid
        && ours.status == newer.status
        && ours.metadata.deletion_timestamp == newer.metadata.deletion_timestamp
        && ours.metadata.finalizers == newer.metadata.finalizers
        && requests(ours) == requests(newer)
        && ours.spec == CognigyDeploymentSpec { monitoring: ours.spec.monitoring.clone(), ..newer.spec.clone() }
}
