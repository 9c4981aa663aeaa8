#![allow(clippy::unwrap_used)]

use super::*;
use platform::{ClientFingerprint, CredentialsFingerprint};
use std::num::NonZeroU32;

const NOW: Duration = Duration::from_secs(1000);

/// The credentials of the client `shared`, with that client secret.
fn secret(client_secret: &str) -> CredentialsFingerprint {
    CredentialsFingerprint::of(&["shared", client_secret])
}

fn account(credentials: CredentialsFingerprint, is_proven: bool, limit: u32) -> Account {
    let group = match is_proven {
        true => Group::Client(ClientFingerprint::of(&["shared"])),
        false => Group::Unproven(credentials),
    };
    Account { group, credentials, limit: NonZeroU32::new(limit).unwrap() }
}

fn name(name: &str) -> ResourceName {
    ResourceName { namespace: "bots".into(), name: name.into() }
}

fn poll_interval() -> PollInterval {
    PollInterval { shortest: Duration::from_secs(15), longest: Duration::from_secs(120) }
}

fn ticket(who: &str) -> Ticket {
    let since = "2026-01-01T12:00:00Z".parse().unwrap();
    Ticket { who: name(who), since, is_retry: false, interval: poll_interval(), is_back: false }
}

fn pace(fleet: &Fleet, who: &str) -> PollTuning {
    fleet.pace(&name(who), &EnvironmentId::new("env"), false)
}

#[test]
fn a_secret_with_somebody_elses_client_id_changes_nothing_for_that_client() {
    let fleet = Fleet::default();
    let (owner, garbage) = (account(secret("right"), true, 100), account(secret("wrong"), false, 1));
    for number in 0..20 {
        fleet.watch(&name(&format!("owners-{number}")), Some(owner), poll_interval(), NOW);
    }
    let before = pace(&fleet, "owners-0");
    for number in 0..50 {
        let who = format!("strangers-{number}");
        let _ = fleet.ask(garbage, &ticket(&who), NOW);
        fleet.watch(&name(&format!("{who}-in-flight")), Some(garbage), poll_interval(), NOW);
    }
    assert_eq!(pace(&fleet, "owners-0"), before, "they are looked at as closely as before");
    assert!(matches!(fleet.ask(owner, &ticket("next"), NOW).answer, Answer::Begin), "and the next one begins");
}

#[test]
fn those_who_waited_until_their_client_was_proven_keep_their_places() {
    let fleet = Fleet::default();
    let credentials = secret("right");
    let (before, after) = (account(credentials, false, 100), account(credentials, true, 100));
    let answers = |account| {
        let asked = (0..8).map(|number| fleet.ask(account, &ticket(&format!("bot-{number}")), NOW).answer);
        asked.map(|answer| matches!(answer, Answer::Begin)).collect::<Vec<_>>()
    };
    let (apart, together) = (answers(before), answers(after));
    assert_eq!(apart, together);
    assert!(apart.contains(&true) && apart.contains(&false), "{apart:?}");
    assert_eq!(fleet.readings().len(), 1);
}

#[test]
fn those_of_a_second_secret_ask_among_their_clients_others_once_it_is_proven() {
    let fleet = Fleet::default();
    let (first, second) = (secret("old"), secret("new"));
    fleet.watch(&name("first"), Some(account(first, true, 100)), poll_interval(), NOW);
    for number in 0..5 {
        let _ = fleet.ask(account(second, false, 100), &ticket(&format!("second-{number}")), NOW);
    }
    let called = fleet.watch(&name("second-0"), Some(account(second, true, 100)), poll_interval(), NOW);
    let mut called: Vec<&str> = called.iter().map(|who| &*who.name).collect();
    called.sort_unstable();
    assert_eq!(called, ["second-0", "second-1", "second-2", "second-3", "second-4"]);
    let readings = fleet.readings();
    assert_eq!((readings.len(), readings[0].in_flight), (1, 2));
}
