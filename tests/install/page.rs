//! `docs/install.md`: its commands, in their order, against one API server.

use crate::stage::{Cluster, root, tools};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use std::collections::BTreeMap;
use std::pin::pin;
use tokio::process::Command;
use tokio::task::JoinSet;

const PAGE: &str = "docs/install.md";

/// Commands that wait for pods, which nobody runs here, or start the operator itself, which other tests do.
const NOT_RUN: [&str; 3] = ["kubectl -n cognigy-system rollout status", "helm test", "cargo run"];

#[tokio::test]
async fn every_command_of_the_page_on_installation_works() {
    let cluster = Cluster::start().await;
    let mut beside = JoinSet::new();
    beside.spawn(let_namespaces_go(cluster.client().await));
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
    let mut skipped: BTreeMap<&str, usize> = NOT_RUN.iter().map(|command| (*command, 0)).collect();
    let mut run = 0;
    for command in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        if let Some(count) = skipped.iter_mut().find_map(|(known, count)| command.starts_with(known).then_some(count)) {
            *count += 1;
            continue;
        }
        let answer = cluster.shell(command).await;
        assert!(answer.is_success, "{PAGE}: {command}\n{}{}", answer.output, answer.error);
        run += 1;
    }
    assert!(run > 10, "commands were found");
    assert!(skipped.values().all(|count| *count > 0), "{skipped:?}: what is not there need not be left out");
}

/// What is left to do for a deleted namespace once all that was in it is deleted by name: in a cluster, the
/// controller-manager does it.
async fn let_namespaces_go(client: Client) {
    let namespaces: Api<Namespace> = Api::all(client);
    let seen = watcher(namespaces.clone(), watcher::Config::default()).default_backoff().applied_objects();
    let mut seen = pin!(seen);
    while let Some(event) = seen.next().await {
        let Ok(mut namespace) = event else { continue };
        let finalizers = namespace.spec.as_mut().and_then(|spec| spec.finalizers.take());
        if namespace.metadata.deletion_timestamp.is_some() && finalizers.is_some() {
            let name = namespace.name_any();
            // After somebody else's write in between it is seen once more.
            let _ = namespaces.replace_subresource("finalize", &name, &PostParams::default(), &namespace).await;
        }
    }
}

impl Cluster {
    /// Runs a line as a person would, with the tools and this cluster at hand.
    async fn shell(&self, line: &str) -> crate::stage::Answer {
        let tools = std::env::join_paths(
            [tools().await.folder().to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env("PATH", tools.unwrap());
        self.as_the_only_cluster(&mut shell);
        crate::stage::ask(shell, "").await
    }
}
