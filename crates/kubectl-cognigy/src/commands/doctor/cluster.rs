//! The API server, its clock, and the CRD.

use super::check::Check;
use crate::connection::Connection;
use crate::exit::{Failure, causes};
use crate::output::short_duration;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::client::Body;
use serde_json::Value;

/// A clock that is wrong by more than this makes the times in messages misleading.
const SKEW: SignedDuration = SignedDuration::from_secs(5);
const CRD: &str = "cognigydeployments.deploy.cognigy.ai";

/// Checks the API server, the clock and the CRD.
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
    checks.push(crd(connection).await);
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

async fn crd(connection: &Connection) -> Check {
    let name = "CRD";
    let definitions: Api<CustomResourceDefinition> = Api::all(connection.client.clone());
    let installed = match definitions.get(CRD).await {
        Ok(installed) => installed,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Check::problem(name, format!("{CRD} is not installed"), "install the operator: docs/install.md")
                .about_operator();
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Check::unknown(name, "you may not read CustomResourceDefinitions, so its version is not checked");
        }
        Err(error) => return Check::unknown(name, format!("not checked: {}", causes(&error))),
    };
    let schema = |definition: &CustomResourceDefinition| -> Option<Value> {
        let versions = serde_json::to_value(&definition.spec.versions).ok()?;
        let version = versions.as_array()?.iter().find(|version| version["name"] == "v1alpha1")?.clone();
        Some(version["schema"].clone())
    };
    let mine = api::crd::definition();
    match schema(&installed) == schema(&mine) {
        true => Check::good(name, format!("{CRD} is installed, in the plugin's version")),
        false => Check::warning(
            name,
            format!("{CRD} is installed, but in another version than the plugin's"),
            "use the plugin of the operator's version, or upgrade the CRD: fields that only one of them knows are not shown",
        ),
    }
}
