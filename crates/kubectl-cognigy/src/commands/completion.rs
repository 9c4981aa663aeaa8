//! Completion for shells and for kubectl, and the man page. All of it is generated from the command line itself.

use super::deployments;
use crate::arguments::{Arguments as CommandLine, GlobalArguments};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::Terminal;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::time::Duration;

/// The plugin's completion for kubectl: an executable of this name on the PATH. kubectl calls it with the words after
/// `kubectl cognigy`.
const FOR_KUBECTL: &str = "#!/bin/sh
# Completion of `kubectl cognigy` for kubectl. Save it on the PATH as kubectl_complete-cognigy, and make it executable.
exec kubectl-cognigy __complete -- \"$@\"
";
/// Tells kubectl not to offer files, and not to add anything.
const NO_FILES: &str = ":4";
/// The maximum time to find candidates. A person waits for them while typing.
const PATIENCE: Duration = Duration::from_secs(2);

/// `completion`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The shell, or `kubectl` for the file kubectl_complete-cognigy.
    #[arg(value_enum)]
    shell: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Bash,
    Elvish,
    Fish,
    Kubectl,
    Powershell,
    Zsh,
}

/// `__complete`.
#[derive(Args, Debug)]
pub struct CompleteArguments {
    /// The words that were typed so far. The last one is incomplete.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Prints a completion script.
///
/// # Errors
/// Stdout cannot be written.
pub fn print(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Failure> {
    let shell = match arguments.shell {
        Kind::Bash => Shell::Bash,
        Kind::Elvish => Shell::Elvish,
        Kind::Fish => Shell::Fish,
        Kind::Powershell => Shell::PowerShell,
        Kind::Zsh => Shell::Zsh,
        Kind::Kubectl => {
            terminal.line(FOR_KUBECTL)?;
            return Ok(Exit::Succeeded);
        }
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "kubectl-cognigy", &mut script);
    terminal.line(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Succeeded)
}

/// Prints the man page.
///
/// # Errors
/// Stdout cannot be written.
pub fn print_man(terminal: &Terminal) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(CommandLine::command()).render(&mut page)?;
    terminal.line(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Succeeded)
}

/// Prints candidates for the last word, one a line, and then the directive that kubectl expects.
///
/// # Errors
/// Stdout cannot be written.
pub async fn complete(
    arguments: &CompleteArguments,
    global: &GlobalArguments,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut words = vec![OsString::from("kubectl-cognigy")];
    words.extend(arguments.words.iter().cloned());
    let last = words.len().saturating_sub(1).max(1);
    let mut command = CommandLine::command();
    let candidates = clap_complete::engine::complete(&mut command, words.clone(), last, None)?;
    let mut lines: Vec<String> = candidates
        .iter()
        .filter(|candidate| !candidate.is_hide_set())
        .map(|candidate| match candidate.get_help() {
            Some(help) => format!("{}\t{}", candidate.get_value().to_string_lossy(), first_line(&help.to_string())),
            None => candidate.get_value().to_string_lossy().into_owned(),
        })
        .collect();
    lines.extend(names(&words, global).await);
    lines.push(NO_FILES.to_owned());
    terminal.line(&lines.join("\n"))?;
    Ok(Exit::Succeeded)
}

fn first_line(help: &str) -> &str {
    help.lines().next().unwrap_or_default()
}

/// The names of deployments, if the last word may be one. Without a cluster there are none.
async fn names(words: &[OsString], global: &GlobalArguments) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let command = CommandLine::command();
    let takes_name = words
        .iter()
        .skip(1)
        .find_map(|word| command.find_subcommand(word))
        .is_some_and(|found| found.get_positionals().any(|positional| positional.get_id() == "name"));
    let last = words.last().cloned().unwrap_or_default();
    if !takes_name || last.starts_with('-') {
        return Vec::new();
    }
    let global = global_of(&words, global);
    let names = async {
        let connection = Connection::open(&global).await.ok()?;
        deployments::list(&connection, false, None).await.ok()
    };
    let listed = tokio::time::timeout(PATIENCE, names).await.ok().flatten().unwrap_or_default();
    listed.into_iter().map(|listed| listed.name).filter(|name| name.starts_with(&last)).collect()
}

/// The namespace, context and kubeconfig among the words that were typed.
fn global_of(words: &[String], global: &GlobalArguments) -> GlobalArguments {
    let value = |names: &[&str]| {
        let with_equals = words.iter().find_map(|word| {
            names.iter().find_map(|name| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        });
        let next = words.windows(2).find(|pair| names.contains(&pair[0].as_str())).map(|pair| pair[1].clone());
        with_equals.or(next)
    };
    GlobalArguments {
        namespace: value(&["-n", "--namespace"]).or_else(|| global.namespace.clone()),
        context: value(&["--context"]).or_else(|| global.context.clone()),
        kubeconfig: value(&["--kubeconfig"]).map(Into::into).or_else(|| global.kubeconfig.clone()),
        ..global.clone()
    }
}
