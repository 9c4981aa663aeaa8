//! A write that somebody else was ahead of. Decided anew, an answer of Cognigy.AI that could not be recorded would have to
//! be asked for once more, and a writer that never rests would let nothing be recorded at all.

use super::error::Error;
use super::reconcile::Round;
use super::record;
use api::{CognigyDeployment, CognigyDeploymentSpec};
use kube::ResourceExt;
use rollout::facts::Requests;

/// How often in a row one write may be overtaken before all is decided anew, after a pause.
const MOST_TIMES: usize = 16;

impl Round<'_> {
    /// Writes the status; where somebody else was ahead with what the status does not rest on, on top of that.
    ///
    /// # Errors
    /// [`Error::Conflict`], where the status does rest on it, or somebody is ahead each time; or that the API server
    /// failed.
    pub(super) async fn write_status(&mut self) -> Result<(), Error> {
        for _ in 0..MOST_TIMES {
            self.context.must_lead()?;
            self.status.limit_size();
            match record::status(self.context, &self.object, &self.status).await {
                Ok(metadata) => {
                    self.count_passages();
                    self.keep_status(metadata);
                    self.log_recorded();
                    return Ok(());
                }
                Err(Error::Conflict) => self.follow().await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict)
    }

    /// Goes on with the resource as it is now, where the status would have become the same with it.
    async fn follow(&mut self) -> Result<(), Error> {
        let newer = record::read(self.context, self.object.as_ref()).await?;
        if !is_same_to_a_decision(&self.object, &newer) {
            return Err(Error::Conflict);
        }
        tracing::debug!("somebody else was ahead with a change that this write does not rest on; written on top of it");
        self.object = newer;
        self.refresh_status();
        Ok(())
    }
}

/// Whether all is the same that the decision rests on, above all the status: an intent is only ever written on top of the
/// status that it was made from, whoever else writes. What `monitoring` says is read anew for each question.
fn is_same_to_a_decision(ours: &CognigyDeployment, newer: &CognigyDeployment) -> bool {
    let requests = |object: &CognigyDeployment| Requests::from_annotations(object.annotations());
    ours.metadata.uid == newer.metadata.uid
        && ours.status == newer.status
        && ours.metadata.deletion_timestamp == newer.metadata.deletion_timestamp
        && ours.metadata.finalizers == newer.metadata.finalizers
        && requests(ours) == requests(newer)
        && ours.spec == CognigyDeploymentSpec { monitoring: ours.spec.monitoring.clone(), ..newer.spec.clone() }
}
