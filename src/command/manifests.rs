//! Manifests on the command line: the flags that name them, and their problems as lines. `validate` and `deploy` share it.

use clap::Args;
use manifest::read::{Input, collect, read};
use manifest::validate::{NoSchema, Rules, validate};
use manifest::{Manifests, Problem};
use std::io::Read;
use std::path::PathBuf;

/// The flags that name manifests.
#[derive(Args, Clone, Debug)]
pub struct ManifestArguments {
    /// A file, a folder, or - for standard input. Repeatable.
    #[arg(long = "filename", short = 'f', value_name = "FILE|DIR|-", required = true)]
    pub filenames: Vec<PathBuf>,

    /// Also reads the folders in a folder.
    #[arg(long, short = 'R')]
    pub recursive: bool,
}

/// Manifests that were read and validated.
pub(super) struct Validated {
    pub(super) manifests: Manifests,
    /// The problems of reading and of validation.
    pub(super) problems: Vec<Problem>,
}

impl ManifestArguments {
    /// Reads and validates the manifests.
    ///
    /// # Errors
    /// [`NoSchema`] in a build that is broken.
    pub(super) fn validated(&self, input: &mut dyn Read) -> Result<Validated, NoSchema> {
        let (inputs, unreadable) = collect(&self.filenames, self.recursive, input);
        Validated::of(&inputs, unreadable)
    }
}

impl Validated {
    /// Validates texts. `unreadable` is what could not be read.
    ///
    /// # Errors
    /// [`NoSchema`] in a build that is broken.
    pub(super) fn of(inputs: &[Input], unreadable: Vec<Problem>) -> Result<Self, NoSchema> {
        let mut manifests = read(inputs);
        manifests.problems.extend(unreadable);
        let problems = validate(&manifests, &Rules::of_the_crd()?);
        Ok(Self { manifests, problems })
    }

    /// How many problems are errors.
    pub(super) fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_error()).count()
    }

    /// A line for each problem. A manifest must not draw over the terminal.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| problem.to_string().replace(char::is_control, "\u{fffd}"))
    }
}

/// A number with its noun.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
