//! Changes before, during and after an outage of the API server. The operator must act on each of them.
//!
//! Whether a change is lost can depend on milliseconds, so a fix needs many rounds:
//! `COGNIGY_TEST_ROUNDS=20 COGNIGY_TEST_GAP=12 cargo test --test outages changes -- --include-ignored --nocapture` prints the lost changes,
//! and how long after the restart of the API server the operator acted on the others.

use crate::support::{Call, CognigyDeployment, DEADLINE, Outage, json, object, sample_of};
use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use simulator::{RequestFilter, WorldHandle};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The operator must act on each change within this time after the restart of the API server.
const ACTED_ON_WITHIN: Duration = Duration::from_secs(30);
/// The polling interval of these tests. There is no event for an API server that serves again.
const POLL_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Edit,
    Delete,
    Rollback,
    ConfigMap,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Create, Self::Edit, Self::Delete, Self::Rollback, Self::ConfigMap];
}

/// The time of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Right before the API server is killed: the watch may not have delivered it.
    Before,
    /// As soon as the API server accepts it again.
    During,
    /// This long after the restart of the API server.
    After(Duration),
}

impl Moment {
    /// The time after the restart of the API server.
    fn pause(self) -> Duration {
        if let Self::After(pause) = self { pause } else { Duration::ZERO }
    }

    const ALL: [Self; 4] =
        [Self::Before, Self::During, Self::After(Duration::from_millis(300)), Self::After(Duration::from_secs(2))];
}

/// What changes need. It does not borrow the control plane, which the test kills at the same time.
struct Site {
    resources: Api<CognigyDeployment>,
    config_maps: Api<ConfigMap>,
    platform: WorldHandle,
    webhook: String,
}

impl Site {
    fn of(outage: &Outage) -> Self {
        Self {
            resources: outage.api(),
            config_maps: outage.api(),
            platform: outage.platform.handle(),
            webhook: outage.webhook_url(),
        }
    }
}

struct Change {
    kind: Kind,
    moment: Moment,
    name: String,
}

impl Change {
    fn all(round: u32) -> Vec<Self> {
        let change = |kind, (index, moment): (usize, Moment)| Self {
            kind,
            moment,
            name: format!("round-{round}-{kind:?}-{index}").to_lowercase(),
        };
        let moments = || Moment::ALL.into_iter().enumerate();
        Kind::ALL.into_iter().flat_map(|kind| moments().map(move |moment| change(kind, moment))).collect()
    }

    /// Deploys version 1, and waits until it runs.
    async fn prepare(&self, site: &Site) {
        let is_applied = match self.kind {
            Kind::Create => return,
            Kind::ConfigMap => {
                self.write_config_map(site, "1").await;
                self.apply(site, None).await
            }
            Kind::Edit | Kind::Delete | Kind::Rollback => self.apply(site, Some("1")).await,
        };
        assert!(is_applied, "the API server accepts the resource");
        self.until_requests(site, Call::Audit, 1).await;
    }

    /// Makes the change as soon as the API server accepts it.
    async fn make(&self, site: &Site) {
        sleep(self.moment.pause()).await;
        while !self.try_to_make(site).await {
            sleep(POLL_EVERY).await;
        }
    }

    async fn try_to_make(&self, site: &Site) -> bool {
        let resources = &site.resources;
        match self.kind {
            Kind::Create => self.apply(site, Some("1")).await,
            Kind::Edit => self.apply(site, Some("2")).await,
            Kind::Delete => resources.delete(&self.name, &DeleteParams::default()).await.is_ok(),
            Kind::Rollback => {
                let patch = json!({"metadata": {"annotations": {"deploy.cognigy.ai/rollback": "1"}}});
                resources.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await.is_ok()
            }
            Kind::ConfigMap => self.write_config_map(site, "2").await,
        }
    }

    async fn apply(&self, site: &Site, version: Option<&str>) -> bool {
        let sample = sample_of(&self.name, version.unwrap_or_default(), &site.webhook);
        let sample = if version.is_none() { sample.snapshot_from(&self.name) } else { sample };
        let apply = PatchParams::apply("tests").force();
        site.resources.patch(&self.name, &apply, &Patch::Apply(sample.object())).await.is_ok()
    }

    async fn write_config_map(&self, site: &Site, version: &str) -> bool {
        let map: ConfigMap = object(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.name, "labels": {"deploy.cognigy.ai/watch": "true"}},
            "data": {"snapshot": json!({"botVersion": version}).to_string()},
        }));
        let apply = PatchParams::apply("tests").force();
        site.config_maps.patch(&self.name, &apply, &Patch::Apply(map)).await.is_ok()
    }

    /// Waits until the operator has acted on the change.
    async fn until_acted_on(&self, site: &Site) {
        match self.kind {
            Kind::Create => self.until_requests(site, Call::Submit, 1).await,
            Kind::Edit | Kind::ConfigMap => self.until_requests(site, Call::Submit, 2).await,
            Kind::Rollback => self.until_requests(site, Call::Rollback, 1).await,
            Kind::Delete => {
                while !matches!(site.resources.get_opt(&self.name).await, Ok(None)) {
                    sleep(POLL_EVERY).await;
                }
            }
        }
    }

    async fn until_requests(&self, site: &Site, call: Call, count: usize) {
        // Audit records and rollbacks name the job and not the environment. The simulator finds the environment by the
        // job.
        let environment = Some(self.name.parse().unwrap());
        let filter = RequestFilter { call: Some(call), environment, ..RequestFilter::default() };
        site.platform.wait_for_requests(&filter, count).await;
    }
}

/// The results of some rounds.
#[derive(Default)]
struct Tally {
    lost: Vec<String>,
    took: Vec<Duration>,
}

impl Tally {
    fn percentile(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort();
        took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// One outage, with every kind of change before, during and after it.
async fn change_around_an_outage(outage: &mut Outage, number: u32, gap: Duration, flags: &[&str], tally: &mut Tally) {
    let (site, changes) = (Site::of(outage), Change::all(number));
    let prepared = timeout(DEADLINE, join_all(changes.iter().map(|change| change.prepare(&site)))).await;
    if prepared.is_err() {
        panic!("{}", outage.report("the environments run before the outage").await);
    }
    let make = |is_wanted: fn(Moment) -> bool| {
        join_all(changes.iter().filter(move |change| is_wanted(change.moment)).map(|change| change.make(&site)))
    };
    make(|moment| moment == Moment::Before).await;
    outage.cluster().kill_api_server();
    sleep(gap).await;
    let restarted = async {
        outage.cluster().restart_api_server_with(flags).await;
        Instant::now()
    };
    let (returned, _) = tokio::join!(restarted, make(|moment| moment == Moment::During));
    let later = make(|moment| matches!(moment, Moment::After(_)));
    let acted_on = join_all(changes.iter().map(|change| async {
        let made = returned + change.moment.pause();
        let acted_on = tokio::time::timeout_at(made + ACTED_ON_WITHIN, change.until_acted_on(&site)).await;
        acted_on.is_ok().then(|| made.elapsed())
    }));
    let (_, acted_on) = tokio::join!(later, acted_on);
    for (change, took) in changes.iter().zip(acted_on) {
        match took {
            // The operator may have acted on it before the outage, so its time is not counted.
            Some(took) if change.moment != Moment::Before => tally.took.push(took),
            Some(_) => {}
            None => tally.lost.push(format!("{} ({:?}, {:?})", change.name, change.kind, change.moment)),
        }
    }
}

fn setting(variable: &str, default: u32) -> u32 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn check_that_no_change_is_lost(elects: bool, lists: &[&str]) {
    let mut outage = Outage::start().await;
    if !lists.is_empty() {
        outage.cluster().restart_api_server_with(lists).await;
    }
    let operator = match elects {
        // A leader whose lease outlasts the outage continues, and must find the missed changes by itself.
        true => outage.run_replica("elected", &["--lease-duration=120s", "--renew-deadline=90s"]).await,
        false => outage.run_operator("alone").await,
    };
    let (rounds, gap) = (setting("COGNIGY_TEST_ROUNDS", 1), setting("COGNIGY_TEST_GAP", 5));
    let mut tally = Tally::default();
    for number in 0..rounds {
        change_around_an_outage(&mut outage, number, Duration::from_secs(gap.into()), lists, &mut tally).await;
    }
    eprintln!(
        "{rounds} outages of {gap} s (elects: {elects}, lists: {lists:?}): {} changes acted on, p50 {:?}, p99 {:?}; lost: {:#?}",
        tally.took.len(),
        tally.percentile(50),
        tally.percentile(99),
        tally.lost,
    );
    if !tally.lost.is_empty() {
        panic!("{} changes were lost\n{}", tally.lost.len(), outage.report("every change was acted on").await);
    }
    drop(operator);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_acts_on_every_change_around_an_outage() {
    check_that_no_change_is_lost(true, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_lists_in_pages_acts_on_every_change_around_an_outage() {
    check_that_no_change_is_lost(false, &["--feature-gates=WatchList=false"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the two tests above cover both kinds of list and both kinds of operator; this is for many rounds"]
async fn a_leader_that_lists_in_pages_acts_on_every_change_around_an_outage() {
    check_that_no_change_is_lost(true, &["--feature-gates=WatchList=false"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the two tests above cover both kinds of list and both kinds of operator; this is for many rounds"]
async fn an_operator_without_leader_election_acts_on_every_change_around_an_outage() {
    check_that_no_change_is_lost(false, &[]).await;
}
