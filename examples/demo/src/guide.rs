//! Commands that users can paste to look around.

use crate::cluster::Cluster;
use crate::operator::Operator;
use crate::releases::NAMESPACE;
use crate::setup::Setup;

/// How to watch the resources with kubectl.
pub fn watching(cluster: &Cluster) -> String {
    format!("{} get cognigydeployments --watch", kubectl(cluster))
}

/// The commands to use while everything runs, one in each line.
pub fn commands(cluster: &Cluster, setup: &Setup, operator: &Operator) -> String {
    let kubectl = kubectl(cluster);
    let (platform, numbers, log) = (setup.simulator.url(), operator.url(), operator.log().display());
    let ask = |name, annotation| {
        format!(
            "{kubectl} annotate cognigydeployment {name} --overwrite deploy.cognigy.ai/{annotation}=\"$(date +%s)\""
        )
    };
    let lines = [
        ("the resources", format!("{kubectl} get cognigydeployments -o wide")),
        ("one of them, in full", format!("{kubectl} describe cognigydeployment bad-release")),
        ("its Events", format!("{kubectl} events --for cognigydeployment/bad-release")),
        ("what a field means", format!("{kubectl} explain cognigydeployment.spec.rollbackPolicy")),
        ("ask for another try", ask("bad-release", "retry")),
        ("ask for a rollback", ask("good-release", "rollback")),
        ("what Cognigy.AI received", format!("curl {platform}/simulator/requests")),
        ("what runs there now", format!("curl {platform}/simulator/state")),
        ("the operator's metrics", format!("curl {numbers}/metrics")),
        ("the operator's log", format!("tail -f {log}")),
        ("kill the operator", format!("kill -9 {}   # it is started again", operator.process_id())),
    ];
    lines.map(|(what, command)| format!("  {what:<24}  {command}\n")).concat()
}

fn kubectl(cluster: &Cluster) -> String {
    format!("{} --namespace {NAMESPACE}", cluster.access().kubectl())
}
