//! Whether the API server proves who has made a decision.

use super::check::Check;
use super::rights;
use crate::connection::Connection;
use crate::exit::causes;
use api::decision::{CognigyDecisionSpec, Verb};
use api::{CognigyDecision, EnvironmentId, PlanId};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::core::Status;

const NAME: &str = "decisions";

/// The user under whose name the doctor tries to decide. Kubernetes reserves the prefix `system:` for itself.
const NOBODY: &str = "system:cognigy-operator:policy-check";

/// The beginning of the policy's message about a decision under another user's name. Another policy may refuse for another reason.
const REFUSED_BY_THE_POLICY: &str = "spec.by must be";

/// Tries, as a dry run, to create a decision under another user's name, as the operator does. Only if the policy refuses it, names in
/// decisions are proven. Without the right to create decisions, nothing can be said.
pub async fn check(connection: &Connection) -> Check {
    let namespace = &connection.namespace;
    if !rights::is_allowed("create", "cognigydecisions", connection).await.unwrap_or_default() {
        return Check::unknown(
            NAME,
            format!(
                "you may not create decisions in the namespace {namespace}, so it is not checked whether names in them are proven"
            ),
        );
    }
    let Ok(plan_id) = "plan-0000000000000000".parse::<PlanId>() else {
        return Check::unknown(NAME, "the request could not be built");
    };
    let forged = CognigyDecision {
        metadata: ObjectMeta { generate_name: Some("policy-check-".to_owned()), ..ObjectMeta::default() },
        spec: CognigyDecisionSpec {
            deployment: "policy-check".to_owned(),
            environment_id: EnvironmentId::new("policy-check"),
            plan_id,
            verb: Verb::Approve,
            by: NOBODY.to_owned(),
            reason: "dry run of kubectl cognigy doctor: is a decision under another user's name refused?".to_owned(),
            expires_at: None,
        },
        status: None,
    };
    let decisions: Api<CognigyDecision> = Api::namespaced(connection.client.clone(), namespace);
    match decisions.create(&PostParams { dry_run: true, ..PostParams::default() }, &forged).await {
        Ok(_) => Check::problem(
            NAME,
            format!(
                "in the namespace {namespace}, anybody who may create decisions may decide under any name: the operator counts none"
            ),
            "install the admission policy decisions.deploy.cognigy.ai: docs/gates.md",
        ),
        Err(kube::Error::Api(status)) => refused(&status, namespace),
        Err(error) => Check::unknown(NAME, format!("not checked: {}", causes(&error))),
    }
}

fn refused(status: &Status, namespace: &str) -> Check {
    let message = &status.message;
    // The words of a validating admission policy, and of an admission webhook.
    let is_by_admission = message.contains("denied request") || message.contains("denied the request");
    if is_by_admission && message.contains(REFUSED_BY_THE_POLICY) {
        return Check::good(NAME, format!("the API server proves who decides in the namespace {namespace}"));
    }
    if status.code == 404 {
        return Check::problem(
            NAME,
            "this cluster has no CognigyDecisions",
            "apply the CRDs of this version: docs/install.md",
        );
    }
    Check::unknown(NAME, format!("not checked: the API server refuses the dry run for another reason: {message}"))
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn only_the_refusal_of_the_policy_itself_is_a_proof() {
        let of = |code: u16, message: &str| refused(&Status::failure(message, "no").with_code(code), "bots").verdict;
        let policy =
            "ValidatingAdmissionPolicy 'd' with binding 'd' denied request: spec.by must be anna, but it is system:x";
        assert_eq!(of(422, policy), Verdict::Good);
        assert_eq!(of(403, "admission webhook \"w\" denied the request: no label team"), Verdict::Unknown);
        assert_eq!(of(403, "cannot create resource"), Verdict::Unknown);
        assert_eq!(of(404, "the server could not find the requested resource"), Verdict::Problem);
    }
}
