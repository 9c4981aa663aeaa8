//! The API server, its clock, and the CRDs.

use super::check::Check;
use crate::connection::Connection;
use crate::exit::{Failure, causes};
use crate::output::short_duration;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::Api;
use kube::client::Body;
use serde_json::Value;

/// A clock that is wrong by more than this makes the times in messages misleading.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// Checks the API server, the clock and the CRDs.
///
/// # Errors
/// The API server does not answer.
pub async fn checks(connection: &Connection) -> Result<Vec<Check>, Failure> {
    let version = connection
        .client
        .apiserver_version()
        .await
        .map_err(|error| Failure::of_request("reach the API server", error))?;
    let mut checks = vec![Check::good("API server", format!("answers; Kubernetes {}", version.git_version))];
    checks.push(clock(connection).await);
    checks.extend(definitions(connection).await);
    Ok(checks)
}

/// Compares the clock of this machine with that of the API server, by the header `Date` of an answer.
async fn clock(connection: &Connection) -> Check {
    let name = "clock";
    let Ok(request) = http::Request::get("/version").body(Body::empty()) else {
        return Check::unknown(name, "the request could not be built");
    };
    let before = Timestamp::now();
    let answer = match connection.client.send(request).await {
        Ok(answer) => answer,
        Err(error) => return Check::unknown(name, format!("not checked: {}", causes(&error))),
    };
    let after = Timestamp::now();
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) else {
        return Check::unknown(name, "the API server does not say what time it is");
    };
    // The header has whole seconds, and was written between the request and the answer.
    let skew = match (before.duration_since(theirs), after.duration_since(theirs)) {
        (early, _) if early > SignedDuration::from_secs(1) => early,
        (_, late) if late < SignedDuration::ZERO => late,
        _ => SignedDuration::ZERO,
    };
    match skew.abs() > SKEW {
        false => Check::good(name, "this machine and the API server agree"),
        true => Check::warning(
            name,
            format!(
                "this machine is {} {} the API server",
                short_duration(skew.abs()),
                if skew.is_positive() { "ahead of" } else { "behind" }
            ),
            "set the clock of this machine: ages and deadlines that the plugin shows are wrong by as much",
        ),
    }
}

/// Compares the installed CRDs with those of the plugin.
async fn definitions(connection: &Connection) -> Vec<Check> {
    let mut checks = Vec::new();
    for mine in api::crd::definitions() {
        checks.push(definition(&mine, connection).await);
    }
    // Whoever may not read one may read none.
    checks.dedup_by(|later, earlier| later.detail == earlier.detail);
    checks
}

async fn definition(mine: &CustomResourceDefinition, connection: &Connection) -> Check {
    let name = "CRD";
    let crd = mine.name_any();
    let definitions: Api<CustomResourceDefinition> = Api::all(connection.client.clone());
    let installed = match definitions.get(&crd).await {
        Ok(installed) => installed,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let what_to_do = "apply the CRDs of this version: docs/install.md";
            return Check::problem(name, format!("{crd} is not installed"), what_to_do).about_operator();
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Check::unknown(name, "you may not read CustomResourceDefinitions, so their version is not checked");
        }
        Err(error) => return Check::unknown(name, format!("not checked: {}", causes(&error))),
    };
    let schema = |definition: &CustomResourceDefinition| -> Option<Value> {
        let versions = serde_json::to_value(&definition.spec.versions).ok()?;
        let version = versions.as_array()?.iter().find(|version| version["name"] == "v1alpha1")?.clone();
        Some(version["schema"].clone())
    };
    match schema(&installed) == schema(mine) {
        true => Check::good(name, format!("{crd} is installed, in the plugin's version")),
        false => Check::warning(
            name,
            format!("{crd} is installed, but in another version than the plugin's"),
            "use the plugin of the operator's version, or upgrade the CRD: fields that only one of them knows are not shown",
        ),
    }
}
