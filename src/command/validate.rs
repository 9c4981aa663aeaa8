//! `cognigy-operator validate`: manifests, offline.

use super::manifests::{ManifestArguments, counted};
use clap::{Args, ValueEnum};
use manifest::Problem;
use manifest::validate::NoSchema;
use serde::Serialize;
use std::io::{self, Read, Write};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  cognigy-operator validate -f customer-service.yaml
  cognigy-operator validate -f manifests/ --recursive
  cognigy-operator validate -f - -o json

Exit codes:
  0 valid   2 invalid, unreadable, or no CognigyDeployment in the files";

/// The arguments of `cognigy-operator validate`.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct ValidateArguments {
    /// The manifests.
    #[command(flatten)]
    pub manifests: ManifestArguments,

    /// How to print the result.
    #[arg(long, short = 'o', value_enum, default_value = "text")]
    pub output: OutputFormat,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A line for each problem, and a summary.
    Text,
    /// One JSON object.
    Json,
}

/// Why nothing could be validated.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A defect of the build.
    #[error(transparent)]
    Rules(#[from] NoSchema),
    /// Standard output cannot be written, for example because its reader has ended.
    #[error("the result cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// The result as JSON. docs/plan.md describes the fields.
#[derive(Serialize)]
struct Report<'a> {
    valid: bool,
    deployments: usize,
    ignored: usize,
    problems: &'a [Problem],
}

/// Validates manifests and prints what is wrong with them. No cluster is needed.
///
/// # Errors
/// [`ValidateError`] if the result cannot be printed.
pub fn run(arguments: &ValidateArguments) -> Result<ExitCode, ValidateError> {
    let is_valid = check(arguments, &mut io::stdin().lock(), &mut io::stdout().lock())?;
    Ok(if is_valid { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn check(arguments: &ValidateArguments, input: &mut dyn Read, output: &mut dyn Write) -> Result<bool, ValidateError> {
    let validated = arguments.manifests.validated(input)?;
    let (manifests, problems, errors) = (&validated.manifests, &validated.problems, validated.errors());
    let (deployments, ignored) = (manifests.deployments.len(), manifests.ignored);
    let valid = errors == 0 && deployments > 0;
    match arguments.output {
        OutputFormat::Json => {
            let report = Report { valid, deployments, ignored, problems };
            let text = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
            writeln!(output, "{text}")?;
        }
        OutputFormat::Text => {
            for line in validated.lines() {
                writeln!(output, "{line}")?;
            }
            writeln!(output, "{}", summary(deployments, ignored, errors))?;
        }
    }
    Ok(valid)
}

fn summary(deployments: usize, ignored: usize, errors: usize) -> String {
    let ignored = match ignored {
        0 => String::new(),
        ignored => format!("; {} ignored", counted(ignored, "object of another kind", "objects of other kinds")),
    };
    let deployments = match deployments {
        0 if errors == 0 => "there is no CognigyDeployment in these files: name others with -f".to_owned(),
        deployments => counted(deployments, "CognigyDeployment", "CognigyDeployments"),
    };
    let verdict = match errors {
        0 if deployments.starts_with("there") => String::new(),
        0 => ": valid".to_owned(),
        errors => format!(": {}", counted(errors, "error", "errors")),
    };
    format!("{deployments}{verdict}{ignored}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    const VALID: &str = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {name: prod, namespace: bots}\nspec: {environmentId: e, configurationSnapshot: {a: 1}}\n";

    fn checked(text: &str, output: OutputFormat) -> (bool, String) {
        let manifests = ManifestArguments { filenames: vec!["-".into()], recursive: false };
        let arguments = ValidateArguments { manifests, output };
        let mut printed = Vec::new();
        let is_valid = check(&arguments, &mut text.as_bytes(), &mut printed).unwrap();
        (is_valid, String::from_utf8(printed).unwrap())
    }

    #[test]
    fn a_valid_manifest_is_said_to_be_valid() {
        let (is_valid, printed) = checked(&format!("{VALID}---\napiVersion: v1\nkind: Pod\n"), OutputFormat::Text);
        assert!(is_valid);
        assert_eq!(printed, "1 CognigyDeployment: valid; 1 object of another kind ignored\n");
    }

    #[test]
    fn each_problem_is_a_line_with_its_place() {
        let wrong = VALID.replace("{a: 1}}", "{a: 1}, historyLimit: 99}");
        let (is_valid, printed) = checked(&wrong, OutputFormat::Text);
        assert!(!is_valid);
        assert_eq!(
            printed,
            "-:4 (CognigyDeployment bots/prod): spec.historyLimit: historyLimit must be from 0 to 50\n1 CognigyDeployment: 1 error\n"
        );
    }

    #[test]
    fn json_holds_the_same() {
        let wrong = VALID.replace("{a: 1}}", "{a: yes}, historyLimit: 99}");
        let (is_valid, printed) = checked(&wrong, OutputFormat::Json);
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert!(!is_valid && report["valid"] == false && report["deployments"] == 1);
        assert_eq!(report["problems"][0]["path"], "spec.configurationSnapshot.a");
        assert_eq!(report["problems"][0]["severity"], "warning");
        assert_eq!(report["problems"][1]["path"], "spec.historyLimit");
        assert_eq!(report["problems"][1]["object"], "CognigyDeployment bots/prod");
    }

    #[test]
    fn files_without_a_deployment_are_not_valid() {
        let (is_valid, printed) = checked("apiVersion: v1\nkind: Pod\n", OutputFormat::Text);
        assert!(!is_valid);
        assert!(printed.starts_with("there is no CognigyDeployment in these files"), "{printed}");
    }
}
