//! Checks that the admission policy is in force which proves who has made a decision.
//!
//! The operator tries, as a dry run, to create a decision under another user's name. Only if the API server refuses it, names in
//! decisions are proven. Reading the policy would not be enough: its binding may leave out a namespace, and its expressions may
//! have been changed.

use super::super::cause::refusal;
use super::super::error::{Error, call};
use api::decision::{CognigyDecisionSpec, Verb};
use api::{CognigyDecision, CognigyDeploymentSpec, Digest, PlanId};
use kube::api::{Api, ObjectMeta, PostParams};
use parking_lot::Mutex;
use rollout::gates::Proof;
use std::collections::HashMap;
use std::time::Duration;

/// How long the result of a check is used if the policy is in force.
const GIVEN_FOR: Duration = Duration::from_secs(600);
/// The same if it is not.
const MISSING_FOR: Duration = Duration::from_secs(60);
/// The same if the API server could not answer.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// How many namespaces are remembered. Only those with decisions are checked.
const MAX_NAMESPACES: usize = 4096;

/// The user under whose name the operator tries to decide. No user can have it: the API server reserves the prefix `system:`.
const NOBODY: &str = "system:cognigy-operator:policy-check";

/// The last result for each namespace.
#[derive(Default)]
pub(super) struct PolicyChecks {
    checked: Mutex<HashMap<String, Checked>>,
}

struct Checked {
    proof: Proof,
    /// The uptime at which it is checked again.
    again_at: Duration,
}

impl PolicyChecks {
    /// The result for a namespace, if it was checked a short time ago.
    pub(super) fn known(&self, namespace: &str, uptime: Duration) -> Option<Proof> {
        let checked = self.checked.lock();
        checked.get(namespace).filter(|known| uptime < known.again_at).map(|known| known.proof.clone())
    }

    /// The time until the next check in a namespace, if the last one did not show that the policy is in force.
    pub(super) fn checked_again_in(&self, namespace: &str, uptime: Duration) -> Option<Duration> {
        let checked = self.checked.lock();
        let missing = checked.get(namespace).filter(|known| known.proof != Proof::Given)?;
        Some(missing.again_at.saturating_sub(uptime))
    }

    /// The last result for a namespace, whenever it was.
    pub(super) fn last(&self, namespace: &str) -> Option<Proof> {
        self.checked.lock().get(namespace).map(|known| known.proof.clone())
    }

    /// Checks the policy in a namespace.
    pub(super) async fn check(
        &self,
        client: &kube::Client,
        namespace: &str,
        spec: &CognigyDeploymentSpec,
        uptime: Duration,
    ) -> Proof {
        let (proof, valid_for) = check(client, namespace, spec).await;
        if let Proof::Missing(why) = &proof {
            tracing::warn!(namespace, why, "decisions in this namespace do not count");
        }
        let mut checked = self.checked.lock();
        if checked.len() >= MAX_NAMESPACES {
            checked.clear();
        }
        checked.insert(namespace.to_owned(), Checked { proof: proof.clone(), again_at: uptime + valid_for });
        proof
    }
}

/// The result, and how long it is used.
async fn check(client: &kube::Client, namespace: &str, spec: &CognigyDeploymentSpec) -> (Proof, Duration) {
    let nothing = Digest::of_checks(spec);
    let forged = CognigyDecision {
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
    };
    let decisions: Api<CognigyDecision> = Api::namespaced(client.clone(), namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let missing = |why: String| (Proof::Missing(why), MISSING_FOR);
    match call("check the admission policy", decisions.create(&dry_run, &forged)).await {
        Ok(_) => missing(format!(
            "the admission policy decisions.deploy.cognigy.ai is not in force in the namespace {namespace}, so anybody could have \
             written them; install it (docs/gates.md)"
        )),
        Err(error) if error.is_outage() => {
            (Proof::Missing(format!("the admission policy could not be checked: {error}")), UNKNOWN_FOR)
        }
        Err(Error::ApiServer { source, .. }) => match &*source {
            // The words of a validating admission policy, and of an admission webhook.
            kube::Error::Api(status)
                if status.message.contains("denied request") || status.message.contains("denied the request") =>
            {
                (Proof::Given, GIVEN_FOR)
            }
            kube::Error::Api(status) if status.code == 403 => missing(format!(
                "the operator may not check the admission policy: it needs the right to create cognigydecisions in the namespace \
                 {namespace}, which it uses for dry runs only"
            )),
            kube::Error::Api(status) => {
                missing(format!("the admission policy could not be checked: {}", refusal(status)))
            }
            _ => missing("the admission policy could not be checked, because the API server failed".to_owned()),
        },
        Err(error) => missing(format!("the admission policy could not be checked: {error}")),
    }
}
