//! Every version of a resource.

use super::DEADLINE;
use api::CognigyDeployment;
use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, WatchEvent, WatchParams};
use std::collections::BTreeMap;
use tokio::sync::watch;
use tokio::time::timeout;

/// Records every version of a resource that is written from now on. A watch of the API server skips none.
pub struct VersionRecorder {
    versions: watch::Receiver<BTreeMap<u64, CognigyDeployment>>,
}

impl VersionRecorder {
    pub(crate) async fn start(resources: Api<CognigyDeployment>, name: &str) -> Self {
        let since = resources.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        let (sender, versions) = watch::channel(BTreeMap::new());
        tokio::spawn(async move {
            let mut events = resources.watch(&only, &since).await.unwrap().boxed();
            while let Some(event) = events.next().await {
                if let Ok(WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) =
                    event
                {
                    let version = object.resource_version().unwrap().parse().unwrap();
                    sender.send_modify(|versions| drop(versions.insert(version, object)));
                }
            }
        });
        Self { versions }
    }

    /// Waits for a version for which `is_last` holds. Returns all versions up to it, the oldest first.
    pub async fn until(&mut self, is_last: impl Fn(&CognigyDeployment) -> bool) -> Vec<CognigyDeployment> {
        let seen = timeout(DEADLINE, self.versions.wait_for(|versions| versions.values().any(&is_last))).await;
        let versions: Vec<_> = seen.expect("the version is written in time").unwrap().values().cloned().collect();
        let last = versions.iter().position(is_last).unwrap();
        versions.into_iter().take(last + 1).collect()
    }
}
