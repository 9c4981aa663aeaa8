//! Waiting for verdicts: the work of `wait` and of `apply --wait`.
//!
//! A wait is bound to the digest of one configuration. It watches the resource, prints a line for each change, and ends at the
//! first final answer.

mod lease;
mod report;
mod target;
pub mod watching;

use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Terminal};
use api::CognigyDeployment;
use api::status::CognigyDeploymentStatus;
use api::verdict::{Finding, Wait};
use clap::ValueEnum;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{TryStreamExt, pin_mut};
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use report::{Ended, Report};
use std::time::Duration;
use target::Observed;
pub use target::Target;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Before there is a verdict, the wait ends only if a person has been needed for this long. If a Secret is applied a
/// moment after the resource, the resource is Stalled only for that moment.
const PERSON_NEEDED_FOR: Duration = Duration::from_secs(20);
/// How often a snapshot that could not be read is read again, and the operator's lease looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitFor {
    /// The end of the attempt, good or bad.
    Verdict,
    /// The condition Ready is True for this configuration.
    Ready,
    /// Cognigy.AI has accepted the rollout. How it ends does not matter.
    Submitted,
    /// The rollout has the approvals that it needs, or needs none. It may still wait for other gates.
    Approval,
}

impl From<WaitFor> for Wait {
    fn from(wait_for: WaitFor) -> Self {
        match wait_for {
            WaitFor::Verdict => Self::Verdict,
            WaitFor::Ready => Self::Ready,
            WaitFor::Submitted => Self::Submitted,
            WaitFor::Approval => Self::Approval,
        }
    }
}

/// A system whose logs can show marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CiFormat {
    /// The system that the environment variables name.
    Auto,
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Azure Pipelines.
    Azure,
    /// No marks.
    None,
}

impl CiFormat {
    /// `Auto` becomes the system whose variables are set.
    #[must_use]
    pub fn detect(self) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto if is_set("GITHUB_ACTIONS") => Self::Github,
            Self::Auto if is_set("GITLAB_CI") => Self::Gitlab,
            Self::Auto if is_set("TF_BUILD") => Self::Azure,
            Self::Auto => Self::None,
            chosen => chosen,
        }
    }
}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What to wait for.
    pub wait_for: WaitFor,
    /// How long.
    pub timeout: Duration,
    /// How long the operator may take until it has seen the spec.
    pub operator_timeout: Duration,
    /// Write the results to stdout in this format.
    pub output: Option<DataFormat>,
    /// Marks for a pipeline.
    pub ci: Option<CiFormat>,
}

/// Waits for all targets at once. The exit code is that of the worst result.
///
/// # Errors
/// [`Failure`], if a resource cannot be watched.
pub async fn run(
    targets: Vec<Target>,
    options: &Options,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let report = Report::new(terminal, options, targets.len() > 1);
    // The waits share one look at the Lease, however many there are.
    let lease = Mutex::new(lease::Observer::new(connection));
    let waits: FuturesUnordered<_> =
        targets.into_iter().map(|target| wait_for(target, options, connection, &lease, &report)).collect();
    let ended: Vec<Ended> = waits.try_collect().await?;
    let exit = ended.iter().map(|ended| ended.exit).max_by_key(|exit| severity(*exit)).unwrap_or(Exit::Succeeded);
    exit.after(report.finish(&ended))
}

/// How bad a result is. The worst result determines the exit code.
fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Succeeded => 0,
        Exit::TimedOut => 1,
        Exit::NeedsPerson => 2,
        Exit::OperatorNotActing => 3,
        Exit::Usage => 4,
        Exit::Failed => 5,
    }
}

async fn wait_for(
    mut target: Target,
    options: &Options,
    connection: &Connection,
    lease: &Mutex<lease::Observer>,
    report: &Report<'_>,
) -> Result<Ended, Failure> {
    let began = Instant::now();
    let deadline = began + options.timeout;
    let api: Api<CognigyDeployment> = Api::namespaced(connection.watching.clone(), &target.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", target.name));
    let events = watch(api, config).default_backoff();
    pin_mut!(events);
    let mut progress = Progress { listens_since: began, seen_at: None, person_needed_since: None };
    let mut latest = target.live.clone();
    let mut is_found = true;
    let mut trouble: Option<String> = None;
    loop {
        target.read_snapshot(&latest, connection).await?;
        let observed = target.observe(&latest);
        if matches!(observed, Observed::Replaced) {
            return Ok(target.ended_deleted(began));
        }
        let status = observed.status();
        // Before a requested retry has started, the status describes the attempt before it.
        let current = observed.current();
        if status.is_some() {
            progress.seen_at.get_or_insert_with(Instant::now);
        }
        let mut finding = target.finding(observed, options.wait_for.into());
        if matches!(finding, Finding::Pending { .. } | Finding::NeedsPerson { .. })
            && let Some(replaced) = target.is_replaced(&latest, connection).await?
        {
            finding = replaced;
        }
        if let (WaitFor::Approval, Finding::Pending { .. } | Finding::NeedsPerson { .. }) = (options.wait_for, &finding)
            && let Some(unneeded) = target.without_approval(&latest)
        {
            finding = unneeded;
        }
        match &trouble {
            Some(problem) => report.trouble(&target, problem),
            None => report.progress(&target, &latest, &finding),
        }
        if let Some(exit) = progress.exit(&finding, current, target.digest.as_ref()) {
            return Ok(target.ended(exit, finding, current, began));
        }
        // While the API server does not answer, nothing is known about the operator.
        if trouble.is_none() {
            let mut lease = lease.lock().await;
            if progress.is_operator_silent(options) || (status.is_some() && lease.is_expired().await) {
                return Ok(target.ended_silent(lease.describe(), current, began));
            }
        }
        if Instant::now() >= deadline {
            let finding = match trouble {
                Some(message) => Finding::Pending { message },
                None => finding,
            };
            return Ok(target.ended(Exit::TimedOut, finding, current, began));
        }
        let next = progress.next_look(options).min(deadline);
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Init)) => is_found = false,
                Some(Ok(Event::InitApply(object))) => (*latest, is_found) = (object, true),
                Some(Ok(Event::Apply(object))) => (*latest, trouble) = (object, None),
                // The object was deleted while nobody watched.
                Some(Ok(Event::InitDone)) if !is_found => return Ok(target.ended_deleted(began)),
                Some(Ok(Event::InitDone)) => {
                    if trouble.take().is_some() {
                        progress.listens_since = Instant::now();
                    }
                }
                Some(Ok(Event::Delete(_))) => return Ok(target.ended_deleted(began)),
                Some(Err(error)) => trouble = Some(watching::of_error(&target.namespace, &target.name, &error)?),
                None => return Err(watching::ended()),
            },
            () = sleep_until(next) => {}
        }
    }
}

/// What a wait remembers about the time.
struct Progress {
    /// Since when the API server answers.
    listens_since: Instant,
    /// When the operator was first known to have seen the spec.
    seen_at: Option<Instant>,
    person_needed_since: Option<Instant>,
}

impl Progress {
    /// The exit code if the finding is final.
    fn exit(
        &mut self,
        finding: &Finding,
        status: Option<&CognigyDeploymentStatus>,
        digest: Option<&api::Digest>,
    ) -> Option<Exit> {
        let Finding::NeedsPerson { .. } = finding else {
            self.person_needed_since = None;
            return match finding {
                Finding::Succeeded { .. } => Some(Exit::Succeeded),
                Finding::Failed { .. } => Some(Exit::Failed),
                Finding::Pending { .. } | Finding::NeedsPerson { .. } => None,
            };
        };
        let since = *self.person_needed_since.get_or_insert_with(Instant::now);
        let attempt = status.and_then(|status| status.attempt.as_ref());
        let is_final = attempt.is_some_and(|attempt| Some(&attempt.digest) == digest && attempt.verdict.is_some());
        (is_final || since.elapsed() >= PERSON_NEEDED_FOR).then_some(Exit::NeedsPerson)
    }

    fn is_operator_silent(&self, options: &Options) -> bool {
        self.seen_at.is_none() && self.listens_since.elapsed() >= options.operator_timeout
    }

    /// When to look again, although nothing has changed.
    fn next_look(&self, options: &Options) -> Instant {
        let now = Instant::now();
        let silent_at = (self.seen_at.is_none()).then_some(self.listens_since + options.operator_timeout);
        let person_at = self.person_needed_since.map(|since| since + PERSON_NEEDED_FOR);
        // A moment that has passed without an end, because the API server does not answer, must not make the loop spin.
        let moments = [silent_at, person_at].into_iter().flatten().filter(|moment| *moment > now);
        moments.fold(now + LOOK_AGAIN, Instant::min)
    }
}
