//! Every command of the documentation works, in the order of the page, in the folder of the project.

mod command;
mod elsewhere;
mod reader;

use crate::support::{Cluster, root};
use command::commands_of;
use elsewhere::Elsewhere;
use reader::Reader;
use std::collections::BTreeSet;
use testkit::remove_deleted_namespaces;
use tokio::task::JoinSet;

const README: &str = "README.md";

/// Pages that need a cluster without the operator, and leave it so.
const ON_INSTALLATION: [&str; 2] = ["charts/cognigy-operator/README.md", "docs/install.md"];

/// This page creates a cluster and deletes it.
const TUTORIAL: &str = "docs/tutorial.md";

/// Steps that a page leaves to its reader: the page, a command, and the command to run before it.
const LEFT_TO_THE_READER: [(&str, &str, &str); 9] = [
    // No pods run in these tests, so processes replace the pods of the operator and the simulator.
    (
        TUTORIAL,
        "kubectl create namespace bots",
        "cognigy-operator simulator --scenario examples/scenarios/bad-release.yaml",
    ),
    (
        TUTORIAL,
        "kubectl create namespace bots",
        "cognigy-operator run --metrics-addr 127.0.0.1:8080 --egress-allow 127.0.0.1:8090",
    ),
    // The page needs a cluster without the operator.
    (
        "docs/install.md",
        "helm install cognigy-operator charts/cognigy-operator --namespace cognigy-system --create",
        "helm uninstall cognigy-operator --namespace cognigy-system",
    ),
    // The page shows a second way to install.
    (README, "kubectl apply --server-side -k deploy/", "helm uninstall cognigy-operator --namespace cognigy-system"),
    // The page needs a cluster with the ConfigMap of Argo CD.
    (
        "docs/gitops.md",
        "kubectl kustomize deploy/gitops/argo-cd",
        "kubectl create namespace argocd && kubectl -n argocd create configmap argocd-cm",
    ),
    // The operator of the first page watches only its own namespace, so this namespace needs another operator.
    (
        "docs/gitops.md",
        "kubectl -n bots-staging wait",
        "cognigy-operator run --namespace bots-staging --metrics-addr 127.0.0.1:8080 --egress-allow 127.0.0.1:8090",
    ),
    // A GitOps tool would have applied these objects. The Secrets come first, because the operator looks for a missing
    // Secret only every minute. The simulator is reset, because the scenario of the first page makes this release fail.
    (
        "docs/gitops.md",
        "kubectl -n bots-staging wait",
        "curl --fail -X POST http://127.0.0.1:8090/simulator/reset -d '{}'",
    ),
    (
        "docs/gitops.md",
        "kubectl -n bots-staging wait",
        "kubectl create namespace bots-staging &&
         kubectl -n bots-staging create secret generic ci-webhook --from-literal=url=http://127.0.0.1:8090/webhooks/ci &&
         kubectl -n bots-staging create secret generic cognigy-api \
            --from-literal=clientId=demo --from-literal=clientSecret=demo-secret \
            --from-literal=baseUrl=http://127.0.0.1:8090 --from-literal=tokenUrl=http://127.0.0.1:8090/oauth/token",
    ),
    (
        "docs/gitops.md",
        "kubectl -n bots-staging wait",
        "kubectl apply -k deploy/gitops/environments/staging",
    ),
];

/// Output that a page promises in its text: the page, the command, and a part of the output.
const SHOWN: [(&str, &str, &str); 2] = [
    (
        README,
        "kubectl -n bots get cognigydeployments -o wide",
        "Cognigy.AI has accepted the rollback to the snapshot before (version 2.4.1, attempt 1), requested because health was bad",
    ),
    (
        TUTORIAL,
        "curl http://127.0.0.1:8090/simulator/state",
        r#""deployed":{"condition":"well","configurationSnapshot":{"botVersion":"2.4.1""#,
    ),
];

#[tokio::test]
async fn every_command_of_the_installation_pages_works() {
    follow(&ON_INSTALLATION).await;
}

#[tokio::test]
async fn every_command_of_the_readme_and_then_of_all_other_pages_works() {
    let pages = pages();
    let on_its_own = |page: &&str| [README, TUTORIAL].contains(page) || ON_INSTALLATION.contains(page);
    let others = pages.iter().map(String::as_str).filter(|page| !on_its_own(page));
    let all: Vec<&str> = [README].into_iter().chain(others).collect();
    follow(&all).await;
}

#[tokio::test]
async fn every_command_of_the_tutorial_works() {
    follow(&[TUTORIAL]).await;
}

#[test]
fn every_row_for_commands_that_are_not_run_is_needed() {
    let mut needed = BTreeSet::new();
    for page in pages() {
        let rows = commands(&page).into_iter().filter_map(|command| Some(Elsewhere::of(&command)?.begins));
        needed.extend(rows);
    }
    assert_eq!(needed, Elsewhere::all());
}

#[test]
fn every_step_that_is_left_to_the_reader_precedes_an_existing_command() {
    for (page, command, _) in LEFT_TO_THE_READER {
        assert!(commands(page).iter().any(|found| found.starts_with(command)), "{page} has no {command}");
    }
}

#[test]
fn every_promised_output_belongs_to_an_existing_command() {
    for (page, command, _) in SHOWN {
        assert!(commands(page).iter().any(|found| found == command), "{page} has no {command}");
    }
}

/// Runs the commands of pages, one page after the other, in a new cluster.
async fn follow(pages: &[&str]) {
    let cluster = Cluster::start().await;
    let mut controller_manager = JoinSet::new();
    controller_manager.spawn(remove_deleted_namespaces(cluster.client().await));
    let mut reader = Reader::new(&cluster);
    let mut run = 0;
    for page in pages {
        for command in commands(page) {
            if let Some(elsewhere) = Elsewhere::of(&command) {
                elsewhere.judge(page, &command);
                continue;
            }
            for (_, _, before) in
                LEFT_TO_THE_READER.iter().filter(|(where_, what, _)| where_ == page && command.starts_with(what))
            {
                reader.run(page, before).await;
            }
            println!("{page}: {command}");
            let output = reader.run(page, &command).await;
            shows_what_the_page_says(page, &command, &output);
            run += 1;
        }
    }
    assert!(run > 0, "no commands were found in {pages:?}");
    println!("{run} commands were run");
}

/// Checks that the output has the columns that the page prints and the parts that its text promises. Times, ages and
/// rows may differ.
fn shows_what_the_page_says(page: &str, command: &str, output: &str) {
    let text = text_of(page);
    if let Some(printed) = columns(&text, command) {
        let real: Vec<&str> = output.lines().next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(printed, real, "{page} prints other columns: {command}");
    }
    for (_, _, shown) in SHOWN.iter().filter(|(of, what, _)| *of == page && *what == command) {
        assert!(output.contains(shown), "{page}: {command} does not show {shown}:\n{output}");
    }
}

/// The columns that a page shows below a command.
fn columns<'t>(text: &'t str, command: &str) -> Option<Vec<&'t str>> {
    let (_, below) = text.split_once(&format!("$ {command}\n"))?;
    let columns: Vec<&str> = below.lines().next()?.split_whitespace().collect();
    columns.starts_with(&["NAME"]).then_some(columns)
}

/// The commands of a page.
fn commands(page: &str) -> Vec<String> {
    commands_of(page, &text_of(page))
}

fn text_of(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap()
}

/// All pages, by their paths in the project.
fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "charts/cognigy-operator"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    pages.sort();
    assert!(
        ON_INSTALLATION.iter().chain(&[README, TUTORIAL]).all(|page| pages.iter().any(|found| found == page)),
        "{pages:?}"
    );
    pages
}
