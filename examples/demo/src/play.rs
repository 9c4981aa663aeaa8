//! The play itself: every resource is applied, then watched until the operator has nothing more to do for it.

use crate::board::{Board, Row};
use crate::cast::{CAST, NAMESPACE, Role};
use crate::error::{Error, Trying};
use crate::narrator::Narrator;
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

/// One resource in the play.
pub struct Part {
    /// Which one.
    pub role: &'static Role,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// Its state so far.
    pub fate: Fate,
}

/// The state of a resource so far.
pub enum Fate {
    /// The API server refused it, with this message.
    Refused(String),
    /// The API server accepted it. This is its newest version that the demo has seen.
    Taken(Box<CognigyDeployment>),
}

impl Part {
    /// Whether nothing more will happen to it: it was refused, or it ended and every message is delivered.
    fn has_ended(&self) -> bool {
        let Fate::Taken(object) = &self.fate else { return true };
        let Some(status) = &object.status else { return false };
        let is_settled = |step| step == Step::Settled;
        status.attempt.as_ref().is_some_and(|attempt| is_settled(attempt.step)) && status.outbox.is_empty()
    }
}

/// Applies all resources, as `kubectl apply` would.
pub async fn apply(kubernetes: &Client, narrator: &Narrator) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for role in &CAST {
        narrator.say(&format!("applying {:<19}  {}", role.name, role.shows))?;
        let applied_at = Timestamp::now();
        parts.push(Part { role, applied_at, fate: submit(kubernetes, role).await? });
    }
    Ok(parts)
}

async fn submit(kubernetes: &Client, role: &'static Role) -> Result<Fate, Error> {
    let broken = |problem: String| Error::Script { file: role.name, problem };
    // The manifest is sent as it is written, so that the API server finds its mistakes.
    let object: DynamicObject = serde_saphyr::from_str(role.manifest).map_err(|error| broken(error.to_string()))?;
    let resource = ApiResource::erase::<CognigyDeployment>(&());
    let resources: Api<DynamicObject> = Api::namespaced_with(kubernetes.clone(), NAMESPACE, &resource);
    match resources.create(&PostParams::default(), &object).await {
        Ok(taken) => {
            let taken = taken.try_parse::<CognigyDeployment>().map_err(|error| broken(error.to_string()))?;
            Ok(Fate::Taken(Box::new(taken)))
        }
        Err(kube::Error::Api(refusal)) if refusal.code == 422 => Ok(Fate::Refused(refusal.message)),
        Err(error) => Err(error).trying("accept a resource"),
    }
}

/// Watches until every part has ended, or the time is up, and shows each change.
pub async fn watch(
    kubernetes: &Client,
    platform: &WorldHandle,
    parts: &mut [Part],
    narrator: &Narrator,
) -> Result<(), Error> {
    let mut board = Board::new(narrator);
    let watched = timeout(WITHIN, follow(kubernetes, platform, parts, &mut board)).await;
    board.close()?;
    // If a resource has not ended by now, the verdict says what is missing.
    watched.unwrap_or(Ok(()))
}

async fn follow(
    kubernetes: &Client,
    platform: &WorldHandle,
    parts: &mut [Part],
    board: &mut Board<'_>,
) -> Result<(), Error> {
    let resources: Api<CognigyDeployment> = Api::namespaced(kubernetes.clone(), NAMESPACE);
    let mut changes = pin!(watcher(resources, watcher::Config::default()).default_backoff().applied_objects());
    let mut clock = interval(REDRAW_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !parts.iter().all(Part::has_ended) {
        tokio::select! {
            change = changes.try_next() => match change {
                Ok(Some(object)) => see(parts, object),
                Ok(None) => return Ok(()),
                // The watch restarts by itself.
                Err(_) => {}
            },
            _ = clock.tick() => {}
        }
        let rows: Vec<Row> = parts.iter().map(Row::of).collect();
        board.show(&rows, platform)?;
    }
    Ok(())
}

fn see(parts: &mut [Part], object: CognigyDeployment) {
    let name = object.name_any();
    if let Some(part) = parts.iter_mut().find(|part| part.role.name == name) {
        part.fate = Fate::Taken(Box::new(object));
    }
}
