//! The command line: the subcommands, with examples that can be copied.

use super::{deploy, probe, run, validate};
use clap::{Parser, Subcommand};

/// Rolls out Cognigy.AI environments that are kept in Git, watches their health, and rolls back if an environment is
/// unhealthy.
///
/// One CognigyDeployment describes what an environment should run. The operator validates it, runs the synthetic trace,
/// submits the rollout, watches the job and the environment's health, writes the result into the status, rolls back on
/// failure, and reports to the audit log and the CI/CD webhook.
#[derive(Parser, Debug)]
#[command(
    name = "cognigy-operator",
    version,
    max_term_width = 100,
    after_long_help = "\
Examples:
  cognigy-operator run --namespace bots
  cognigy-operator validate -f customer-service.yaml
  cognigy-operator deploy -f customer-service.yaml"
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the operator against a cluster.
    Run(Box<run::RunArguments>),
    /// Deploys what a manifest describes, without a cluster.
    ///
    /// Validates, runs the synthetic trace, submits once, watches the job and the environment's health, rolls back on
    /// failure, and reports to the audit log and the webhook. A journal makes a crash harmless: the same command goes on.
    Deploy(Box<deploy::DeployArguments>),
    /// Prints the CustomResourceDefinitions, ready for `kubectl apply --server-side -f -`.
    #[command(after_long_help = "\
Examples:
  cognigy-operator crd | kubectl apply --server-side -f -
  cognigy-operator crd > cognigydeployments.yaml")]
    Crd,
    /// Validates manifests offline, by the rules of the CRD. Needs no cluster.
    Validate(validate::ValidateArguments),
    /// Requests a URL, such as an operator's /readyz, until the answer is a success.
    Probe(probe::ProbeArguments),
    /// Runs a simulated Cognigy.AI over HTTP, for demonstrations and evaluations.
    Simulator(simulator::command::SimulatorArguments),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    /// The lines below "Examples:" in the long help of a command.
    fn examples(command: &mut clap::Command) -> Vec<String> {
        let help = command.render_long_help().to_string();
        let Some((_, examples)) = help.split_once("\nExamples:\n") else { return Vec::new() };
        examples.lines().map_while(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
    }

    /// The words of a line, up to a pipe or a redirection.
    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().take_while(|word| !["|", ">", "<"].contains(word)).collect()
    }

    #[test]
    fn every_command_has_up_to_three_examples_in_its_help_and_each_can_be_parsed() {
        let mut command = Arguments::command();
        let of_the_program = ("cognigy-operator".to_owned(), examples(&mut command));
        let own = command.get_subcommands_mut().filter(|subcommand| subcommand.get_name() != "help");
        let of_subcommands = own.map(|subcommand| {
            let opening = format!("cognigy-operator {}", subcommand.get_name());
            (opening, examples(subcommand))
        });
        for (opening, examples) in std::iter::once(of_the_program).chain(of_subcommands) {
            assert!((1..=3).contains(&examples.len()), "{opening}: {examples:?}");
            for example in examples {
                assert!(example.starts_with(&opening), "{example} is no example of {opening}");
                if let Err(error) = Arguments::try_parse_from(words(&example)) {
                    assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{example}: {error}");
                }
            }
        }
    }

    #[test]
    fn files_that_examples_name_are_in_the_repository() {
        let mut command = Arguments::command();
        let examples: Vec<String> = command.get_subcommands_mut().flat_map(examples).collect();
        let files = examples.iter().flat_map(|example| words(example)).filter(|word| word.starts_with("examples/"));
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let missing: Vec<&str> = files.filter(|file| !root.join(file).is_file()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_probe_of_an_invalid_url_is_refused_with_a_correction() {
        for (url, refusal) in [
            ("127.0.0.1:8080/readyz", "needs a scheme, for example http://127.0.0.1:8080/readyz"),
            ("localhost:8080/readyz", "needs a scheme, for example http://localhost:8080/readyz"),
            ("ftp://localhost/", "must begin with http:// or https://"),
            ("http://", "is not a URL (empty host); write for example http://127.0.0.1:8080/readyz"),
        ] {
            let error = Arguments::try_parse_from(["cognigy-operator", "probe", url]).unwrap_err().to_string();
            assert!(error.contains(refusal), "{error}");
        }
    }
}
