#![allow(clippy::unwrap_used)]

use super::*;
use platform::{ClientFingerprint, CredentialsFingerprint};
use rollout::admission::RequestRates;
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
    let rates = RequestRates { per_minute: NonZeroU32::new(limit).unwrap(), per_rollout: NonZeroU32::MIN };
    Account { group, credentials, rates }
}

fn name(name: &str) -> ResourceName {
    ResourceName { namespace: "bots".into(), name: name.into() }
}

/// The uid of the resource of that name.
fn uid(name: &str) -> Arc<str> {
    name.into()
}

fn interval() -> PollInterval {
    PollInterval { shortest: Duration::from_secs(15), longest: Duration::from_secs(120) }
}

fn request(resource: &str) -> SlotRequest {
    let since = "2026-01-01T12:00:00Z".parse().unwrap();
    SlotRequest {
        resource: name(resource),
        since,
        is_retry: false,
        interval: interval(),
        is_checked: false,
        waited_before_restart: false,
    }
}

fn pace(clients: &mut Clients, resource: &str) -> PollTuning {
    clients.pace(&name(resource), &EnvironmentId::new("env"), false)
}

#[test]
fn a_secret_with_the_client_id_of_another_client_changes_nothing_for_that_client() {
    let mut clients = Clients::default();
    let (owner, garbage) = (account(secret("right"), true, 100), account(secret("wrong"), false, 1));
    for number in 0..20 {
        clients.note_in_flight(&uid("owner"), &name(&format!("owners-{number}")), Some(owner), interval(), NOW);
    }
    let before = pace(&mut clients, "owners-0");
    for number in 0..50 {
        let resource = format!("strangers-{number}");
        let _ = clients.request_slot(&uid(&resource), garbage, &request(&resource), NOW);
        clients.note_in_flight(
            &uid(&resource),
            &name(&format!("{resource}-in-flight")),
            Some(garbage),
            interval(),
            NOW,
        );
    }
    assert_eq!(pace(&mut clients, "owners-0"), before, "its rollouts are polled as often as before");
    assert!(
        matches!(clients.request_slot(&uid("next"), owner, &request("next"), NOW).answer, Answer::Start),
        "the next rollout of the client begins"
    );
}

#[test]
fn waiting_rollouts_keep_their_places_when_their_credentials_are_proven() {
    let mut clients = Clients::default();
    let credentials = secret("right");
    let (before, after) = (account(credentials, false, 100), account(credentials, true, 100));
    let mut answers = |account| {
        let names = (0..8).map(|number| format!("bot-{number}"));
        let granted = names.map(|name| clients.request_slot(&uid(&name), account, &request(&name), NOW).answer);
        granted.map(|answer| matches!(answer, Answer::Start)).collect::<Vec<_>>()
    };
    let (apart, together) = (answers(before), answers(after));
    assert_eq!(apart, together);
    assert!(apart.contains(&true) && apart.contains(&false), "{apart:?}");
    assert_eq!(clients.states.len(), 1);
}

#[test]
fn rollouts_of_a_second_secret_join_the_queue_of_the_client_once_the_secret_is_proven() {
    let mut clients = Clients::default();
    let (first, second) = (secret("old"), secret("new"));
    clients.note_in_flight(&uid("first"), &name("first"), Some(account(first, true, 100)), interval(), NOW);
    for number in 0..5 {
        let name = format!("second-{number}");
        let _ = clients.request_slot(&uid(&name), account(second, false, 100), &request(&name), NOW);
    }
    let granted =
        clients.note_in_flight(&uid("second-0"), &name("second-0"), Some(account(second, true, 100)), interval(), NOW);
    let mut granted: Vec<&str> = granted.iter().map(|resource| &*resource.name).collect();
    granted.sort_unstable();
    assert_eq!(granted, ["second-0", "second-1", "second-2", "second-3", "second-4"]);
    let in_flight: Vec<_> = clients.states.values().map(|client| client.admission.counts().in_flight).collect();
    assert_eq!(in_flight, [2]);
}

#[test]
fn a_resource_that_is_created_again_with_the_same_name_shares_nothing_with_the_old_one() {
    let mut clients = Clients::default();
    let account = account(secret("right"), true, 100);
    clients.note_in_flight(&uid("old"), &name("bot"), Some(account), interval(), NOW);
    assert!(matches!(clients.request_slot(&uid("new"), account, &request("bot"), NOW).answer, Answer::Start));
    let in_flight = |clients: &Clients| clients.states.values().map(|client| client.admission.counts()).next().unwrap();
    assert_eq!((in_flight(&clients).in_flight, in_flight(&clients).starting), (0, 1), "the old rollout is not counted");
    assert_eq!(clients.leave("old", &name("bot"), NOW), []);
    assert_eq!(in_flight(&clients).starting, 1, "the old resource leaves, and the new one stays");
    clients.leave("new", &name("bot"), NOW);
    assert_eq!(in_flight(&clients).starting, 0);
}
