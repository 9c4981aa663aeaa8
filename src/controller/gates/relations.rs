//! Which deployments require which, as the watch shows them. Cycles are found here, without a request.

use super::super::context::Context;
use super::super::resources::name_of;
use api::CognigyDeployment;
use rollout::admission::ResourceName;
use rollout::gates::find_cycle;
use std::sync::Arc;

/// What a deployment requires, and who may require it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Relations {
    requires: Vec<ResourceName>,
    allowed_downstream_namespaces: Vec<Arc<str>>,
}

impl Relations {
    /// The relations of a deployment. `None` if it has none, as most have.
    pub(in crate::controller) fn of(object: &CognigyDeployment) -> Option<Box<Self>> {
        let spec = &object.spec;
        if spec.requires.is_empty() && spec.allowed_downstream_namespaces.is_empty() {
            return None;
        }
        let own = name_of(object).namespace;
        let requires = spec.requires.iter().map(|requirement| ResourceName {
            namespace: requirement.namespace_from(&own).into(),
            name: requirement.name.as_str().into(),
        });
        let allowed = spec.allowed_downstream_namespaces.iter().map(|namespace| namespace.as_str().into());
        Some(Box::new(Self { requires: requires.collect(), allowed_downstream_namespaces: allowed.collect() }))
    }

    fn allow(&self, namespace: &str) -> bool {
        self.allowed_downstream_namespaces.iter().any(|allowed| &**allowed == namespace)
    }
}

impl Context {
    /// The shortest cycle from a deployment over one of `first` back to it. It contains only references to which the other
    /// namespace has consented. Its message names fewer of them.
    pub(super) fn requirement_cycle(&self, start: &ResourceName, first: &[ResourceName]) -> Option<Vec<ResourceName>> {
        let relations = |resource: &ResourceName| self.cluster.find(resource)?.relations();
        let is_allowed = |from: &ResourceName, to: &ResourceName| {
            from.namespace == to.namespace || relations(to).is_some_and(|relations| relations.allow(&from.namespace))
        };
        find_cycle(start, |resource| {
            let mut required = match resource == start {
                true => first.to_vec(),
                false => relations(resource).map(|relations| relations.requires).unwrap_or_default(),
            };
            required.retain(|upstream| is_allowed(resource, upstream));
            required
        })
    }
}
