//! The data for the series of `--resource-metrics`, for each resource. Nothing is kept if the flag is not set.

use super::gauges::summary;
use super::name_of;
use crate::controller::watched::Watched;
use crate::metrics::{ConditionSummary, ResourceInfo};
use api::condition::{ConditionSet, ConditionType};
use api::{CognigyDeployment, Reason};
use rollout::admission::ResourceName;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The last watched state of each resource. There is only one for each name, because two series with the same name
/// would be an error. A resource may be deleted and created again before its deletion is seen.
#[derive(Default)]
pub(super) struct Infos {
    by_name: BTreeMap<ResourceName, Kept>,
    /// The name of each uid. A resource is forgotten by its uid.
    names: HashMap<Arc<str>, ResourceName>,
}

struct Kept {
    uid: Arc<str>,
    info: ResourceInfo,
}

impl Infos {
    /// Takes in a resource that is not pruned yet.
    pub(super) fn observe(&mut self, uid: &Arc<str>, watched: &Watched) {
        let Some(info) = info(watched) else { return };
        let name = ResourceName { namespace: Arc::clone(&info.namespace), name: Arc::clone(&info.name) };
        let kept = Kept { uid: Arc::clone(uid), info };
        if self.by_name.insert(name.clone(), kept).is_none_or(|before| before.uid != *uid) {
            self.names.insert(Arc::clone(uid), name);
        }
    }

    /// Forgets a resource. Another one that has its name now stays.
    pub(super) fn forget(&mut self, uid: &str) {
        let Some(name) = self.names.remove(uid) else { return };
        if self.by_name.get(&name).is_some_and(|kept| *kept.uid == *uid) {
            self.by_name.remove(&name);
        }
    }

    /// Each resource, by namespace and name.
    pub(super) fn all(&self) -> Vec<ResourceInfo> {
        self.by_name.values().map(|kept| kept.info.clone()).collect()
    }
}

fn info(watched: &Watched) -> Option<ResourceInfo> {
    let ResourceName { namespace, name } = name_of(watched);
    match watched {
        Watched::Whole(object) => Some(ResourceInfo {
            namespace,
            name,
            environment: object.spec.environment_id.as_str().into(),
            summary: summary(object),
            reason: reason(object),
            phase: object.status.as_ref().and_then(|status| status.phase),
        }),
        Watched::AtRest(_) => None,
        Watched::Unreadable(unreadable) => Some(ResourceInfo {
            namespace,
            name,
            environment: unreadable.environment.as_ref().map_or("", |known| known.environment.as_str()).into(),
            summary: ConditionSummary::Unreadable,
            reason: Some(Reason::StatusUnreadable),
            phase: None,
        }),
    }
}

fn reason(object: &CognigyDeployment) -> Option<Reason> {
    object.status.as_ref()?.conditions.find(ConditionType::Ready).map(|ready| ready.reason)
}
