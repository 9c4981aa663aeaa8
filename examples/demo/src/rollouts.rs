//! Applies and watches: every resource is applied, then watched until the operator has nothing more to do for it.

use crate::board::{Board, Row};
use crate::error::{Error, Trying};
use crate::output::Output;
use crate::releases::{NAMESPACE, RELEASES, Release};
use api::CognigyDeployment;
use api::status::Step;
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use simulator::WorldHandle;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The time limit for all resources. They need less than half of it.
const WITHIN: Duration = Duration::from_secs(100);
/// How often the clock on a terminal is redrawn.
const REDRAW_EVERY: Duration = Duration::from_millis(500);

/// One resource that the demo has applied.
pub struct AppliedRelease {
    /// Which one.
    pub release: &'static Release,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// Its state so far.
    pub state: ReleaseState,
}

/// The state of a resource so far.
pub enum ReleaseState {
    /// The API server refused it, with this message.
    Refused(String),
    /// The API server accepted it. This is its newest version that the demo has seen.
    Accepted(Box<CognigyDeployment>),
}

impl AppliedRelease {
    /// Whether nothing more will happen to it: it was refused, or it ended and every message is delivered.
    fn has_ended(&self) -> bool {
        let ReleaseState::Accepted(object) = &self.state else { return true };
        let Some(status) = &object.status else { return false };
        let is_settled = |step| step == Step::Settled;
        status.attempt.as_ref().is_some_and(|attempt| is_settled(attempt.step)) && status.outbox.is_empty()
    }
}

/// Applies all resources, as `kubectl apply` would.
pub async fn apply(kubernetes: &Client, output: &Output) -> Result<Vec<AppliedRelease>, Error> {
    let mut all_applied = Vec::new();
    for release in &RELEASES {
        output.print_timed(&format!("applying {:<19}  {}", release.name, release.shows))?;
        let applied_at = Timestamp::now();
        all_applied.push(AppliedRelease { release, applied_at, state: submit(kubernetes, release).await? });
    }
    Ok(all_applied)
}

async fn submit(kubernetes: &Client, release: &'static Release) -> Result<ReleaseState, Error> {
    let broken = |problem: String| Error::Script { file: release.name, problem };
    // The manifest is sent as it is written, so that the API server finds its mistakes.
    let object: DynamicObject = serde_saphyr::from_str(release.manifest).map_err(|error| broken(error.to_string()))?;
    let resource = ApiResource::erase::<CognigyDeployment>(&());
    let resources: Api<DynamicObject> = Api::namespaced_with(kubernetes.clone(), NAMESPACE, &resource);
    match resources.create(&PostParams::default(), &object).await {
        Ok(accepted) => {
            let accepted = accepted.try_parse::<CognigyDeployment>().map_err(|error| broken(error.to_string()))?;
            Ok(ReleaseState::Accepted(Box::new(accepted)))
        }
        Err(kube::Error::Api(refusal)) if refusal.code == 422 => Ok(ReleaseState::Refused(refusal.message)),
        Err(error) => Err(error).trying("accept a resource"),
    }
}

/// Watches until every release has ended, or the time is up, and shows each change.
pub async fn watch(
    kubernetes: &Client,
    platform: &WorldHandle,
    all_applied: &mut [AppliedRelease],
    output: &Output,
) -> Result<(), Error> {
    let mut board = Board::new(output);
    let watched = timeout(WITHIN, follow(kubernetes, platform, all_applied, &mut board)).await;
    board.close()?;
    // If a resource has not ended by now, the verdict says what is missing.
    watched.unwrap_or(Ok(()))
}

async fn follow(
    kubernetes: &Client,
    platform: &WorldHandle,
    all_applied: &mut [AppliedRelease],
    board: &mut Board<'_>,
) -> Result<(), Error> {
    let resources: Api<CognigyDeployment> = Api::namespaced(kubernetes.clone(), NAMESPACE);
    let mut changes = pin!(watcher(resources, watcher::Config::default()).default_backoff().applied_objects());
    let mut clock = interval(REDRAW_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !all_applied.iter().all(AppliedRelease::has_ended) {
        tokio::select! {
            change = changes.try_next() => match change {
                Ok(Some(object)) => update(all_applied, object),
                Ok(None) => return Ok(()),
                // The watch restarts by itself.
                Err(_) => {}
            },
            _ = clock.tick() => {}
        }
        let rows: Vec<Row> = all_applied.iter().map(Row::of).collect();
        board.show(&rows, platform)?;
    }
    Ok(())
}

fn update(all_applied: &mut [AppliedRelease], object: CognigyDeployment) {
    let name = object.name_any();
    if let Some(applied) = all_applied.iter_mut().find(|applied| applied.release.name == name) {
        applied.state = ReleaseState::Accepted(Box::new(object));
    }
}
