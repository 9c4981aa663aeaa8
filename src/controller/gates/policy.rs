//! Checks that the admission policy is in force which proves who has made a decision.
//!
//! The operator tries, as a dry run, to create a decision under another user's name. Only if the policy refuses it, names in
//! decisions are proven. Reading the policy would not be enough: its binding may leave out a namespace, and its expressions may
//! have been changed.
//!
//! A decision that was created while the policy was not in force stays unproven, also if the policy is installed later: whoever
//! forged it would only have to wait. So each new decision causes a check, and its status records the result.

use super::super::cause::refusal;
use super::super::error::{Error, call};
use api::decision::{CognigyDecisionSpec, Verb};
use api::{CognigyDecision, CognigyDeploymentSpec, Digest, PlanId};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::core::Status;
use parking_lot::Mutex;
use rollout::gates::Proof;
use std::collections::HashMap;
use std::time::Duration;

/// How long the result of a check is used for decisions that were checked before, if the policy is in force.
const IN_FORCE_FOR: Duration = Duration::from_secs(600);
/// The same if it is not.
const CHECK_AGAIN: Duration = Duration::from_secs(60);
/// The same if the check failed: the API server may answer again in a moment.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// How many namespaces are remembered. Only those with decisions are checked.
const MAX_NAMESPACES: usize = 4096;

/// The user under whose name the operator tries to decide. Kubernetes reserves the prefix `system:` for itself.
const NOBODY: &str = "system:cognigy-operator:policy-check";

/// The beginning of the policy's message about a decision under another user's name. Another admission policy may refuse the dry
/// run for another reason, which proves nothing.
const REFUSED_BY_THE_POLICY: &str = "spec.by must be";

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PolicyState {
    /// The API server refuses a decision under another user's name.
    InForce,
    /// The API server accepts it. The text says what to do.
    NotInForce(String),
    /// The check failed. The text says why.
    Unknown(String),
}

impl PolicyState {
    /// Whether names in decisions are proven.
    fn proof(&self) -> Proof {
        match self {
            Self::InForce => Proof::Given,
            Self::NotInForce(why) | Self::Unknown(why) => Proof::Missing(why.clone()),
        }
    }

    /// Whether names in decisions that were created before the check are proven. `None` if this is not known.
    pub(super) fn is_verified(&self) -> Option<bool> {
        match self {
            Self::InForce => Some(true),
            Self::NotInForce(_) => Some(false),
            Self::Unknown(_) => None,
        }
    }
}

/// The last result for each namespace.
#[derive(Default)]
pub(super) struct PolicyChecks {
    checked: Mutex<HashMap<String, Checked>>,
}

struct Checked {
    state: PolicyState,
    at: Duration,
}

impl PolicyChecks {
    /// Whether the policy must be checked in a namespace now. A new decision needs a check of its own, unless one has just failed.
    pub(super) fn is_due(&self, namespace: &str, has_new: bool, uptime: Duration) -> bool {
        let checked = self.checked.lock();
        let Some(known) = checked.get(namespace) else { return true };
        let age = uptime.saturating_sub(known.at);
        match known.state {
            PolicyState::InForce => has_new || age >= IN_FORCE_FOR,
            PolicyState::NotInForce(_) => has_new || age >= CHECK_AGAIN,
            PolicyState::Unknown(_) => age >= UNKNOWN_FOR,
        }
    }

    /// How long to wait for the next check in a namespace, if the last one did not show that the policy is in force.
    pub(super) fn checked_again_in(&self, namespace: &str) -> Duration {
        match self.checked.lock().get(namespace).map(|known| &known.state) {
            Some(PolicyState::Unknown(_)) => UNKNOWN_FOR,
            Some(PolicyState::InForce | PolicyState::NotInForce(_)) | None => CHECK_AGAIN,
        }
    }

    /// The last result for a namespace, whenever it was.
    pub(super) fn last(&self, namespace: &str) -> Option<Proof> {
        self.checked.lock().get(namespace).map(|known| known.state.proof())
    }

    /// Checks the policy in a namespace.
    pub(super) async fn check(
        &self,
        client: &kube::Client,
        namespace: &str,
        spec: &CognigyDeploymentSpec,
        uptime: Duration,
    ) -> PolicyState {
        let state = check(client, namespace, spec).await;
        if let PolicyState::NotInForce(why) | PolicyState::Unknown(why) = &state {
            tracing::warn!(namespace, why, "decisions in this namespace do not count");
        }
        let mut checked = self.checked.lock();
        if checked.len() >= MAX_NAMESPACES {
            checked.clear();
        }
        checked.insert(namespace.to_owned(), Checked { state: state.clone(), at: uptime });
        state
    }
}

async fn check(client: &kube::Client, namespace: &str, spec: &CognigyDeploymentSpec) -> PolicyState {
    let decisions: Api<CognigyDecision> = Api::namespaced(client.clone(), namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match call("check the admission policy", decisions.create(&dry_run, &forged(spec))).await {
        Ok(_) => PolicyState::NotInForce(format!(
            "the admission policy decisions.deploy.cognigy.ai is not in force in the namespace {namespace}, so anybody could have \
             written them; install it (docs/security.md), then decide again"
        )),
        Err(Error::ApiServer { source, .. }) => match &*source {
            kube::Error::Api(status) => refused(status, namespace),
            _ => PolicyState::Unknown(
                "the admission policy could not be checked, because the API server failed".to_owned(),
            ),
        },
        Err(error) => PolicyState::Unknown(format!("the admission policy could not be checked: {error}")),
    }
}

/// A decision under another user's name.
fn forged(spec: &CognigyDeploymentSpec) -> CognigyDecision {
    let nothing = Digest::of_checks(spec);
    CognigyDecision {
        metadata: ObjectMeta { generate_name: Some("policy-check-".to_owned()), ..ObjectMeta::default() },
        spec: CognigyDecisionSpec {
            deployment: "policy-check".to_owned(),
            environment_id: spec.environment_id.clone(),
            plan_id: PlanId::of(&nothing, &nothing, None),
            verb: Verb::Approve,
            by: NOBODY.to_owned(),
            reason: "dry run of cognigy-operator: is a decision under another user's name refused?".to_owned(),
            expires_at: None,
        },
        status: None,
    }
}

/// The meaning of the API server's refusal.
fn refused(status: &Status, namespace: &str) -> PolicyState {
    let message = &status.message;
    // The words of a validating admission policy, and of an admission webhook.
    let is_by_admission = message.contains("denied request") || message.contains("denied the request");
    if is_by_admission && message.contains(REFUSED_BY_THE_POLICY) {
        return PolicyState::InForce;
    }
    if is_by_admission {
        return PolicyState::Unknown(format!(
            "another admission policy refuses the dry run with which the operator checks decisions.deploy.cognigy.ai; exempt the \
             operator's service account from it: {}",
            refusal(status)
        ));
    }
    if status.code == 403 && message.contains(" cannot create resource ") {
        return PolicyState::Unknown(format!(
            "the operator may not check the admission policy: it needs the right to create cognigydecisions in the namespace \
             {namespace}, which it uses for dry runs only"
        ));
    }
    PolicyState::Unknown(format!("the admission policy could not be checked: {}", refusal(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_verified(code: u16, message: &str) -> Option<bool> {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        refused(&status, "bots").is_verified()
    }

    #[test]
    fn only_the_refusal_of_the_name_proves_names() {
        let policy = "cognigydecisions.deploy.cognigy.ai \"policy-check-x\" is forbidden: ValidatingAdmissionPolicy \
                      'decisions.deploy.cognigy.ai' with binding 'decisions.deploy.cognigy.ai' denied request:";
        let by = format!("{policy} spec.by must be operator, the user who creates the decision, but it is {NOBODY}");
        assert_eq!(is_verified(422, &by), Some(true));
        let webhook = "admission webhook \"decisions.example.com\" denied the request: spec.by must be operator";
        assert_eq!(is_verified(403, webhook), Some(true));
        for (code, message) in [
            (403, format!("{policy} operator may not approve for the environment env_prod in the namespace bots")),
            (422, format!("{policy} expression 'object.spec.by' resulted in error: no such key: by")),
            (403, "admission webhook \"labels.example.com\" denied the request: a label is missing".to_owned()),
            (
                403,
                "cognigydecisions.deploy.cognigy.ai is forbidden: User \"spec.by must be\" cannot create resource"
                    .to_owned(),
            ),
            (403, "unable to create new content in namespace bots because it is being terminated".to_owned()),
            (400, "admission webhook \"x\" does not support dry run".to_owned()),
            (500, "etcdserver: request timed out".to_owned()),
        ] {
            assert_eq!(is_verified(code, &message), None, "{message}");
        }
    }

    #[test]
    fn a_new_decision_is_checked_at_once_unless_a_check_has_just_failed() {
        let policy = PolicyChecks::default();
        assert!(policy.is_due("bots", false, Duration::ZERO));
        let at = Duration::from_secs(1000);
        for (state, checks_new, again) in [
            (PolicyState::InForce, true, IN_FORCE_FOR),
            (PolicyState::NotInForce(String::new()), true, CHECK_AGAIN),
            (PolicyState::Unknown(String::new()), false, UNKNOWN_FOR),
        ] {
            policy.checked.lock().insert("bots".to_owned(), Checked { state: state.clone(), at });
            assert_eq!(policy.is_due("bots", true, at), checks_new, "{state:?}");
            assert!(!policy.is_due("bots", false, at + again - Duration::from_millis(1)), "{state:?}");
            assert!(policy.is_due("bots", false, at + again), "{state:?}");
        }
    }
}
