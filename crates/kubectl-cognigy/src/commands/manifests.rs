//! Manifests on the command line. `apply`, `plan` and `wait` share it.

use crate::exit::Failure;
use crate::output::Terminal;
use clap::Args;
use manifest::read::{self, Input};
use manifest::validate::{Rules, validate};
use manifest::{Manifests, Problem};
use std::path::PathBuf;

/// The flags that name manifests.
#[derive(Args, Debug)]
pub struct ManifestArguments {
    /// A file, a folder, or - for standard input. Repeatable.
    #[arg(long = "filename", short = 'f', value_name = "FILE|DIR|-", required = true)]
    pub filenames: Vec<PathBuf>,

    /// Also read the folders in a folder.
    #[arg(long, short = 'R')]
    pub recursive: bool,
}

impl ManifestArguments {
    /// The texts, and what they contain. What cannot be read is among the problems.
    #[must_use]
    pub fn read(&self) -> (Vec<Input>, Manifests) {
        let (inputs, unreadable) = read::collect(&self.filenames, self.recursive, &mut std::io::stdin().lock());
        let mut manifests = read::read(&inputs);
        manifests.problems.extend(unreadable);
        (inputs, manifests)
    }

    /// Reads and validates manifests. Warnings are shown.
    ///
    /// # Errors
    /// [`Failure::Usage`] with every problem, or if there is no deployment.
    pub fn read_valid(&self, terminal: &Terminal) -> Result<(Vec<Input>, Manifests), Failure> {
        let rules = Rules::of_the_crd().map_err(|error| Failure::Usage(error.to_string()))?;
        let (inputs, manifests) = self.read();
        let problems = validate(&manifests, &rules);
        let (errors, warnings): (Vec<Problem>, Vec<Problem>) = problems.into_iter().partition(Problem::is_error);
        warnings.iter().for_each(|warning| terminal.note(&warning.to_string()));
        if !errors.is_empty() {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return Err(Failure::Usage(format!(
                "the files have mistakes, and nothing was done:\n{}",
                lines.join("\n")
            )));
        }
        if manifests.deployments.is_empty() {
            return Err(no_deployment());
        }
        Ok((inputs, manifests))
    }
}

/// The files hold nothing to work with.
#[must_use]
pub fn no_deployment() -> Failure {
    Failure::Usage("there is no CognigyDeployment in these files; name others with -f".to_owned())
}
