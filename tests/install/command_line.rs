//! The binary accepts the command lines of the chart and of kustomize.

use crate::manifest::{Manifest, OVERLAYS, sets_of_values, words};
use clap::{Args, Command, FromArgMatches};
use cognigy_operator::command::probe::ProbeArguments;
use cognigy_operator::command::run::RunArguments;
use simulator::command::SimulatorArguments;
use std::collections::BTreeSet;

/// Flags that a pod does not need, or that it gets as an environment variable from a Secret.
const NOT_BY_THE_CHART: [(&str, &str); 2] = [
    ("--kubeconfig", "a pod has a service account"),
    ("--webhook-url", "it is a secret: the variable CI_CD_WEBHOOK_URL is taken from one"),
];

#[tokio::test]
async fn the_operator_accepts_every_rendered_command_line() {
    for file in sets_of_values() {
        start(&file, &Manifest::of_values(&file).await);
    }
    for folder in OVERLAYS {
        start(folder, &Manifest::of_folder(folder).await);
    }
}

#[tokio::test]
async fn every_flag_can_be_set_by_values() {
    let mut set = BTreeSet::new();
    for file in sets_of_values() {
        for argument in Manifest::of_values(&file).await.arguments() {
            set.insert(argument.split('=').next().unwrap().to_owned());
        }
    }
    let command = RunArguments::augment_args(Command::new("run"));
    for flag in command.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")) {
        let is_left_out = NOT_BY_THE_CHART.iter().any(|(left_out, _)| *left_out == flag);
        assert!(
            set.contains(&flag) != is_left_out,
            "{flag} must either be set by a set of values, or be in NOT_BY_THE_CHART"
        );
    }
}

#[tokio::test]
async fn the_helm_test_probes_the_readiness_of_the_operator_through_its_service() {
    for port in ["8080", "9090"] {
        let manifest = Manifest::of_chart(&["--set", &format!("metrics.port={port}")]).await;
        let pod = manifest.one("Pod", "cognigy-operator-test");
        assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
        let arguments = words(&pod["spec"]["containers"][0]["args"]);
        assert_eq!(arguments[0], "probe");
        let asked = parse::<ProbeArguments>("probe", &arguments).url;
        let service = manifest.one("Service", "cognigy-operator-metrics");
        let shown = service["spec"]["ports"][0]["port"].as_u64().unwrap().to_string();
        assert_eq!(shown, port);
        assert_eq!(asked.as_str(), format!("http://cognigy-operator-metrics.cognigy-system.svc:{port}/readyz"));
    }
}

/// Parses the command lines of all containers, as the binary would.
fn start(what: &str, manifest: &Manifest) {
    let run = parse::<RunArguments>("run", &manifest.arguments());
    run.election.terms().unwrap_or_else(|error| panic!("{what}: {error}"));
    let port = manifest.operator()["ports"][0]["containerPort"].as_u64().unwrap();
    assert_eq!(u64::from(run.metrics_addr.port()), port, "{what}");
    for simulator in manifest.containers().filter(|container| container["name"] == "simulator") {
        parse::<SimulatorArguments>("simulator", &words(&simulator["args"]));
    }
}

fn parse<A: Args + FromArgMatches>(command: &'static str, words: &[String]) -> A {
    assert_eq!(words[0], command);
    let matches = A::augment_args(Command::new(command)).try_get_matches_from(words);
    A::from_arg_matches(&matches.unwrap_or_else(|error| panic!("{words:?}: {error}"))).unwrap()
}
