//! The watch is lost, and users change objects before it continues.

use std::time::Duration;

use api::status::Outcome::{RolledBack, Succeeded};
use api::status::Step;
use serde_json::json;

use crate::fault::RESTART;
use crate::scenario::{
    Action, Cue, Scenario, Tolerance, annotate, config_map, create, delete, deploy, take_from_config_map, watch_lost,
};
use crate::stage::{WatchLoss, WatchReturn};

/// How long after the first success the watch is lost.
const REST: u64 = 60;

pub fn all() -> Vec<Scenario> {
    [api_server_restarts(), lists_from_an_older_cache(), silent_streams(), in_flight()].concat()
}

/// A story in which the watch is lost at rest, and a user acts this many seconds later.
fn at_rest(name: &'static str, loss: WatchLoss, seconds: u64, action: Action) -> Scenario {
    Scenario::new(name, "")
        .creating(|_| {})
        .after(Cue::Written(Step::Settled), REST, watch_lost(loss))
        .after(Cue::Written(Step::Settled), REST + seconds, action)
        .tolerating(Tolerance::Timing)
}

fn api_server_restarts() -> Vec<Scenario> {
    let again = || create("web", |object| object["spec"]["configurationSnapshot"] = json!({"botVersion": "3"}));
    vec![
        Scenario::new("a resource is created while the API server restarts", "")
            .at(0, watch_lost(RESTART))
            .at(2, create("web", |_| {}))
            .ending(&[Succeeded], "2"),
        at_rest("an edit while the API server restarts", RESTART, 2, deploy("3")).ending(&[Succeeded, Succeeded], "3"),
        at_rest("an edit between a list's objects and its end", RESTART, 6, deploy("3"))
            .ending(&[Succeeded, Succeeded], "3"),
        at_rest("a deletion while the API server restarts", RESTART, 2, delete("web")).gone("2"),
        at_rest("a resource is deleted and created again while the API server restarts", RESTART, 2, delete("web"))
            .after(Cue::Gone, 0, again())
            .ending(&[Succeeded], "3"),
        at_rest("a rollback is asked for while the API server restarts", RESTART, 2, annotate("rollback", 1))
            .ending(&[Succeeded], "1"),
        Scenario::new("a ConfigMap changes while the API server restarts", "")
            .at(0, config_map("bot", "botVersion: '2'"))
            .creating(take_from_config_map)
            .after(Cue::Written(Step::Settled), REST, watch_lost(RESTART))
            .after(Cue::Written(Step::Settled), REST + 2, config_map("bot", "botVersion: '3'"))
            .ending(&[Succeeded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
    ]
}

fn lists_from_an_older_cache() -> Vec<Scenario> {
    let old = WatchLoss {
        silent: Duration::from_secs(5),
        then: WatchReturn::Lists { versions_old: 3, ends_after: Duration::from_secs(3), stays_behind: Duration::ZERO },
    };
    vec![
        at_rest("an edit, and then a list that is older than it", old, 2, deploy("3"))
            .ending(&[Succeeded, Succeeded], "3"),
        at_rest("a deletion, and then a list that is older than it", old, 2, delete("web")).gone("2"),
        Scenario::new("a list that is older than the resource", "")
            .creating(|_| {})
            .when(
                Cue::Written(Step::RollingOut),
                watch_lost(WatchLoss {
                    silent: Duration::from_secs(1),
                    then: WatchReturn::Lists {
                        versions_old: 50,
                        ends_after: Duration::from_secs(3),
                        stays_behind: Duration::ZERO,
                    },
                }),
            )
            .ending(&[Succeeded], "2"),
    ]
}

fn silent_streams() -> Vec<Scenario> {
    let silent = WatchLoss { silent: Duration::from_secs(65), then: WatchReturn::Resumes };
    vec![
        at_rest("an edit while the watch says nothing", silent, 2, deploy("3")).ending(&[Succeeded, Succeeded], "3"),
        at_rest("a deletion while the watch says nothing", silent, 2, delete("web")).gone("2"),
    ]
}

fn in_flight() -> Vec<Scenario> {
    vec![
        Scenario::new("the API server restarts while bad health is counted", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .when(Cue::Written(Step::Monitoring), watch_lost(RESTART))
            .ending(&[RolledBack], "1"),
        Scenario::new("a resource is deleted while its job runs and the API server restarts", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), watch_lost(RESTART))
            .after(Cue::Written(Step::RollingOut), 2, delete("web"))
            .gone("2"),
    ]
}
