//! Decides whether the demo may use an existing cluster. It may not if it could disturb other users of the cluster.

use crate::error::{Error, Trying};
use crate::releases::NAMESPACE;
use api::CognigyDeployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::CustomResourceExt;
use kube::{Api, Client, Resource, ResourceExt};

/// The label of all objects that the demo creates. Only the demo sets it.
pub const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "cognigy-demo");

/// The maximum number of resources that a message names.
const NAMED: usize = 3;

/// Who made an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// It does not exist.
    Nobody,
    /// A demo.
    Demo,
    /// Somebody else.
    SomebodyElse,
}

/// The objects that a cluster already has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The CRD.
    pub definition: Maker,
    /// The demo's namespace.
    pub namespace: Maker,
    /// The CognigyDeployments in other namespaces, as `namespace/name`.
    pub elsewhere: Vec<String>,
}

/// Whether there is something to remove before the demo begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// There is nothing.
    None,
    /// A demo was killed and could not remove its objects.
    OfAnEarlierDemo,
}

/// Looks for all objects that the demo would create.
pub async fn look(kubernetes: &Client) -> Result<Found, Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(kubernetes.clone());
    let definition = definitions.get_opt(CognigyDeployment::crd_name()).await.trying("look for the CRD")?;
    let namespaces: Api<Namespace> = Api::all(kubernetes.clone());
    let namespace = namespaces.get_opt(NAMESPACE).await.trying("look for the demo's namespace")?;
    let elsewhere = match definition {
        Some(_) => elsewhere(kubernetes).await?,
        None => Vec::new(),
    };
    Ok(Found { definition: maker(definition.as_ref()), namespace: maker(namespace.as_ref()), elsewhere })
}

/// The CognigyDeployments that are not in the demo's namespace, as `namespace/name`.
pub async fn elsewhere(kubernetes: &Client) -> Result<Vec<String>, Error> {
    // Read without types, because another version of the CRD may have other fields.
    let resource = ApiResource::erase::<CognigyDeployment>(&());
    let resources: Api<DynamicObject> = Api::all_with(kubernetes.clone(), &resource);
    let listed = match resources.list(&ListParams::default()).await {
        // The CRD is being deleted, or has no such version.
        Err(kube::Error::Api(answer)) if answer.code == 404 => Vec::new(),
        answer => answer.trying("list the CognigyDeployments")?.items,
    };
    let others = listed.iter().filter(|object| object.namespace().as_deref() != Some(NAMESPACE));
    Ok(others.map(|object| format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())).collect())
}

/// Decides whether the demo may begin, and what it must remove first. The error says why it may not begin and what to do; it
/// completes the sentence "the demo does not use this cluster: ...".
pub fn judge(found: &Found, kubectl: &str) -> Result<Leftovers, String> {
    const OTHERWISE: &str = "name another cluster with --kubeconfig and --context, or leave both out: then the demo starts an \
                             API server of its own";
    let crd = CognigyDeployment::crd_name();
    if !found.elsewhere.is_empty() {
        let more = found.elsewhere.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let named = found.elsewhere.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "it has CognigyDeployments that are not the demo's ({named}{more}), and the demo must not get in their way; {OTHERWISE}"
        ));
    }
    if found.definition == Maker::SomebodyElse {
        return Err(format!(
            "it has the CRD {crd}, which the demo did not install. An operator may run there, and would act on the demo's \
             resources. If none does, remove the CRD (`{kubectl} delete crd {crd}`) and try again; or {OTHERWISE}"
        ));
    }
    if found.namespace == Maker::SomebodyElse {
        return Err(format!("it has a namespace {NAMESPACE} that the demo did not make; {OTHERWISE}"));
    }
    match (found.definition, found.namespace) {
        (Maker::Nobody, Maker::Nobody) => Ok(Leftovers::None),
        _ => Ok(Leftovers::OfAnEarlierDemo),
    }
}

/// Who made an object, by its label.
pub fn maker(object: Option<&impl Resource>) -> Maker {
    let (label, demo) = MADE_BY;
    match object.map(|object| object.labels().get(label)) {
        None => Maker::Nobody,
        Some(Some(value)) if value == demo => Maker::Demo,
        Some(_) => Maker::SomebodyElse,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EMPTY: Found = Found { definition: Maker::Nobody, namespace: Maker::Nobody, elsewhere: Vec::new() };

    fn refusal(found: &Found) -> String {
        judge(found, "kubectl --kubeconfig mine").unwrap_err()
    }

    #[test]
    fn an_empty_cluster_has_nothing_to_remove() {
        assert_eq!(judge(&EMPTY, "kubectl"), Ok(Leftovers::None));
    }

    #[test]
    fn objects_of_a_killed_demo_are_removed_first() {
        for (definition, namespace) in
            [(Maker::Demo, Maker::Demo), (Maker::Demo, Maker::Nobody), (Maker::Nobody, Maker::Demo)]
        {
            let found = Found { definition, namespace, ..EMPTY };
            assert_eq!(judge(&found, "kubectl"), Ok(Leftovers::OfAnEarlierDemo));
        }
    }

    #[test]
    fn the_refusal_names_resources_of_somebody_else_even_if_the_demo_made_the_definition() {
        let elsewhere: Vec<String> = (1..=5).map(|number| format!("bots/bot-{number}")).collect();
        for definition in [Maker::Demo, Maker::SomebodyElse] {
            let refusal = refusal(&Found { definition, namespace: Maker::Demo, elsewhere: elsewhere.clone() });
            assert!(refusal.contains("(bots/bot-1, bots/bot-2, bots/bot-3 and 2 more)"), "{refusal}");
        }
        let one = refusal(&Found { definition: Maker::SomebodyElse, elsewhere: vec!["bots/only".to_owned()], ..EMPTY });
        assert!(one.contains("(bots/only)") && one.contains("--kubeconfig and --context"), "{one}");
    }

    #[test]
    fn a_definition_of_somebody_else_is_refused_with_the_command_that_removes_it() {
        let refusal = refusal(&Found { definition: Maker::SomebodyElse, ..EMPTY });
        let command = "kubectl --kubeconfig mine delete crd cognigydeployments.deploy.cognigy.ai";
        assert!(refusal.contains(command), "{refusal}");
    }

    #[test]
    fn a_namespace_of_somebody_else_is_refused() {
        let refusal = refusal(&Found { namespace: Maker::SomebodyElse, ..EMPTY });
        assert!(refusal.contains("a namespace cognigy-demo"), "{refusal}");
    }
}
