//! What a wait tells: a line for each change, the result, and marks for pipelines.

use super::{CiFormat, Options, Target};
use crate::exit::{Exit, Failure};
use crate::output::{Style, Terminal, one_line, short_duration};
use crate::view::state::state;
use api::CognigyDeployment;
use api::status::CognigyDeploymentStatus;
use api::verdict::Finding;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

/// Writes what happens. Lines about progress go to stderr, results to stdout.
pub struct Report<'t> {
    terminal: &'t Terminal,
    options: &'t Options,
    names_each: bool,
    /// The last line about each resource, so that none is written twice.
    last: RefCell<HashMap<String, String>>,
}

/// How a wait has ended. docs/pipelines.md documents these fields.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Succeeded, Failed, NeedsPerson, TimedOut or OperatorNotActing.
    result: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    seconds: u64,
    /// The exit code.
    #[serde(skip)]
    pub exit: Exit,
}

impl Ended {
    /// Describes the end of a wait.
    #[must_use]
    pub fn new(
        target: &Target,
        exit: Exit,
        finding: Finding,
        status: Option<&CognigyDeploymentStatus>,
        lasted: Duration,
    ) -> Self {
        let (reason, message) = match finding {
            Finding::Pending { message } | Finding::NeedsPerson { message, .. } if exit == Exit::TimedOut => {
                (None, format!("the time-out passed before there was a verdict; last state: {message}"))
            }
            Finding::Pending { message } | Finding::Succeeded { message, .. } => (None, message),
            Finding::Failed { reason, message } | Finding::NeedsPerson { reason, message } => {
                (Some(reason.to_string()), message)
            }
        };
        let attempt = status
            .and_then(|status| status.attempt.as_ref())
            .filter(|attempt| Some(&attempt.digest) == target.digest.as_ref());
        Self {
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            digest: target.digest.as_ref().map(ToString::to_string),
            result: match exit {
                Exit::Succeeded => "Succeeded",
                Exit::Failed => "Failed",
                Exit::Usage => "Usage",
                Exit::TimedOut => "TimedOut",
                Exit::NeedsPerson => "NeedsPerson",
                Exit::OperatorNotActing => "OperatorNotActing",
            },
            exit_code: exit as u8,
            reason,
            message,
            attempt: attempt.map(|attempt| attempt.number),
            version: attempt.and_then(|attempt| attempt.version.clone()),
            job_id: attempt.and_then(|attempt| attempt.job_id()).map(|job_id| job_id.as_str().to_owned()),
            seconds: lasted.as_secs(),
            exit,
        }
    }
}

impl<'t> Report<'t> {
    /// A report that has said nothing yet.
    #[must_use]
    pub fn new(terminal: &'t Terminal, options: &'t Options, names_each: bool) -> Self {
        Self { terminal, options, names_each, last: RefCell::default() }
    }

    /// Prints a change in one line. Prints no line twice.
    pub fn progress(&self, target: &Target, object: &CognigyDeployment, finding: &Finding) {
        let word = state(object).word;
        let (style, message) = match finding {
            Finding::Pending { message } => (Style::Attention, message),
            Finding::Succeeded { message, .. } => (Style::Good, message),
            Finding::Failed { message, .. } | Finding::NeedsPerson { message, .. } => (Style::Bad, message),
        };
        self.say(target, format!("{}  {}", self.terminal.paint(style, &format!("{word:<17}")), one_line(message)));
    }

    /// Reports a problem with the watch. The watch continues by itself.
    pub fn trouble(&self, target: &Target, problem: &str) {
        self.say(target, one_line(problem));
    }

    fn say(&self, target: &Target, text: String) {
        let key = format!("{}/{}", target.namespace, target.name);
        let previous = self.last.borrow_mut().insert(key.clone(), text.clone());
        if previous.as_ref() == Some(&text) {
            return;
        }
        let now = Timestamp::now().strftime("%H:%M:%S");
        let name = if self.names_each { format!("{key}  ") } else { String::new() };
        self.terminal.note(&format!("{}  {name}{text}", self.terminal.paint(Style::Dim, &now.to_string())));
    }

    /// Writes the results.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn finish(&self, ended: &[Ended]) -> Result<(), Failure> {
        for result in ended {
            self.mark(result)?;
        }
        match self.options.output {
            Some(format) => {
                let names: Vec<String> = ended.iter().map(|result| result.name.clone()).collect();
                match ended {
                    [one] => self.terminal.line(&format.write(one, &names)?),
                    several => self.terminal.line(&format.write(&several, &names)?),
                }
            }
            None => ended.iter().try_for_each(|result| self.terminal.line(&self.summary(result))),
        }
    }

    fn summary(&self, ended: &Ended) -> String {
        let (style, word) = match ended.exit {
            Exit::Succeeded => (Style::Good, "success"),
            Exit::Failed => (Style::Bad, "bad verdict"),
            Exit::TimedOut => (Style::Attention, "time-out"),
            Exit::NeedsPerson => (Style::Attention, "a person is needed"),
            Exit::OperatorNotActing | Exit::Usage => (Style::Bad, "the operator does not act"),
        };
        let lasted = short_duration(SignedDuration::from_secs(i64::try_from(ended.seconds).unwrap_or(i64::MAX)));
        let reason = ended.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!(
            "{}/{}: {}{reason} after {lasted}: {}",
            ended.namespace,
            ended.name,
            self.terminal.paint(style, word),
            one_line(&ended.message)
        )
    }

    /// A mark that the page of the pipeline's run shows. Beside data on stdout, it goes to stderr.
    fn mark(&self, ended: &Ended) -> Result<(), Failure> {
        let system = self.options.ci.unwrap_or(CiFormat::None);
        match mark(system, ended, Timestamp::now().as_second()) {
            Some(mark) => self.terminal.command(&mark, self.options.output.is_some()),
            None => Ok(()),
        }
    }
}

/// The mark for a result. What the cluster says is in it as plain text only.
fn mark(system: CiFormat, ended: &Ended, now: i64) -> Option<String> {
    let name = format!("{}/{}", ended.namespace, ended.name);
    let title = one_line(&format!("{name}: {}", ended.reason.as_deref().unwrap_or(ended.result)));
    let message = one_line(&ended.message);
    match system {
        CiFormat::Github => {
            let level = match ended.exit {
                Exit::Succeeded => "notice",
                Exit::NeedsPerson | Exit::TimedOut => "warning",
                Exit::Failed | Exit::Usage | Exit::OperatorNotActing => "error",
            };
            let (title, message) = (github_escaped(&title, true), github_escaped(&message, false));
            Some(format!("::{level} title={title}::{message}"))
        }
        CiFormat::Azure if ended.exit != Exit::Succeeded => {
            let kind = if ended.exit == Exit::Failed { "error" } else { "warning" };
            Some(format!("##vso[task.logissue type={kind}]{title}: {message}"))
        }
        CiFormat::Gitlab => {
            // A section of the job's log, opened at once.
            let section = format!("cognigy_{}_{}", ended.namespace, ended.name).replace(['-', '.'], "_");
            let head = format!("section_start:{now}:{section}\r\u{1b}[0K{title}");
            let tail = format!("section_end:{now}:{section}\r\u{1b}[0K");
            Some(format!("{head}\n{message}\n{tail}"))
        }
        CiFormat::Azure | CiFormat::Auto | CiFormat::None => None,
    }
}

/// Escapes a text for a workflow command of GitHub Actions. A property has two more characters with a meaning.
fn github_escaped(text: &str, is_property: bool) -> String {
    let escaped = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    match is_property {
        true => escaped.replace(':', "%3A").replace(',', "%2C"),
        false => escaped,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_command_of_github_actions() {
        assert_eq!(github_escaped("50 %\n::error::x", false), "50 %25%0A::error::x");
        assert_eq!(github_escaped("bots/a: Bad, worse", true), "bots/a%3A Bad%2C worse");
    }

    #[test]
    fn a_message_cannot_forge_a_mark_or_a_control_sequence_of_any_system() {
        let hostile = "bad\n::add-mask::x\r##vso[task.setvariable variable=PATH]y\u{1b}[2Jsection_end:1:z\r\u{1b}[0K";
        let ended = Ended {
            namespace: "bots".to_owned(),
            name: "bot".to_owned(),
            digest: None,
            result: "Failed",
            exit_code: 1,
            reason: None,
            message: hostile.to_owned(),
            attempt: None,
            version: None,
            job_id: None,
            seconds: 1,
            exit: Exit::Failed,
        };
        for (system, lines, escapes) in [(CiFormat::Github, 1, 0), (CiFormat::Azure, 1, 0), (CiFormat::Gitlab, 3, 2)] {
            let mark = mark(system, &ended, 0).unwrap();
            assert_eq!(mark.lines().count(), lines, "{mark:?}");
            assert_eq!(mark.matches('\u{1b}').count(), escapes, "{mark:?}");
            assert_eq!(mark.matches("##vso[").count(), usize::from(system == CiFormat::Azure), "{mark:?}");
        }
        assert_eq!(mark(CiFormat::None, &ended, 0), None);
    }
}
