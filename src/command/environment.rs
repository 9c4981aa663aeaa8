//! Environment variables. An empty variable counts as not set: charts and manifests render `value: ""` for a value that
//! is not set.

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};
use std::env;
use std::ffi::OsStr;

/// Reads the command line, and the environment for flags that the command line does not set. If they cannot be read, or
/// help is requested, it prints a message and ends the process.
#[must_use]
pub fn parse<A: CommandFactory + FromArgMatches>() -> A {
    let command = || without_variables(A::command(), &|name| env::var_os(name).is_some_and(|value| value.is_empty()));
    let matches = command().try_get_matches().unwrap_or_else(|error| match error.kind() {
        // The help lists every variable, also an empty one.
        ErrorKind::DisplayHelp => A::command().get_matches(),
        _ => error.exit(),
    });
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command()).exit())
}

/// The command and its subcommands, changed so that their flags do not read the variables that `is_left_out` selects.
fn without_variables(command: Command, is_left_out: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|argument| match argument.get_env().is_some_and(is_left_out) {
        true => argument.env(Resettable::Reset),
        false => argument,
    });
    command.mut_subcommands(|subcommand| without_variables(subcommand, is_left_out))
}

/// The value of a variable that belongs to no flag. `None` if it is not set, empty, or not valid Unicode.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
