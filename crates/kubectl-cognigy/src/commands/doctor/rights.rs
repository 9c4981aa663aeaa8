//! What the caller may do.

use super::check::Check;
use crate::connection::Connection;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

/// A right, and the commands that need it.
struct Right {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    commands: &'static str,
    is_to_read: bool,
}

const fn right(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    commands: &'static str,
    is_to_read: bool,
) -> Right {
    Right { group, resource, verb, commands, is_to_read }
}

const GROUP: &str = "deploy.cognigy.ai";

const RIGHTS: &[Right] = &[
    right(GROUP, "cognigydeployments", "get", "status, explain, history, plan", true),
    right(GROUP, "cognigydeployments", "list", "list, wait, status --watch", true),
    right(GROUP, "cognigydeployments", "watch", "wait, status --watch", true),
    right("events.k8s.io", "events", "list", "events", true),
    right(GROUP, "cognigydeployments", "patch", "retry, rollback, suspend, resume, apply", false),
    right(GROUP, "cognigydeployments", "create", "apply of a new deployment", false),
    right(GROUP, "cognigydecisions", "create", "approve, reject, override", false),
    right(GROUP, "changewindows", "list", "windows", true),
];

/// Checks the caller's rights in the namespace: one line for what they can do, one for what they cannot.
pub async fn checks(connection: &Connection) -> Vec<Check> {
    let name = "your rights";
    let mut missing: Vec<&Right> = Vec::new();
    for right in RIGHTS {
        match is_allowed_in(right.group, right.verb, right.resource, connection).await {
            Some(true) => {}
            Some(false) => missing.push(right),
            None => return vec![Check::unknown(name, "the API server does not say what you may do")],
        }
    }
    let namespace = &connection.namespace;
    if missing.is_empty() {
        return vec![Check::good(name, format!("you may use every command in the namespace {namespace}"))];
    }
    let describe = |right: &&Right| format!("{} {} (for {})", right.verb, right.resource, right.commands);
    let (to_read, to_write): (Vec<&Right>, Vec<&Right>) = missing.into_iter().partition(|right| right.is_to_read);
    let list = |rights: &[&Right]| rights.iter().map(describe).collect::<Vec<_>>().join(", ");
    let mut checks = Vec::new();
    if !to_read.is_empty() {
        checks.push(Check::warning(
            name,
            format!("in the namespace {namespace} you may not {}", list(&to_read)),
            "ask for the ClusterRole `view` in this namespace",
        ));
    }
    if !to_write.is_empty() {
        let detail = format!("you may read, but not {}", list(&to_write));
        checks.push(match to_read.is_empty() {
            true => Check::good(name, format!("in the namespace {namespace} {detail}")),
            false => Check::unknown(name, format!("you may also not {}", list(&to_write))),
        });
    }
    checks
}

/// Whether the caller has a right to resources of the operator in the namespace. `None` if the API server does not say it.
pub async fn is_allowed(verb: &str, resource: &str, connection: &Connection) -> Option<bool> {
    is_allowed_in(GROUP, verb, resource, connection).await
}

async fn is_allowed_in(group: &str, verb: &str, resource: &str, connection: &Connection) -> Option<bool> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(connection.client.clone());
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        verb: Some(verb.to_owned()),
        namespace: Some(connection.namespace.clone()),
        ..Default::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let answer = reviews.create(&PostParams::default(), &review).await.ok()?;
    answer.status.map(|status| status.allowed)
}
