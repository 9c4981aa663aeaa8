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
];

/// Checks the caller's rights in the namespace: one line for what they can do, one for what they cannot.
pub async fn checks(connection: &Connection) -> Vec<Check> {
    let name = "your rights";
    let reviews: Api<SelfSubjectAccessReview> = Api::all(connection.client.clone());
    let mut missing: Vec<&Right> = Vec::new();
    for right in RIGHTS {
        let attributes = ResourceAttributes {
            group: Some(right.group.to_owned()),
            resource: Some(right.resource.to_owned()),
            verb: Some(right.verb.to_owned()),
            namespace: Some(connection.namespace.clone()),
            ..Default::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        match reviews.create(&PostParams::default(), &review).await {
            Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) => missing.push(right),
            Err(_) => return vec![Check::unknown(name, "the API server does not say what you may do")],
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
