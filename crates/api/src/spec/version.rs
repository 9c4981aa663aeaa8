//! The version of a configuration, for people.

use super::CognigyDeployment;
use crate::VERSION_LABEL;
use crate::snapshot::{Snapshot, is_version};
use kube::ResourceExt;

impl CognigyDeployment {
    /// The version of the configuration, for people: `spec.displayVersion`, or else the label `app.kubernetes.io/version`, or else
    /// the version in the snapshot. The operator never compares versions; it compares digests.
    #[must_use]
    pub fn version_of(&self, snapshot: &Snapshot) -> Option<String> {
        let label = || self.labels().get(VERSION_LABEL).cloned();
        let is_shown = |version: &String| is_version(version);
        self.spec
            .display_version
            .clone()
            .filter(is_shown)
            .or_else(|| label().filter(is_shown))
            .or_else(|| snapshot.version())
    }
}
