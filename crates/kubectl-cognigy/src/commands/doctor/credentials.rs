//! The Secrets of deployments, and whether the operator may reach the URLs in them.

use super::check::Check;
use super::operator::Operator;
use crate::commands::deployments::Listed;
use crate::connection::Connection;
use crate::exit::causes;
use cognigy_deployments::REQUIRED_SECRET_KEYS;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::Api;
use std::collections::BTreeMap;

use platform::{EgressPolicy, EgressRule, parse_url};

/// The keys of a Secret that hold URLs.
const URL_KEYS: [&str; 2] = ["baseUrl", "tokenUrl"];

/// How many Secrets are read. Each is one request.
const MOST_SECRETS: usize = 50;

/// Checks each Secret once, but only the first ones of many. Its values are read only if the caller may read Secrets, and never
/// shown.
pub async fn checks(listed: &[Listed], operator: &Operator, connection: &Connection) -> Vec<Check> {
    let policy = policy(operator);
    let mut owners: BTreeMap<Option<&str>, Vec<String>> = BTreeMap::new();
    for deployment in listed.iter().filter_map(|listed| listed.deployment.as_ref().ok()) {
        let secret = deployment.spec.credentials_ref.as_ref().map(|reference| reference.name.as_str());
        owners.entry(secret).or_default().push(deployment.name_any());
    }
    let mut checks = Vec::new();
    let others = owners.len().saturating_sub(MOST_SECRETS);
    for (secret, owners) in owners.into_iter().take(MOST_SECRETS) {
        checks.extend(of_secret(secret, &few(&owners), &policy, connection).await);
    }
    if others > 0 {
        let detail = format!("{others} more Secrets are not checked; name a deployment to check its Secret");
        checks.push(Check::unknown("Secret", detail));
    }
    checks
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.len() {
        0..=SHOWN => names.join(", "),
        count => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
    }
}

/// The operator's egress rules, if they can be read.
struct Policy {
    rules: EgressPolicy,
    is_known: bool,
}

fn policy(operator: &Operator) -> Policy {
    let flags = operator.flag("--egress-allow");
    let is_known = flags.is_some();
    let listed = flags.unwrap_or_default();
    let rules: Vec<EgressRule> =
        listed.iter().flat_map(|flag| flag.split(',')).filter_map(|rule| rule.parse().ok()).collect();
    Policy { rules: EgressPolicy::new(rules), is_known }
}

async fn of_secret(secret: Option<&str>, owner: &str, policy: &Policy, connection: &Connection) -> Vec<Check> {
    let name = "Secret";
    let namespace = &connection.namespace;
    let Some(secret_name) = secret else {
        return vec![Check::good(name, format!("none named by {owner}: the operator's own credentials are used"))];
    };
    let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), namespace);
    let place = format!("{namespace}/{secret_name}");
    let secret = match secrets.get(secret_name).await {
        Ok(secret) => secret,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let keys: Vec<String> = REQUIRED_SECRET_KEYS.iter().map(|key| format!("--from-literal={key}=…")).collect();
            return vec![Check::problem(
                name,
                format!("{place} of {owner} does not exist"),
                format!("kubectl -n {namespace} create secret generic {secret_name} {}", keys.join(" ")),
            )];
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return vec![Check::unknown(name, format!("{place} of {owner} is not checked: you may not read Secrets"))];
        }
        Err(error) => {
            return vec![Check::unknown(name, format!("{place} of {owner} is not checked: {}", causes(&error)))];
        }
    };
    let has = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).is_some_and(|value| !value.0.is_empty());
    let missing: Vec<&str> = REQUIRED_SECRET_KEYS.iter().copied().filter(|key| !has(key)).collect();
    let mut checks = vec![match missing.is_empty() {
        true => Check::good(name, format!("{place} of {owner} has its keys")),
        false => Check::problem(
            name,
            format!("{place} of {owner} lacks {}", missing.join(" and ")),
            format!("kubectl -n {namespace} edit secret {secret_name}"),
        ),
    }];
    checks.extend(URL_KEYS.iter().filter_map(|key| url(&secret, key, &place, policy)));
    checks
}

/// Whether the operator may send requests to the URL in a key.
fn url(secret: &Secret, key: &str, place: &str, policy: &Policy) -> Option<Check> {
    let name = "egress";
    let value = secret.data.as_ref()?.get(key)?;
    let text = std::str::from_utf8(&value.0).ok()?.trim();
    let url = match parse_url(text) {
        Ok(url) => url,
        Err(error) => {
            let detail = format!("{key} in {place}: {error}");
            return Some(Check::problem(name, detail, "write a URL such as https://api.cognigy.example.com"));
        }
    };
    let source = if policy.is_known { "" } else { " (by the default rules: the operator's own flags cannot be read)" };
    Some(match policy.rules.check(&url) {
        Ok(()) => Check::good(name, format!("{key} in {place} is allowed{source}")),
        Err(refusal) if policy.is_known => Check::problem(
            name,
            format!("{key} in {place}: {refusal}"),
            "use another URL, or ask the platform team for --egress-allow (docs/security.md#where-requests-may-go)",
        ),
        Err(refusal) => Check::warning(
            name,
            format!("{key} in {place}: {refusal}{source}"),
            "the operator may have been started with --egress-allow for it; ask the platform team",
        ),
    })
}
