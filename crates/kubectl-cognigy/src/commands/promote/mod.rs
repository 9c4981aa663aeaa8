//! `promote`: copies a release from one manifest into another one. It reads and writes files only, and never asks the cluster.

mod file;

use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Terminal};
use clap::Args;
use manifest::promote::{Place, Promotion, Shown, promote};
use serde::Serialize;
use similar::TextDiff;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kubectl cognigy promote staging/bot.yaml prod/bot.yaml            copy the release of staging to production
  kubectl cognigy promote staging/bot.yaml prod/bot.yaml --dry-run  show the change as a diff, and write nothing
  kubectl cognigy promote bots.yaml bots.yaml --from-name stage --name prod

The release is spec.configurationSnapshot or spec.configurationSnapshotFrom, spec.dependencyLocks, spec.displayVersion and
the label app.kubernetes.io/version. Everything else in TO stays byte for byte. The cluster is not asked and not changed.

Exit codes:
  0 done, or nothing to do   2 error; nothing was written";

/// `promote`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The file with the release: YAML or JSON.
    #[arg(value_name = "FROM")]
    from: PathBuf,

    /// The file that gets the release, in the same format.
    #[arg(value_name = "TO")]
    to: PathBuf,

    /// The deployment in TO, if it holds several.
    #[arg(long = "name", value_name = "NAME|NAMESPACE/NAME")]
    to_name: Option<String>,

    /// The deployment in FROM, if it holds several.
    #[arg(long, value_name = "NAME|NAMESPACE/NAME")]
    from_name: Option<String>,

    /// Show the change as a unified diff, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,
}

/// What was promoted. docs/by-hand.md documents these fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    changed: Vec<String>,
    written: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What the file alone does not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// Copies the release.
///
/// # Errors
/// [`Failure::Usage`] if a file cannot be read, edited or written. Then the target is as it was.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Failure> {
    let (from, to) = (arguments.from.display().to_string(), arguments.to.display().to_string());
    let source = file::read(&arguments.from).map_err(|error| wrong(&from, &error))?;
    let target = file::read_target(&arguments.to).map_err(|error| wrong(&to, &error))?;
    let promotion = promote(
        &Place { file: &from, text: &source, name: arguments.from_name.as_deref(), flag: "--from-name" },
        &Place { file: &to, text: &target, name: arguments.to_name.as_deref(), flag: "--name" },
    )
    .map_err(|problem| Failure::Usage(problem.to_string()))?;
    let is_written = !promotion.fields.is_empty() && !arguments.dry_run;
    if is_written {
        file::replace(&arguments.to, &target, &promotion.text).map_err(|error| wrong(&to, &error))?;
    }
    let summary = summary(&to, &promotion, &target, is_written, arguments.dry_run);
    // The file is written, whatever happens to the output.
    Exit::Succeeded.after(show(arguments, &summary, &promotion, terminal))
}

fn wrong(file: &str, message: &str) -> Failure {
    Failure::Usage(format!("{file}: {message}"))
}

fn summary(file: &str, promotion: &Promotion, before: &str, is_written: bool, has_diff: bool) -> Summary {
    let digest = |shown: &Shown| shown.digest.as_ref().map(ToString::to_string);
    Summary {
        file: file.to_owned(),
        namespace: promotion.namespace.clone(),
        name: promotion.name.clone(),
        changed: promotion.fields.iter().map(|field| field.path().to_owned()).collect(),
        written: is_written,
        version_before: promotion.before.version.clone(),
        version: promotion.after.version.clone(),
        digest_before: digest(&promotion.before),
        digest: digest(&promotion.after),
        note: note(promotion),
        diff: has_diff.then(|| diff(file, before, &promotion.text)),
    }
}

fn show(arguments: &Arguments, summary: &Summary, promotion: &Promotion, terminal: &Terminal) -> Result<(), Failure> {
    if let Some(format) = arguments.output {
        let name = promotion.name.clone().unwrap_or_default();
        return terminal.line(&format.write(summary, &[name])?);
    }
    match &summary.diff {
        // The diff alone is the output, so that it can be piped.
        Some(diff) if !diff.is_empty() => {
            terminal.line(diff)?;
            in_words(summary, promotion, terminal).iter().for_each(|line| terminal.note(line));
            Ok(())
        }
        _ => in_words(summary, promotion, terminal).iter().try_for_each(|line| terminal.line(line)),
    }
}

fn in_words(summary: &Summary, promotion: &Promotion, terminal: &Terminal) -> Vec<String> {
    let (file, object) = (&summary.file, &promotion.object);
    let release = release(&promotion.after);
    let mut lines = Vec::new();
    if summary.changed.is_empty() {
        lines.push(format!("{file}: {object} already has {release}; nothing to do"));
    } else {
        let arrow = terminal.pick("→", "->");
        let before = self::release(&promotion.before);
        let fields = summary.changed.join(", ");
        let dry = if summary.written { "" } else { " (dry run: nothing was written)" };
        lines.push(format!("{file}: {object}: {before} {arrow} {release}; changed: {fields}{dry}"));
    }
    lines.extend(summary.note.clone());
    if summary.written {
        lines.push(format!("next: look at it with `git diff {}`, commit it, and open a pull request", quoted(file)));
    }
    lines
}

/// A release in a few words.
fn release(shown: &Shown) -> String {
    let digest = shown.digest.as_ref().map(|digest| digest.short());
    match (&shown.version, digest) {
        (Some(version), Some(digest)) => format!("version {version} ({digest})"),
        (Some(version), None) => format!("version {version}"),
        (None, Some(digest)) => format!("configuration {digest}"),
        (None, None) => "a release without a version".to_owned(),
    }
}

fn note(promotion: &Promotion) -> Option<String> {
    let reference = promotion.config_map.as_ref()?;
    let namespace = match &promotion.namespace {
        Some(namespace) => format!("in the namespace {namespace}"),
        None => "in the namespace of the deployment".to_owned(),
    };
    let text = match &reference.sha256 {
        Some(hash) => format!("a text with the SHA-256 {hash}"),
        None => "the same text as for the source; to be sure, name its sha256 in configMapKeyRef".to_owned(),
    };
    Some(format!(
        "the snapshot is not in this file: the ConfigMap {} must exist {namespace}, and its key {} must hold {text}",
        reference.name, reference.key
    ))
}

/// A unified diff, as `git diff` shows it.
fn diff(file: &str, before: &str, after: &str) -> String {
    let file = file.trim_start_matches("./");
    TextDiff::from_lines(before, after).unified_diff().header(&format!("a/{file}"), &format!("b/{file}")).to_string()
}

/// A file name for a shell.
fn quoted(file: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+@%,:=".contains(&byte);
    match file.bytes().all(is_plain) {
        true => file.to_owned(),
        false => format!("'{}'", file.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
