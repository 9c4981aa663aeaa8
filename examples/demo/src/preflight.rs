//! Decides whether the demo may use an existing cluster. It may not if it could disturb other users of the cluster.

use crate::error::{Error, Trying};
use crate::releases::NAMESPACE;
use api::{ChangeWindow, CognigyDecision, CognigyDeployment, crd};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource, ResourceExt};

/// The label of all objects that the demo creates. Only the demo sets it.
pub const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "cognigy-demo");

/// The maximum number of resources that a message names.
const NAMED: usize = 3;

/// Who made an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Maker {
    /// It does not exist.
    #[default]
    Nobody,
    /// A demo.
    Demo,
    /// Somebody else.
    SomebodyElse,
}

/// The objects that a cluster already has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The CRDs of the operator that exist.
    pub definitions: Vec<Definition>,
    /// The demo's namespace.
    pub namespace: Maker,
    /// The operator's resources in other namespaces, as `Kind namespace/name`.
    pub elsewhere: Vec<String>,
}

/// A CRD that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub maker: Maker,
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
    let existing: Api<CustomResourceDefinition> = Api::all(kubernetes.clone());
    let mut definitions = Vec::new();
    for name in crd::definitions().iter().map(ResourceExt::name_any) {
        let maker = maker(existing.get_opt(&name).await.trying("look for the CRDs")?.as_ref());
        if maker != Maker::Nobody {
            definitions.push(Definition { name, maker });
        }
    }
    let namespaces: Api<Namespace> = Api::all(kubernetes.clone());
    let namespace = namespaces.get_opt(NAMESPACE).await.trying("look for the demo's namespace")?;
    let elsewhere = elsewhere(kubernetes).await?;
    Ok(Found { definitions, namespace: maker(namespace.as_ref()), elsewhere })
}

/// The operator's resources that are not in the demo's namespace, as `Kind namespace/name`.
pub async fn elsewhere(kubernetes: &Client) -> Result<Vec<String>, Error> {
    let mut elsewhere = Vec::new();
    // Read without types, because another version of a CRD may have other fields.
    for resource in [
        ApiResource::erase::<CognigyDeployment>(&()),
        ApiResource::erase::<CognigyDecision>(&()),
        ApiResource::erase::<ChangeWindow>(&()),
    ] {
        let resources: Api<DynamicObject> = Api::all_with(kubernetes.clone(), &resource);
        let listed = match resources.list(&ListParams::default()).await {
            // The CRD is not there, is being deleted, or has no such version.
            Err(kube::Error::Api(answer)) if answer.code == 404 => Vec::new(),
            answer => answer.trying("list the operator's resources")?.items,
        };
        let others = listed.iter().filter(|object| object.namespace().as_deref() != Some(NAMESPACE));
        elsewhere.extend(others.map(|object| {
            format!("{} {}/{}", resource.kind, object.namespace().unwrap_or_default(), object.name_any())
        }));
    }
    Ok(elsewhere)
}

/// Decides whether the demo may begin, and what it must remove first. The error says why it may not begin and what to do; it
/// completes the sentence "the demo does not use this cluster: ...".
pub fn judge(found: &Found, kubectl: &str) -> Result<Leftovers, String> {
    const OTHERWISE: &str = "name another cluster with --kubeconfig and --context, or leave both out: then the demo starts an \
                             API server of its own";
    if !found.elsewhere.is_empty() {
        let more = found.elsewhere.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let named = found.elsewhere.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "it has resources of the operator that are not the demo's ({named}{more}), and the demo must not get in their way; \
             {OTHERWISE}"
        ));
    }
    let of_others = found.definitions.iter().filter(|definition| definition.maker == Maker::SomebodyElse);
    let of_others: Vec<&str> = of_others.map(|definition| definition.name.as_str()).collect();
    if !of_others.is_empty() {
        return Err(format!(
            "it has CRDs that the demo did not install: {}. An operator may run there, and would act on the demo's resources. If \
             none does, remove them (`{kubectl} delete crd {}`) and try again; or {OTHERWISE}",
            of_others.join(", "),
            of_others.join(" ")
        ));
    }
    if found.namespace == Maker::SomebodyElse {
        return Err(format!("it has a namespace {NAMESPACE} that the demo did not make; {OTHERWISE}"));
    }
    match (found.definitions.as_slice(), found.namespace) {
        ([], Maker::Nobody) => Ok(Leftovers::None),
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

    const DEPLOYMENTS: &str = "cognigydeployments.deploy.cognigy.ai";
    const WINDOWS: &str = "changewindows.deploy.cognigy.ai";

    fn definitions(definitions: &[(&str, Maker)]) -> Vec<Definition> {
        definitions.iter().map(|(name, maker)| Definition { name: (*name).to_owned(), maker: *maker }).collect()
    }

    fn refusal(found: &Found) -> String {
        judge(found, "kubectl --kubeconfig mine").unwrap_err()
    }

    #[test]
    fn an_empty_cluster_has_nothing_to_remove() {
        assert_eq!(judge(&Found::default(), "kubectl"), Ok(Leftovers::None));
    }

    #[test]
    fn objects_of_a_killed_demo_are_removed_first() {
        for (made, namespace) in [
            (&[(DEPLOYMENTS, Maker::Demo), (WINDOWS, Maker::Demo)][..], Maker::Demo),
            (&[(DEPLOYMENTS, Maker::Demo)], Maker::Nobody),
            (&[(WINDOWS, Maker::Demo)], Maker::Nobody),
            (&[], Maker::Demo),
        ] {
            let found = Found { definitions: definitions(made), namespace, ..Found::default() };
            assert_eq!(judge(&found, "kubectl"), Ok(Leftovers::OfAnEarlierDemo), "{found:?}");
        }
    }

    #[test]
    fn the_refusal_names_resources_of_somebody_else_even_if_the_demo_made_the_definition() {
        let elsewhere: Vec<String> = (1..=5).map(|number| format!("CognigyDeployment bots/bot-{number}")).collect();
        for maker in [Maker::Demo, Maker::SomebodyElse] {
            let definitions = definitions(&[(DEPLOYMENTS, maker)]);
            let refusal = refusal(&Found { definitions, namespace: Maker::Demo, elsewhere: elsewhere.clone() });
            let named =
                "(CognigyDeployment bots/bot-1, CognigyDeployment bots/bot-2, CognigyDeployment bots/bot-3 and 2 more)";
            assert!(refusal.contains(named), "{refusal}");
        }
        let one = Found {
            definitions: definitions(&[(WINDOWS, Maker::SomebodyElse)]),
            elsewhere: vec!["ChangeWindow ops/only".to_owned()],
            ..Found::default()
        };
        let one = refusal(&one);
        assert!(one.contains("(ChangeWindow ops/only)") && one.contains("--kubeconfig and --context"), "{one}");
    }

    #[test]
    fn definitions_of_somebody_else_are_refused_with_the_command_that_removes_only_them() {
        for (made, named) in [
            (&[(DEPLOYMENTS, Maker::SomebodyElse)][..], DEPLOYMENTS.to_owned()),
            (&[(DEPLOYMENTS, Maker::Demo), (WINDOWS, Maker::SomebodyElse)], WINDOWS.to_owned()),
            (&[(DEPLOYMENTS, Maker::SomebodyElse), (WINDOWS, Maker::SomebodyElse)], format!("{DEPLOYMENTS} {WINDOWS}")),
        ] {
            let refusal = refusal(&Found { definitions: definitions(made), ..Found::default() });
            let command = format!("`kubectl --kubeconfig mine delete crd {named}`");
            assert!(refusal.contains(&command), "{refusal}");
        }
    }

    #[test]
    fn a_namespace_of_somebody_else_is_refused() {
        let refusal = refusal(&Found { namespace: Maker::SomebodyElse, ..Found::default() });
        assert!(refusal.contains("a namespace cognigy-demo"), "{refusal}");
    }
}
