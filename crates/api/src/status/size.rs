//! The size of a status.

use super::CognigyDeploymentStatus;

/// The maximum size of a status as JSON, in bytes. A larger one would burden every watch, and in the end etcd.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;

impl CognigyDeploymentStatus {
    /// Drops the oldest history entries until the status is within [`MAX_STATUS_BYTES`].
    pub fn limit_size(&mut self) {
        while self.is_too_large() && self.history.pop().is_some() {}
    }

    fn is_too_large(&self) -> bool {
        serde_json::to_vec(self).is_ok_and(|bytes| bytes.len() > MAX_STATUS_BYTES)
    }
}
