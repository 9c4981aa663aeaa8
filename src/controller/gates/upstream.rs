//! The deployments in `spec.requires`, read from the API server.

use super::super::error::Error;
use super::super::reconcile::ReconcileRun;
use api::status::ClosedGate;

impl ReconcileRun<'_> {
    /// The gate of the deployments in `spec.requires`, if it is closed.
    pub(super) async fn closed_upstream(&self) -> Result<Option<ClosedGate>, Error> {
        Ok(None)
    }
}
