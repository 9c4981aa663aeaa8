//! Completion for shells and for kubectl, and the man pages. All of it is generated from the command line itself.

use super::deployments;
use crate::arguments::{Arguments as CommandLine, GlobalArguments};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::Terminal;
use clap::{Args, CommandFactory, ValueEnum, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The plugin's completion for kubectl: an executable of this name on the PATH. kubectl calls it with the words after
/// `kubectl cognigy`. The archives of a release hold the same file.
const FOR_KUBECTL: &str = include_str!("../../kubectl_complete-cognigy");
/// Tells kubectl not to offer files, and not to add anything.
const NO_FILES: &str = ":4";
/// Tells kubectl to offer files if there are no candidates.
const FILES: &str = ":0";
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

/// `man`.
#[derive(Args, Debug)]
pub struct ManArguments {
    /// Write one page for each command into this folder. Without it, one page with all commands is printed.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
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

/// Prints the man page with all commands, or writes one page for each command.
///
/// # Errors
/// Stdout or a page cannot be written.
pub fn man(arguments: &ManArguments, terminal: &Terminal) -> Result<Exit, Failure> {
    match &arguments.directory {
        Some(directory) => write_pages(directory).map_err(|error| {
            let directory = directory.display();
            Failure::Usage(format!(
                "cannot write the man pages into {directory}: {error}; name a folder that you may write to"
            ))
        })?,
        None => terminal.line(&String::from_utf8_lossy(&one_page()?))?,
    }
    Ok(Exit::Succeeded)
}

fn write_pages(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(CommandLine::command(), directory)
}

/// One man page: the flags of every command once, then a section for each command.
fn one_page() -> std::io::Result<Vec<u8>> {
    let mut all = CommandLine::command();
    all.build();
    let mut page = Vec::new();
    let top = Man::new(all.clone());
    top.render_title(&mut page)?;
    top.render_name_section(&mut page)?;
    top.render_synopsis_section(&mut page)?;
    top.render_options_section(&mut page)?;
    for command in all.get_subcommands().filter(|command| !command.is_hide_set()) {
        page.extend(section_of(command)?);
    }
    top.render_extra_section(&mut page)?;
    top.render_version_section(&mut page)?;
    Ok(page)
}

/// A command as a section of the page. The sections of its own page become subsections.
fn section_of(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    // Every command also has the flags of the top level.
    let own = command.clone().mut_args(|argument| {
        let is_of_every_command = argument.is_global_set() || argument.get_id() == "help";
        if is_of_every_command { argument.hide(true) } else { argument }
    });
    let has_arguments = own.get_arguments().any(|argument| !argument.is_hide_set());
    let has_examples = own.get_after_long_help().or(own.get_after_help()).is_some();
    let title = own.get_bin_name().unwrap_or(own.get_name()).to_uppercase();
    let man = Man::new(own);
    let mut page = Vec::new();
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if has_arguments {
        man.render_options_section(&mut page)?;
    }
    if has_examples {
        man.render_extra_section(&mut page)?;
    }
    let page = String::from_utf8_lossy(&page).replace("\n.SH ", "\n.SS ");
    Ok(format!(".SH \"{title}\"\n{page}").into_bytes())
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
    lines.push(if takes_files(&words) { FILES } else { NO_FILES }.to_owned());
    terminal.line(&lines.join("\n"))?;
    Ok(Exit::Succeeded)
}

fn first_line(help: &str) -> &str {
    help.lines().next().unwrap_or_default()
}

/// Whether the last word may be a file: the arguments of the command are files, and it is no flag.
fn takes_files(words: &[OsString]) -> bool {
    let command = CommandLine::command();
    let found = words.iter().skip(1).find_map(|word| command.find_subcommand(word));
    let is_flag = words.last().is_some_and(|word| word.to_string_lossy().starts_with('-'));
    !is_flag
        && found.is_some_and(|found| {
            found.get_positionals().any(|positional| positional.get_value_hint() == ValueHint::AnyPath)
        })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The names of the commands that the help shows.
    fn visible() -> Vec<String> {
        let command = CommandLine::command();
        let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
        visible.map(|command| command.get_name().to_owned()).collect()
    }

    #[test]
    fn the_one_man_page_has_a_section_for_each_command_and_the_common_flags_once() {
        let page = String::from_utf8(one_page().unwrap()).unwrap();
        assert_eq!(page.matches("\n.TH ").count(), 1, "{page}");
        for name in visible() {
            let heading = format!("\n.SH \"KUBECTL COGNIGY {}\"\n", name.to_uppercase());
            assert_eq!(page.matches(&heading).count(), 1, "{name}: {page}");
        }
        assert!(!page.contains("COGNIGY __COMPLETE"), "{page}");
        assert_eq!(page.matches("\n\\fB\\-\\-kubeconfig\\fR").count(), 1, "{page}");
        let wait = page.split("KUBECTL COGNIGY WAIT").nth(1).unwrap().split("\n.SH ").next().unwrap();
        assert!(wait.contains("\n.SS SYNOPSIS\n") && wait.contains("\n\\fB\\-\\-timeout\\fR"), "{wait}");
    }

    #[test]
    fn a_folder_gets_one_man_page_for_the_plugin_and_one_for_each_command() {
        let folder = tempfile::tempdir().unwrap();
        // The folder is created if it is missing.
        let directory = folder.path().join("man/man1");
        write_pages(&directory).unwrap();
        let mut found: Vec<String> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut expected: Vec<String> = visible().iter().map(|name| format!("kubectl-cognigy-{name}.1")).collect();
        expected.push("kubectl-cognigy.1".to_owned());
        expected.sort();
        assert_eq!(found, expected);
        let page = std::fs::read_to_string(directory.join("kubectl-cognigy-wait.1")).unwrap();
        assert!(page.contains("\n.TH kubectl-cognigy-wait 1 ") && page.contains("\\-\\-timeout"), "{page}");
    }

    #[test]
    fn files_are_offered_only_to_a_command_whose_arguments_are_files() {
        let takes = |line: &str| takes_files(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(takes("kubectl-cognigy promote ") && takes("kubectl-cognigy promote a.yaml b"));
        assert!(
            !takes("kubectl-cognigy promote --na") && !takes("kubectl-cognigy wait ") && !takes("kubectl-cognigy pro")
        );
    }

    #[test]
    fn the_completion_for_kubectl_is_a_script_that_asks_the_plugin() {
        assert!(FOR_KUBECTL.starts_with("#!/bin/sh\n"), "{FOR_KUBECTL}");
        assert!(FOR_KUBECTL.ends_with("\nexec kubectl-cognigy __complete -- \"$@\"\n"), "{FOR_KUBECTL}");
    }
}
