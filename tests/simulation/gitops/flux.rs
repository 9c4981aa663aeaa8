//! Flux's health expressions, in the order of Flux's evaluator: first the generation, then `inProgress`, `failed` and
//! `current`. If none of them holds, Flux waits.

use std::fs;

use cel::{Context, Program, Value as CelValue};
use serde::Deserialize;
use serde_json::Value;

use super::argo_cd::root;
use crate::kstatus::Reading;

const EXAMPLE: &str = "deploy/gitops/flux/kustomization.yaml";

/// The expressions of the example.
pub struct Expressions(Vec<(Reading, Program)>);

#[derive(Deserialize)]
struct Kustomization {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    health_check_exprs: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    api_version: String,
    kind: String,
    in_progress: Option<String>,
    failed: Option<String>,
    current: Option<String>,
}

impl Expressions {
    /// Reads the expressions of the example. If it has several sets for the resource, they must be the same.
    pub fn read() -> Self {
        let text = fs::read_to_string(root().join(EXAMPLE)).expect("the example is there");
        let documents: Vec<Kustomization> = serde_saphyr::from_multiple(&text).expect("Kustomizations");
        let checks = documents.into_iter().flat_map(|document| document.spec.health_check_exprs);
        let mut checks = checks
            .filter(|check| check.api_version == "deploy.cognigy.ai/v1alpha1" && check.kind == "CognigyDeployment")
            .map(|check| [check.in_progress, check.failed, check.current])
            .collect::<Vec<_>>();
        checks.dedup();
        let [in_progress, failed, current]: [Option<String>; 3] = match checks.as_slice() {
            [check] => check.clone(),
            other => panic!("{EXAMPLE} has {} different sets of expressions for a CognigyDeployment", other.len()),
        };
        let all = [(Reading::InProgress, in_progress), (Reading::Failed, failed), (Reading::Current, current)];
        let program = |text: String| Program::compile(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self(all.into_iter().filter_map(|(reading, text)| Some((reading, program(text?)))).collect())
    }

    /// The state of an object for Flux.
    pub fn reading(&self, object: &Value) -> Reading {
        if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
            return Reading::InProgress;
        }
        let mut context = Context::default();
        for (name, value) in object.as_object().into_iter().flatten() {
            context.add_variable(name.as_str(), value).expect("a value that CEL knows");
        }
        let holds = |program: &Program| match program.execute(&context) {
            Ok(CelValue::Bool(holds)) => holds,
            other => panic!("an expression must be true or false, not {other:?}: {object}"),
        };
        self.0.iter().find(|(_, program)| holds(program)).map_or(Reading::InProgress, |(reading, _)| *reading)
    }
}
