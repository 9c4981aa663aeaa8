//! Reading ChangeWindows and CognigyDecisions.

use crate::connection::Connection;
use crate::exit::Failure;
use api::{ChangeWindow, CognigyDecision};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// How many objects are read with one request.
const PAGE: u32 = 500;

/// The namespace in which the operator is installed, unless somebody chose another one.
pub const OPERATOR_NAMESPACE: &str = "cognigy-system";

/// A window, or the reason why it could not be read. Such a window applies to all deployments.
#[derive(Clone, Debug)]
pub struct ListedWindow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object, or the problem in words.
    pub window: Result<Box<ChangeWindow>, String>,
}

/// The change windows of a namespace, or of all.
///
/// # Errors
/// The request failed.
pub async fn windows(connection: &Connection, namespace: Option<&str>) -> Result<Vec<ListedWindow>, Failure> {
    let mut listed: Vec<ListedWindow> = list::<ChangeWindow>(connection, namespace)
        .await?
        .into_iter()
        .map(|object| ListedWindow {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            window: parse(object).map(Box::new),
        })
        .collect();
    listed.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(listed)
}

/// The change windows that may apply to the deployments of a namespace: its own, and those beside the operator. What the caller may
/// not read is in the notes.
///
/// # Errors
/// The caller may read neither, or a request failed.
pub async fn windows_for(
    connection: &Connection,
    namespace: &str,
    operator_namespace: &str,
) -> Result<(Vec<ListedWindow>, Vec<String>), Failure> {
    let mut all = Vec::new();
    let mut notes = Vec::new();
    let mut forbidden = None;
    let mut is_any_read = false;
    for there in [Some(operator_namespace).filter(|other| *other != namespace), Some(namespace)].into_iter().flatten() {
        match windows(connection, Some(there)).await {
            Ok(listed) => {
                is_any_read = true;
                all.extend(listed);
            }
            Err(Failure::Forbidden(message)) => {
                notes.push(format!(
                    "you may not list the change windows of the namespace {there}: whether one of them holds rollouts back is not known \
                     here; the message of a rollout that waits names it"
                ));
                forbidden = Some(Failure::Forbidden(message));
            }
            Err(failure) => return Err(failure),
        }
    }
    match forbidden {
        Some(failure) if !is_any_read => Err(failure),
        _ => Ok((all, notes)),
    }
}

/// The decisions of a namespace. Those that cannot be read count for nobody.
///
/// # Errors
/// The request failed.
pub async fn decisions(connection: &Connection, namespace: &str) -> Result<Vec<CognigyDecision>, Failure> {
    let listed = list::<CognigyDecision>(connection, Some(namespace)).await?;
    Ok(listed.into_iter().filter_map(|object| parse(object).ok()).collect())
}

async fn list<K: Resource<DynamicType = ()>>(
    connection: &Connection,
    namespace: Option<&str>,
) -> Result<Vec<DynamicObject>, Failure> {
    let kind = ApiResource::erase::<K>(&());
    let client = connection.client.clone();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let mut parameters = ListParams::default().limit(PAGE);
    let mut listed = Vec::new();
    loop {
        let page = match api.list(&parameters).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Err(Failure::NotFound(format!(
                    "this cluster has no {}s: an administrator must apply the CRDs of this version of the operator (docs/install.md)",
                    K::kind(&())
                )));
            }
            Err(error) => {
                let place =
                    namespace.map_or_else(|| "all namespaces".to_owned(), |name| format!("the namespace {name}"));
                return Err(Failure::of_request(&format!("list {} in {place}", K::plural(&())), error));
            }
        };
        listed.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(listed),
        }
    }
}

fn parse<K: DeserializeOwned>(object: DynamicObject) -> Result<K, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}
