//! Every version of a resource, as the API server tells them.

use super::{CognigyDeployment, DEADLINE};
use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, WatchEvent, WatchParams};
use std::collections::BTreeMap;
use tokio::sync::watch;
use tokio::time::timeout;

/// Records from now on. What is written is told one by one: a watch of the API server leaves nothing out.
pub(crate) struct Chronicle {
    versions: watch::Receiver<BTreeMap<u64, CognigyDeployment>>,
}

impl Chronicle {
    pub(super) async fn begin(resources: Api<CognigyDeployment>, name: &str) -> Self {
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

    /// Every version up to the one that is as wanted, the oldest first.
    pub(crate) async fn until(&mut self, is_last: impl Fn(&CognigyDeployment) -> bool) -> Vec<CognigyDeployment> {
        let seen = timeout(DEADLINE, self.versions.wait_for(|versions| versions.values().any(&is_last))).await;
        let versions: Vec<_> = seen.expect("it comes in time").unwrap().values().cloned().collect();
        let last = versions.iter().position(is_last).unwrap();
        versions.into_iter().take(last + 1).collect()
    }
}
