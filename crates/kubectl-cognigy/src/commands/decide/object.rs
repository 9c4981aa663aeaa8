//! The object of a decision.

use api::decision::{CognigyDecisionSpec, Verb};
use api::{CognigyDecision, EnvironmentId, PlanId};
use jiff::Timestamp;
use kube::api::ObjectMeta;
use sha2::{Digest, Sha256};

/// The longest beginning of a name that is made from the name of a deployment.
const LONGEST_PREFIX: usize = 200;
/// How many hexadecimal digits tell the names of decisions about one plan apart.
const NAME_DIGITS: usize = 8;

/// What is decided, before it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The namespace. `None`: that of whoever applies the object.
    pub namespace: Option<String>,
    /// The deployment.
    pub deployment: String,
    /// Its environment.
    pub environment_id: EnvironmentId,
    /// The plan.
    pub plan_id: PlanId,
    /// What is decided.
    pub verb: Verb,
    /// Who decides.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it stops to count.
    pub expires_at: Option<Timestamp>,
}

impl Draft {
    /// What the decision will do, as the end of "This will …".
    #[must_use]
    pub fn question(&self) -> String {
        let plan_id = &self.plan_id;
        match self.verb {
            Verb::Approve => format!("approve {plan_id} as {}", self.by),
            Verb::Reject => format!("end the attempt with {plan_id}, before anything is submitted"),
            Verb::Override => format!("let {plan_id} start although a change window is closed"),
            Verb::Rollback => format!("request the rollback of {plan_id}"),
            Verb::Retry => format!("request another attempt after {plan_id}"),
        }
    }

    /// The message after it was created.
    #[must_use]
    pub fn done(&self) -> String {
        let plan_id = &self.plan_id;
        match self.verb {
            Verb::Approve => format!("{plan_id} is approved by {}", self.by),
            Verb::Reject => format!("{plan_id} is rejected"),
            Verb::Override => format!("change windows do not hold {plan_id} back"),
            Verb::Rollback => "the rollback is requested".to_owned(),
            Verb::Retry => "the retry is requested".to_owned(),
        }
    }

    /// The object to create. The API server completes its name.
    #[must_use]
    pub fn object(&self) -> CognigyDecision {
        let generate_name = Some(format!("{}-", self.prefix()));
        self.with(ObjectMeta { generate_name, ..ObjectMeta::default() })
    }

    /// The object for a file. `kubectl apply` and GitOps tools need its whole name. The same decision always has the same name.
    #[must_use]
    pub fn named(&self) -> CognigyDecision {
        let plan = self.plan_id.as_str().trim_start_matches("plan-");
        let mut hash = Sha256::new();
        for part in [&self.by, &self.reason, &self.expires_at.map_or_else(String::new, |at| at.to_string())] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let name = Some(format!("{}-{plan}-{}", self.prefix(), &digits[..NAME_DIGITS]));
        self.with(ObjectMeta { name, ..ObjectMeta::default() })
    }

    fn prefix(&self) -> String {
        // The name of a deployment is ASCII.
        let deployment = self.deployment.get(..LONGEST_PREFIX).unwrap_or(&self.deployment);
        format!("{}-{}", deployment.trim_end_matches(['.', '-']), self.verb.as_str().to_ascii_lowercase())
    }

    fn with(&self, metadata: ObjectMeta) -> CognigyDecision {
        let spec = CognigyDecisionSpec {
            deployment: self.deployment.clone(),
            environment_id: self.environment_id.clone(),
            plan_id: self.plan_id.clone(),
            verb: self.verb,
            by: self.by.clone(),
            reason: self.reason.clone(),
            expires_at: self.expires_at,
        };
        CognigyDecision { metadata: ObjectMeta { namespace: self.namespace.clone(), ..metadata }, spec, status: None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft(deployment: &str) -> Draft {
        Draft {
            namespace: Some("bots".to_owned()),
            deployment: deployment.to_owned(),
            environment_id: EnvironmentId::new("env_1"),
            plan_id: "plan-7a2934b468d32a1c".parse().unwrap(),
            verb: Verb::Approve,
            by: "anna".to_owned(),
            reason: "tested".to_owned(),
            expires_at: None,
        }
    }

    #[test]
    fn the_object_holds_what_was_decided_and_nothing_else() {
        let object = serde_json::to_value(draft("bot").object()).unwrap();
        let expected = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDecision",
            "metadata": {"generateName": "bot-approve-", "namespace": "bots"},
            "spec": {
                "deployment": "bot", "environmentId": "env_1", "planId": "plan-7a2934b468d32a1c", "verb": "Approve",
                "by": "anna", "reason": "tested",
            },
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn a_file_has_a_whole_name_which_is_the_same_each_time_and_another_for_another_decision() {
        let name = |draft: &Draft| draft.named().metadata.name.unwrap();
        let first = name(&draft("bot"));
        assert!(first.starts_with("bot-approve-7a2934b468d32a1c-"), "{first}");
        assert_eq!(first, name(&draft("bot")));
        let by = Draft { by: "bert".to_owned(), ..draft("bot") };
        let until = Draft { expires_at: Some(Timestamp::UNIX_EPOCH), ..draft("bot") };
        assert_ne!(name(&by), first);
        assert_ne!(name(&until), first);
    }

    #[test]
    fn a_name_is_never_too_long_or_badly_formed() {
        for deployment in ["x".repeat(253), format!("{}.{}", "x".repeat(199), "y".repeat(53))] {
            let draft = draft(&deployment);
            let (named, generated) =
                (draft.named().metadata.name.unwrap(), draft.object().metadata.generate_name.unwrap());
            assert!(named.len() <= 253 && generated.len() <= 248, "{named}");
            assert!(!named.contains(".-") && !generated.contains(".-"), "{named}");
        }
    }
}
