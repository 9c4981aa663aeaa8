//! The command line.

use crate::commands::Command;
use clap::{Args, Parser, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kubectl cognigy list -A                                  what runs in the whole fleet, and what waits
  kubectl cognigy status customer-service-prod --watch     one deployment, step by step
  kubectl cognigy explain customer-service-prod            why it is in this state, and what to do
  kubectl cognigy apply -f production.yaml --wait          for pipelines: apply, and wait for the verdict

Exit codes:
  0 success   1 bad verdict   2 usage   3 time-out   4 a person is needed   5 the operator does not act";

/// See what Cognigy.AI deployments run and why, act on them, and wait for verdicts in pipelines.
#[derive(Debug, Parser)]
#[command(name = "kubectl-cognigy", bin_name = "kubectl cognigy", version, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true, max_term_width = 120)]
pub struct Arguments {
    /// The flags of every command.
    #[command(flatten)]
    pub global: GlobalArguments,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that every command has. They mean the same as those of kubectl.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Flags of every command")]
pub struct GlobalArguments {
    /// The namespace. Without it, the namespace of the context.
    #[arg(long, short, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The context of the kubeconfig. Without it, the current one.
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub context: Option<String>,

    /// The kubeconfig. Without it, $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The user to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,

    /// A group to impersonate. Repeatable.
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "as_user")]
    pub as_group: Vec<String>,

    /// How long the API server may take to answer a request, for example 10s. 0: no limit. Without it: 30s.
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub request_timeout: Option<Duration>,

    /// When to use colour. `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: Color,
}

impl GlobalArguments {
    /// The flags that choose the cluster, the user and the namespace, for kubectl.
    #[must_use]
    pub fn for_kubectl(&self) -> Vec<OsString> {
        let mut flags = Vec::new();
        let mut add = |flag: &str, value: &OsStr| flags.extend([OsString::from(flag), value.to_owned()]);
        self.kubeconfig.iter().for_each(|path| add("--kubeconfig", path.as_os_str()));
        self.context.iter().for_each(|context| add("--context", context.as_ref()));
        self.as_user.iter().for_each(|user| add("--as", user.as_ref()));
        self.as_group.iter().for_each(|group| add("--as-group", group.as_ref()));
        let timeout = self.request_timeout.map(|timeout| format!("{}ms", timeout.as_millis()));
        timeout.iter().for_each(|timeout| add("--request-timeout", timeout.as_ref()));
        // kubectl refuses documents of another namespace if the flag is given, so it is passed only if the caller gave it.
        self.namespace.iter().for_each(|namespace| add("--namespace", namespace.as_ref()));
        flags
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The longest duration that is accepted: a year. A clock cannot count an endless one.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a duration such as `90s`, `10m`, `1h30m` or a plain number of seconds.
///
/// # Errors
/// The text is no duration. The message shows examples.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write for example 90s, 10m or 1h30m");
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
            Duration::try_from(span).map_err(|_| wrong())?
        }
    };
    match duration <= LONGEST {
        true => Ok(duration),
        false => Err(format!("`{text}` is longer than a year; write at most 8760h")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn kubectl_gets_the_namespace_only_if_the_caller_named_one() {
        let flags = |line: &[&str]| {
            let line = [&["kubectl-cognigy"], line, &["list"]].concat();
            let flags = Arguments::try_parse_from(line).unwrap().global.for_kubectl();
            flags.iter().map(|flag| flag.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert!(flags(&[]).is_empty(), "kubectl refuses documents of other namespaces if the flag is given");
        assert_eq!(flags(&["-n", "bots"]), ["--namespace", "bots"]);
        assert_eq!(flags(&["--request-timeout", "5s"]), ["--request-timeout", "5000ms"]);
    }

    #[test]
    fn durations_are_read_as_kubectl_writes_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-5s", "8761h", "18446744073709551615", "99999999999999999999"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
