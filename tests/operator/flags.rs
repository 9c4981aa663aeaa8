//! Flags and their environment variables. An empty variable counts as unset, and an invalid value is refused with the
//! correction.

use clap::{Args, Command};
use cognigy_operator::command::probe::ProbeArguments;
use cognigy_operator::command::run::RunArguments;
use simulator::command::SimulatorArguments;
use std::process;

/// Starts the operator in an otherwise empty environment, and returns the error that it ends with.
fn says(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let nobody = tempfile::tempdir().unwrap();
    let output = process::Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(arguments)
        .env_clear()
        .env("HOME", nobody.path())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it must fail");
    let said = String::from_utf8(output.stderr).unwrap();
    // The time at the beginning of the line differs between runs.
    said.split_once("ERROR").map_or(said.clone(), |(_, message)| message.to_owned())
}

/// The environment variables of a subcommand's flags.
fn variables<A: Args>() -> Vec<String> {
    let command = A::augment_args(Command::new("any"));
    let names = command.get_arguments().filter_map(|flag| flag.get_env());
    names.map(|name| name.to_str().unwrap().to_owned()).collect()
}

#[test]
fn an_empty_environment_variable_counts_as_unset_for_every_flag() {
    let run = variables::<RunArguments>();
    let simulator = variables::<SimulatorArguments>();
    assert!(run.len() > 15 && simulator.len() > 3 && variables::<ProbeArguments>().is_empty());
    let others = ["POD_NAME", "COGNIGY_CLIENT_ID", "COGNIGY_CLIENT_SECRET"];
    let run: Vec<&str> = run.iter().map(String::as_str).chain(others).collect();
    let simulator: Vec<&str> = simulator.iter().map(String::as_str).collect();
    let there_is_none = "/there/is/no/such/file";
    for (arguments, variables, says_without) in [
        (
            &["run"][..],
            &run,
            "no cluster is configured: the process does not run in a pod, and there is no ~/.kube/config",
        ),
        (&["simulator", "--listen", "127.0.0.1:0", "--scenario", there_is_none], &simulator, there_is_none),
        (&["simulator", "--tls-certificate", there_is_none, "--tls-key", there_is_none], &simulator, there_is_none),
    ] {
        let without = says(arguments, &[]);
        assert!(without.contains(says_without), "{without}");
        for variable in variables {
            assert_eq!(says(arguments, &[(variable, "")]), without, "{variable} is empty");
        }
        let all: Vec<(&str, &str)> = variables.iter().map(|variable| (*variable, "")).collect();
        assert_eq!(says(arguments, &all), without, "all are empty");
    }
}

#[test]
fn help_lists_the_environment_variables_even_if_they_are_empty() {
    let help = process::Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["run", "--help"])
        .env("COGNIGY_NAMESPACES", "")
        .output()
        .unwrap();
    assert!(help.status.success());
    assert!(String::from_utf8(help.stdout).unwrap().contains("COGNIGY_NAMESPACES"));
}

#[test]
fn an_invalid_namespace_name_is_refused_with_the_allowed_characters() {
    for flag in ["--namespace", "--default-credentials-namespace", "--leader-election-namespace"] {
        let label = "x".repeat(64);
        for name in ["a b", "Bots", "bots.prod", "-bots", "", "a,,b", &label] {
            let said = says(&["run", &format!("{flag}={name}")], &[]);
            assert!(said.contains(flag) && said.contains("a-z 0-9 -"), "{flag} {name:?}: {said}");
        }
    }
    let said = says(&["run"], &[("COGNIGY_NAMESPACES", "bots,a b")]);
    assert!(said.contains("'a b'") && said.contains("--namespace"), "{said}");
    let said = says(&["run", "--namespace", "*"], &[]);
    assert!(said.contains("'*'"), "{said}");
}

#[test]
fn incomplete_default_credentials_are_refused() {
    for (arguments, variables, expected) in [
        (
            &["run", "--default-credentials-namespace", "bots"][..],
            &[("COGNIGY_CLIENT_SECRET", "")][..],
            "set COGNIGY_CLIENT_ID and COGNIGY_CLIENT_SECRET",
        ),
        (
            &["run"],
            &[("COGNIGY_DEFAULT_CREDENTIALS_NAMESPACES", "*")],
            "set COGNIGY_CLIENT_ID and COGNIGY_CLIENT_SECRET",
        ),
        (&["run"], &[("COGNIGY_CLIENT_ID", "demo")], "COGNIGY_CLIENT_ID is set, but COGNIGY_CLIENT_SECRET is not"),
        (
            &["run"],
            &[("COGNIGY_CLIENT_ID", ""), ("COGNIGY_CLIENT_SECRET", "s3cr3t")],
            "COGNIGY_CLIENT_SECRET is set, but COGNIGY_CLIENT_ID is not",
        ),
    ] {
        let said = says(arguments, variables);
        assert!(said.contains(expected) && !said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn an_address_without_a_scheme_is_refused_with_an_example() {
    for address in ["127.0.0.1:8090", "localhost:8090", "api.cognigy.ai"] {
        let said = says(&["run", "--base-url", address], &[]);
        assert!(said.contains("--base-url") && said.contains("needs a scheme; write https://"), "{said}");
    }
}
