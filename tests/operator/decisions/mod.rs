//! Decisions of people, against the API server with the admission policy: who may make them, and what they do.

mod approvals;
mod missing_policy;
mod people;
mod requests;

use crate::support::*;
use api::decision::{CognigyDecision, CognigyDecisionStatus, DecisionState};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};
use std::time::Duration;
use testkit::Cluster;
use tokio::time::{Instant, timeout, timeout_at};

/// How long the API server may take to apply a policy or a role.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// Every verb, as a role grants it.
const VERBS: [&str; 5] = ["approve", "reject", "override", "rollback", "retry"];

/// The people of a namespace, who have the roles that `deploy/` installs.
struct People<'n> {
    cluster: &'n Cluster,
    namespace: &'n TestNamespace,
}

impl<'n> People<'n> {
    /// `editor` may edit deployments, `ada` and `grace` may decide with every verb about the sample's environment, `both` may do
    /// both, `writer` may write decisions but has no verb, and `starter` has only the verb approve.
    async fn of(cluster: &'n Cluster, namespace: &'n TestNamespace) -> Self {
        let people = Self { cluster, namespace };
        people.bind("editors", "ClusterRole", "cognigydeployments-edit", &["editor", "both"]).await;
        let deciders = ["ada", "grace", "both", "writer", "starter"];
        people.bind("deciders", "ClusterRole", "cognigydeployments-approve", &deciders).await;
        people.grant("all-verbs", &VERBS, &["ada", "grace", "both"]).await;
        people.grant("approve", &["approve"], &["starter"]).await;
        for who in ["ada", "grace", "both"] {
            for verb in VERBS {
                people.until_accepted(who, decision(verb, NO_PLAN, who)).await;
            }
        }
        people.until_accepted("starter", decision("approve", NO_PLAN, "starter")).await;
        people.until_refused("writer", decision("approve", NO_PLAN, "writer"), "may not approve").await;
        people
    }

    /// Grants verbs on the sample's environment.
    async fn grant(&self, name: &str, verbs: &[&str], people: &[&str]) {
        let rule = json!({
            "apiGroups": ["deploy.cognigy.ai"], "resources": ["environments"], "resourceNames": [ENVIRONMENT], "verbs": verbs
        });
        let role: Role = serde_json::from_value(json!({"metadata": {"name": name}, "rules": [rule]})).unwrap();
        self.namespace.api().create(&PostParams::default(), &role).await.unwrap();
        self.bind(name, "Role", name, people).await;
    }

    async fn bind(&self, name: &str, kind: &str, role: &str, people: &[&str]) {
        let group = "rbac.authorization.k8s.io";
        let subjects: Vec<Value> =
            people.iter().map(|name| json!({"apiGroup": group, "kind": "User", "name": name})).collect();
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "subjects": subjects,
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        }))
        .unwrap();
        self.namespace.api().create(&PostParams::default(), &binding).await.unwrap();
    }

    async fn client(&self, who: &str) -> Client {
        self.cluster.client_as(who).await
    }

    /// The objects of one kind in the namespace, as a person.
    async fn api<K>(&self, who: &str) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(who).await, &self.namespace.name)
    }

    /// Tries to create a decision.
    async fn try_decide(&self, who: &str, decision: Value) -> Result<CognigyDecision, kube::Error> {
        let decision = serde_json::from_value(decision).unwrap();
        self.api(who).await.create(&PostParams::default(), &decision).await
    }

    /// Decides about the sample's current plan, under the own name. Returns the name of the decision.
    async fn decide(&self, who: &str, verb: &str, plan: &str) -> String {
        let made = self.try_decide(who, decision(verb, plan, who)).await;
        made.unwrap_or_else(|error| panic!("{who} {verb}: {error}")).name_any()
    }

    /// The API server's answer to a decision that is not stored.
    async fn dry_run(&self, who: &str, decision: &Value) -> Result<(), String> {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let decision: CognigyDecision = serde_json::from_value(decision.clone()).unwrap();
        let answer = self.api(who).await.create(&dry_run, &decision).await;
        answer.map(drop).map_err(|error| match error {
            kube::Error::Api(status) => status.message,
            other => panic!("{other}"),
        })
    }

    async fn until_accepted(&self, who: &str, decision: Value) {
        let deadline = Instant::now() + KNOWN_WITHIN;
        let wait = async { while self.dry_run(who, &decision).await.is_err() {} };
        assert!(timeout_at(deadline, wait).await.is_ok(), "{who} was never allowed: {decision}");
    }

    /// Waits until the API server refuses a decision with these words, and returns its message.
    async fn until_refused(&self, who: &str, decision: Value, words: &str) -> String {
        let wait = async {
            loop {
                match self.dry_run(who, &decision).await {
                    Err(message) if message.contains(words) => return message,
                    _ => {}
                }
            }
        };
        timeout(KNOWN_WITHIN, wait)
            .await
            .unwrap_or_else(|_| panic!("{who} was never refused with `{words}`: {decision}"))
    }

    /// Waits until the operator has written this state of a decision.
    async fn until_state(&self, name: &str, state: DecisionState) -> CognigyDecisionStatus {
        let is_it = |decision: Option<&CognigyDecision>| {
            decision.and_then(|decision| decision.status.as_ref()).is_some_and(|status| status.state == state)
        };
        let decisions: Api<CognigyDecision> = self.namespace.api();
        match timeout(DEADLINE, await_condition(decisions.clone(), name, is_it)).await {
            Ok(decision) => decision.unwrap().unwrap().status.unwrap(),
            Err(_) => {
                let decision = decisions.get(name).await;
                let missing = format!("{name} is {state:?}, but it is {decision:?}");
                panic!("{}", self.namespace.report(&missing).await)
            }
        }
    }
}

/// The id of a plan that no attempt has.
const NO_PLAN: &str = "plan-0000000000000000";

/// A decision about the sample.
fn decision(verb: &str, plan: &str, by: &str) -> Value {
    let verb = format!("{}{}", verb[..1].to_uppercase(), &verb[1..]);
    json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDecision",
        "metadata": {"generateName": "decision-"},
        "spec": {
            "deployment": "bot", "environmentId": ENVIRONMENT, "planId": plan, "verb": verb, "by": by,
            "reason": "tested in staging"
        },
    })
}

/// The same with a change, as a merge patch of the spec.
fn changed(mut decision: Value, field: &str, value: Value) -> Value {
    decision["spec"][field] = value;
    decision
}

/// A resource that so many people must approve.
fn approved_by(people: u32) -> Sample {
    sample().with(json!({"approval": {"required": people}}))
}

/// The plan of the current attempt.
fn plan_of(object: &CognigyDeployment) -> String {
    object.attempt().plan_id.as_ref().unwrap().to_string()
}

/// Waits until another attempt waits at its gates.
async fn until_waiting(bot: &Resource<'_>, number: i64) -> CognigyDeployment {
    let waits = |object: &CognigyDeployment| {
        let attempt = object.attempt_if_any();
        attempt.is_some_and(|attempt| attempt.number == number && attempt.gates.is_some())
    };
    bot.until(&format!("attempt {number} waits"), waits).await
}

/// The people whose approvals count for the current attempt, in the order of their names.
fn approvers(object: &CognigyDeployment) -> Vec<String> {
    let gates = object.attempt().gates.as_ref();
    let mut people: Vec<String> =
        gates.map(|gates| gates.approvals.iter().map(|approval| approval.by.clone()).collect()).unwrap_or_default();
    people.sort();
    people
}
