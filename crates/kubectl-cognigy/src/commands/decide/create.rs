//! Creating a decision, and what the API server and the operator say about it.

use super::Draft;
use crate::connection::Connection;
use crate::exit::Failure;
use api::CognigyDecision;
use api::decision::DecisionState;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use kube::core::Status;
use std::time::Duration;

/// How long the operator may take until it says that a decision does not count.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time between two looks at a decision.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The caller's name, as the API server knows it.
///
/// # Errors
/// The API server does not say it.
pub async fn username(connection: &Connection) -> Result<String, Failure> {
    let reviews: Api<SelfSubjectReview> = Api::all(connection.client.clone());
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .map_err(|error| Failure::of_request("ask the API server who you are", error))?;
    let name = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
    name.ok_or_else(|| {
        Failure::Refused(
            "the API server does not say who you are; a decision needs the name of whoever decides".to_owned(),
        )
    })
}

/// Creates the decision.
///
/// # Errors
/// The API server refuses it. The message says which right or object is missing.
pub async fn create(draft: &Draft, is_dry_run: bool, connection: &Connection) -> Result<CognigyDecision, Failure> {
    let decisions: Api<CognigyDecision> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let parameters =
        PostParams { dry_run: is_dry_run, field_manager: Some(super::super::act::FIELD_MANAGER.to_owned()) };
    decisions.create(&parameters, &draft.object()).await.map_err(|error| match error {
        kube::Error::Api(status) => refused(&status, draft, &connection.namespace),
        error => Failure::of_request("create a cognigydecision", error),
    })
}

/// What a refusal of the API server means.
fn refused(status: &Status, draft: &Draft, namespace: &str) -> Failure {
    let message = &status.message;
    let verb = draft.verb.as_str().to_ascii_lowercase();
    // The words of a validating admission policy, and of an admission webhook.
    if message.contains("denied request") || message.contains("denied the request") {
        // The policy of the operator names the missing right itself. Another policy, or an older one, may not.
        let is_explained = message.contains("spec.by must be") || message.contains("resourceNames");
        let right = match is_explained {
            true => String::new(),
            false => format!(
                ". To {verb} here, {} needs a Role and a RoleBinding in the namespace {namespace} with apiGroups \
                 [deploy.cognigy.ai], resources [environments], resourceNames [{}], verbs [{verb}]",
                draft.by, draft.environment_id
            ),
        };
        return Failure::Forbidden(format!("the API server refuses the decision: {message}{right}"));
    }
    match status.code {
        // The API server names the kind if it knows it, for example if the namespace is missing.
        404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => Failure::NotFound(
            "this cluster has no CognigyDecisions: an administrator must apply the CRDs of this version of the operator \
             (docs/install.md)"
                .to_owned(),
        ),
        403 => Failure::Forbidden(format!(
            "you may not create decisions in the namespace {namespace}: {message}. It needs a RoleBinding there to the ClusterRole \
             cognigydeployments-approve, or a Role with apiGroups [deploy.cognigy.ai], resources [cognigydecisions], verbs [create]"
        )),
        _ => Failure::of_request("create a cognigydecision", kube::Error::Api(Box::new(status.clone()))),
    }
}

/// Why the operator does not count the decision, if it says so within a moment. A decision that counts may wait for a long time.
pub async fn ignored(created: &CognigyDecision, connection: &Connection) -> Option<String> {
    let decisions: Api<CognigyDecision> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let look = async {
        loop {
            // Without the right to read it, or if somebody has deleted it, nothing is said.
            let status = decisions.get(&created.name_any()).await.ok()?.status;
            match status {
                Some(status) if status.state == DecisionState::Ignored => return Some(status.message),
                Some(_) => return None,
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.ok().flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use api::EnvironmentId;
    use api::decision::Verb;

    fn draft() -> Draft {
        Draft {
            namespace: None,
            deployment: "bot".to_owned(),
            environment_id: EnvironmentId::new("env_1"),
            plan_id: "plan-7a2934b468d32a1c".parse().unwrap(),
            verb: Verb::Override,
            by: "anna".to_owned(),
            reason: "r".to_owned(),
            expires_at: None,
        }
    }

    #[test]
    fn a_refusal_names_the_right_that_is_missing() {
        let of = |code: u16, message: &str| {
            refused(&Status::failure(message, "no").with_code(code), &draft(), "bots").to_string()
        };
        let policy =
            of(422, "cognigydecisions is forbidden: ValidatingAdmissionPolicy 'd' with binding 'd' denied request: no");
        assert!(policy.contains("denied request: no"), "{policy}");
        assert!(policy.contains("resources [environments], resourceNames [env_1], verbs [override]"), "{policy}");
        let own = of(422, "denied request: spec.by must be anna, the user who creates the decision, but it is bert");
        assert!(!own.contains("resourceNames"), "{own}");
        let rights = of(403, "User \"anna\" cannot create resource");
        assert!(rights.contains("resources [cognigydecisions], verbs [create]"), "{rights}");
        assert!(of(404, "the server could not find the requested resource").contains("has no CognigyDecisions"));
        let mut no_namespace = Status::failure("namespaces \"bots\" not found", "NotFound").with_code(404);
        no_namespace.details = serde_json::from_str(r#"{"name": "bots"}"#).unwrap();
        let no_namespace = refused(&no_namespace, &draft(), "bots").to_string();
        assert!(no_namespace.contains("namespaces \"bots\" not found"), "{no_namespace}");
        assert!(of(422, "spec.reason: Invalid value").contains("spec.reason"));
    }
}
