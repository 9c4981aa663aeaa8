//! The pages that people read: every command in them works, in the order in which it is read, from the project's folder.

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

/// Pages that begin with nothing installed, and end with it.
const ON_INSTALLATION: [&str; 2] = ["charts/cognigy-operator/README.md", "docs/install.md"];

/// It begins with creating a cluster, and ends with deleting it.
const TUTORIAL: &str = "docs/tutorial.md";

/// What a page leaves to its reader: before this command of it, that is done.
const LEFT_TO_THE_READER: [(&str, &str, &str); 9] = [
    // Nothing runs pods here: processes take the place of the operator's and the simulator's.
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
    // A cluster without the operator.
    (
        "docs/install.md",
        "helm install cognigy-operator charts/cognigy-operator --namespace cognigy-system --create",
        "helm uninstall cognigy-operator --namespace cognigy-system",
    ),
    // The other way to install.
    (README, "kubectl apply --server-side -k deploy/", "helm uninstall cognigy-operator --namespace cognigy-system"),
    // A cluster with Argo CD, whose ConfigMap is there.
    (
        "docs/gitops.md",
        "kubectl kustomize deploy/gitops/argo-cd",
        "kubectl create namespace argocd && kubectl -n argocd create configmap argocd-cm",
    ),
    // An operator of the stage's namespace; the first page's serves only its own.
    (
        "docs/gitops.md",
        "kubectl -n bots-staging wait",
        "cognigy-operator run --namespace bots-staging --metrics-addr 127.0.0.1:8080 --egress-allow 127.0.0.1:8090",
    ),
    // What a GitOps tool has applied, after the Secrets, which are not in Git: a resource looks for one that is missing
    // every minute. Its release is the one that is bad in the scenario of the first page.
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

/// What a page says that a command shows, beside the columns that it prints.
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
async fn every_command_of_the_pages_on_installation_works() {
    follow(&ON_INSTALLATION).await;
}

#[tokio::test]
async fn every_command_of_the_first_page_works_and_then_those_of_all_others() {
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
fn every_reason_not_to_run_a_command_is_needed() {
    let mut needed = BTreeSet::new();
    for page in pages() {
        let rows = commands(&page).into_iter().filter_map(|command| Some(Elsewhere::of(&command)?.begins));
        needed.extend(rows);
    }
    assert_eq!(needed, Elsewhere::all());
}

#[test]
fn what_is_left_to_a_reader_comes_before_a_command_that_is_there() {
    for (page, command, _) in LEFT_TO_THE_READER {
        assert!(commands(page).iter().any(|found| found.starts_with(command)), "{page} has no {command}");
    }
}

#[test]
fn what_a_page_says_that_a_command_shows_belongs_to_a_command_that_is_there() {
    for (page, command, _) in SHOWN {
        assert!(commands(page).iter().any(|found| found == command), "{page} has no {command}");
    }
}

/// Follows pages, one after the other, in a cluster of their own.
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
    assert!(run > 0, "commands were found in {pages:?}");
    println!("{run} commands were run");
}

/// The columns are those that the page prints, and the output holds what the page says of it. Times, ages and the rows of
/// other runs may differ.
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

/// The columns that a page prints below a command.
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
