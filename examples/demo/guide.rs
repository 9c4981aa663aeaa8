//! Commands to look around with, ready to be pasted.

use crate::cast::NAMESPACE;
use crate::operator::Operator;
use crate::stage::Stage;

/// How to see the live table in kubectl's own words.
pub fn watching(stage: &Stage) -> String {
    format!("{} get cognigydeployments --watch", kubectl(stage))
}

/// What to type while everything runs, a line each.
pub fn commands(stage: &Stage, operator: &Operator) -> String {
    let kubectl = kubectl(stage);
    let (platform, numbers, log) = (stage.simulator.url(), operator.url(), operator.log().display());
    let ask = |name, annotation| {
        format!(
            "{kubectl} annotate cognigydeployment {name} --overwrite deploy.cognigy.ai/{annotation}=\"$(date +%s)\""
        )
    };
    let lines = [
        ("the resources", format!("{kubectl} get cognigydeployments -o wide")),
        ("one of them, in full", format!("{kubectl} describe cognigydeployment customer-service-canary")),
        ("its Events", format!("{kubectl} events --for cognigydeployment/customer-service-canary")),
        ("what a field means", format!("{kubectl} explain cognigydeployment.spec.rollbackPolicy")),
        ("ask for another try", ask("customer-service-canary", "retry")),
        ("ask for a rollback", ask("customer-service-prod", "rollback")),
        ("what Cognigy.AI received", format!("curl {platform}/simulator/requests")),
        ("what runs there now", format!("curl {platform}/simulator/state")),
        ("the operator's metrics", format!("curl {numbers}/metrics")),
        ("the operator's log", format!("tail -f {log}")),
    ];
    lines.map(|(what, command)| format!("  {what:<24}  {command}\n")).concat()
}

fn kubectl(stage: &Stage) -> String {
    format!("kubectl --kubeconfig {} --namespace {NAMESPACE}", stage.kubeconfig().display())
}
