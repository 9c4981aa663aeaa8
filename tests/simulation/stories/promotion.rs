//! `web` requires another deployment, `staging`, with the same release in the environment `env2`.

use api::status::Outcome::{Abandoned, RolledBack, Succeeded};
use api::status::Step;
use serde_json::{Value, json};

use crate::scenario::{Cue, Scenario, annotate, create, operator_down};

pub fn all() -> Vec<Scenario> {
    vec![
        production(
            "a rollout starts by itself when the deployment that it requires was healthy for long enough",
            "",
            60,
        )
        .at(0, create("staging", staging))
        .ending_of("staging", &[Succeeded], "2", false)
        .ending(&[Succeeded], "2"),
        production("a deployment that a rollout requires is created later", "", 0)
            .at(400, create("staging", staging))
            .ending_of("staging", &[Succeeded], "2", false)
            .ending(&[Succeeded], "2"),
        production("the operator is down when the required time is over", "", 600)
            .at(0, create("staging", staging))
            .at(300, operator_down(900))
            .ending_of("staging", &[Succeeded], "2", false)
            .ending(&[Succeeded], "2"),
        production("a release that was rolled back is not promoted", "  env2: {deploymentsAreUnhealthy: true}\n", 0)
            .at(0, create("staging", staging))
            .ending_of("staging", &[RolledBack], "1", false)
            .waiting("web", "1"),
        production("a person stops a rollout that waits for a deployment that it requires", "", 0)
            .after(Cue::Written(Step::Tracing), 60, annotate("rollback", "1"))
            .ending(&[Abandoned], "1"),
    ]
}

fn staging(object: &mut Value) {
    object["spec"]["environmentId"] = json!("env2");
}

fn production(name: &'static str, platform: &str, seconds: u64) -> Scenario {
    Scenario::new(name, platform).creating(move |object| {
        object["spec"]["requires"] = json!([{"name": "staging", "healthyForSeconds": seconds}]);
    })
}
