//! The order of owners, and the resources that are requeued after each change of it.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn shared_environment() -> Arc<ApiEnvironment> {
    environment("env")
}

fn environment(id: &str) -> Arc<ApiEnvironment> {
    Arc::new(ApiEnvironment { origin: ApiOrigin::new("https://api"), environment: EnvironmentId::new(id) })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn name(name: &str) -> ResourceName {
    ResourceName { namespace: "bots".into(), name: name.into() }
}

/// A resource whose uid is its name.
fn claimant(uid: &str, created: i64, claim: Claim) -> Claimant {
    Claimant { uid: uid.into(), resource: name(uid), created_at: at(created), version: 1, claim }
}

fn accepted(uid: &str, created: i64) -> Claimant {
    claimant(uid, created, Claim::ACCEPTED)
}

fn deployed(uid: &str, created: i64, deployed_at: i64) -> Claimant {
    claimant(uid, created, Claim { in_flight: false, deployed_at: Some(at(deployed_at)) })
}

fn in_flight(uid: &str, created: i64) -> Claimant {
    claimant(uid, created, Claim { in_flight: true, deployed_at: None })
}

/// The claims of a process that has just listed these.
fn listed(claimants: impl IntoIterator<Item = Claimant>) -> Claims {
    let mut claims = Claims::default();
    for claimant in claimants {
        let _ = claims.note(&shared_environment(), claimant, Certainty::Final);
    }
    claims
}

fn owner(claims: &Claims) -> Option<String> {
    claims.owner(&shared_environment()).map(|owner| owner.uid.to_string())
}

#[test]
fn each_of_these_claimants_comes_before_the_next() {
    let in_another_namespace =
        Claimant { resource: ResourceName { namespace: "zoo".into(), name: "a".into() }, ..accepted("a-uid", 3) };
    let order = [
        ("in flight, though young and never deployed", in_flight("young", 9)),
        ("deployed last", deployed("last", 8, 100)),
        ("deployed before", deployed("before", 1, 50)),
        ("accepted, the oldest", accepted("z", 2)),
        ("created a second later, the first by name", accepted("a", 3)),
        ("created in the same second, the next by name", accepted("b", 3)),
        ("created in the same second, in a later namespace", in_another_namespace),
    ];
    for (place, (what, stronger)) in order.iter().enumerate() {
        for (_, weaker) in &order[place + 1..] {
            assert!(stronger.outranks(weaker) && !weaker.outranks(stronger), "{what}");
        }
    }
}

fn any_claimant() -> impl Strategy<Value = Claimant> {
    let claim = (any::<bool>(), prop::option::of(0i64..3));
    (0u8..12, 0u8..2, 0i64..3, claim).prop_map(|(uid, namespace, created, (in_flight, deployed_at))| Claimant {
        uid: format!("uid-{uid}").into(),
        resource: ResourceName { namespace: format!("n{namespace}").into(), name: format!("bot-{}", uid % 4).into() },
        created_at: at(created),
        version: 1,
        claim: Claim { in_flight, deployed_at: deployed_at.map(at) },
    })
}

/// One for each uid, since a resource has one claim.
fn claimants() -> impl Strategy<Value = Vec<Claimant>> {
    prop::collection::vec(any_claimant(), 1..9).prop_map(|all| {
        let by_uid: HashMap<_, _> = all.into_iter().map(|claimant| (Arc::clone(&claimant.uid), claimant)).collect();
        by_uid.into_values().collect()
    })
}

proptest! {
    #[test]
    fn the_owner_does_not_depend_on_the_order_in_which_resources_are_seen(
        (all, shuffled) in claimants().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let (one, other) = (listed(all.clone()), listed(shuffled));
        prop_assert_eq!(owner(&one), owner(&other));
        let without = |claimant: &&Claimant| one.other_owner(&claimant.uid).is_none();
        prop_assert_eq!(all.iter().filter(without).count(), 1, "all resources but one have another owner");
    }

    #[test]
    fn the_order_is_total(all in prop::collection::vec(any_claimant(), 3)) {
        let [a, b, c] = &all[..] else { unreachable!() };
        prop_assert!(a.uid == b.uid || a.outranks(b) != b.outranks(a));
        prop_assert!(!(a.rank() < b.rank() && b.rank() < c.rank()) || a.rank() < c.rank());
    }

    #[test]
    fn the_owner_stays_the_owner_through_a_restart(all in claimants()) {
        let claims = listed(all);
        let before = owner(&claims);
        let recorded: Vec<_> = claims.at(&shared_environment()).to_vec();
        prop_assert_eq!(owner(&listed(recorded)), before);
    }

    #[test]
    fn a_resource_that_has_deployed_keeps_the_environment_from_later_ones(
        last in 1i64..9,
        others in prop::collection::vec((any::<u8>(), -9i64..99), 0..6),
    ) {
        let mut claims = listed([deployed("owner", 50, last)]);
        for (uid, created) in others {
            let other = accepted(&format!("other-{uid}"), created);
            let _ = claims.accept(&shared_environment(), &other);
            prop_assert!(matches!(claims.begin(&shared_environment(), &other), Err(Refusal::Owned(owner)) if &*owner.uid == "owner"));
        }
        prop_assert_eq!(claims.begin(&shared_environment(), &accepted("owner", 50)), Ok(()));
    }
}

#[test]
fn only_an_accepted_validation_makes_a_claim() {
    let mut claims = Claims::default();
    assert_eq!(claims.request(&shared_environment(), &accepted("asks", 1)), Ok(()));
    assert_eq!(claims.begin(&shared_environment(), &accepted("asks", 1)), Err(Refusal::NotAccepted));
    assert_eq!(
        claims.request(&shared_environment(), &accepted("younger", 2)),
        Ok(()),
        "a request alone makes no claim"
    );
    let _ = claims.accept(&shared_environment(), &accepted("younger", 2));
    assert_eq!(claims.begin(&shared_environment(), &accepted("younger", 2)), Ok(()));
    assert_eq!(claims.begin(&environment("other"), &accepted("younger", 2)), Err(Refusal::NotAccepted));
}

#[test]
fn of_two_accepted_resources_the_older_one_is_the_owner_until_one_is_in_flight() {
    let mut claims = Claims::default();
    for (uid, created) in [("young", 2), ("old", 1)] {
        let _ = claims.accept(&shared_environment(), &accepted(uid, created));
    }
    assert_eq!(claims.begin(&shared_environment(), &accepted("young", 2)), Err(Refusal::Owned(accepted("old", 1))));
    assert_eq!(claims.begin(&shared_environment(), &accepted("old", 1)), Ok(()));

    let mut claims = Claims::default();
    let _ = claims.accept(&shared_environment(), &accepted("young", 2));
    assert_eq!(claims.begin(&shared_environment(), &accepted("young", 2)), Ok(()));
    assert_eq!(claims.request(&shared_environment(), &accepted("old", 1)), Err(in_flight("young", 2)));
}

#[test]
fn waiting_resources_are_requeued_if_the_owner_is_deleted_or_claims_another_environment() {
    for leave in [
        |claims: &mut Claims| claims.release("owner"),
        |claims: &mut Claims| claims.accept(&environment("other"), &accepted("owner", 1)),
        |claims: &mut Claims| claims.record(&environment("other"), accepted("owner", 1)),
    ] {
        let mut claims = listed([deployed("owner", 1, 5), deployed("loser", 2, 4)]);
        assert!(claims.request(&shared_environment(), &accepted("waits", 3)).is_err());
        assert_eq!(leave(&mut claims), [name("loser"), name("waits")]);
        assert_eq!(owner(&claims).as_deref(), Some("loser"));
    }
}

#[test]
fn a_request_for_another_environment_releases_no_claim() {
    let mut claims = listed([deployed("owner", 1, 5)]);
    assert_eq!(claims.request(&environment("other"), &accepted("owner", 1)), Ok(()));
    assert!(claims.request(&shared_environment(), &accepted("next", 2)).is_err());
}

#[test]
fn a_resource_that_loses_the_environment_by_a_watched_claim_is_requeued() {
    let mut claims = listed([deployed("owner", 1, 5)]);
    let mut note = |claimant: Claimant| claims.note(&shared_environment(), claimant, Certainty::Final);
    assert_eq!(note(deployed("before", 2, 4)), [name("before")], "it comes after the owner");
    assert_eq!(note(deployed("later", 3, 6)), [name("owner")]);
    assert_eq!(note(Claimant { version: 2, ..deployed("later", 3, 6) }), [], "nothing has changed");
}

#[test]
fn an_outdated_watch_event_weakens_no_claim() {
    let mut claims = Claims::default();
    let now = |version, claim| Claimant { version, ..claimant("bot", 1, claim) };
    let _ = claims.accept(&shared_environment(), &now(5, Claim::ACCEPTED));
    claims.begin(&shared_environment(), &now(5, Claim::ACCEPTED)).unwrap();
    let table = [
        ("an older state", 4, Certainty::Final, true),
        ("somebody else's edit before the intent is written", 6, Certainty::Provisional, true),
        ("a newer state at rest", 7, Certainty::Final, false),
    ];
    for (what, version, certainty, is_in_flight) in table {
        let _ = claims.note(&shared_environment(), now(version, Claim::ACCEPTED), certainty);
        let shown = claims.at(&shared_environment())[0].claim.in_flight;
        assert_eq!(shown, is_in_flight, "{what}");
    }
}

#[test]
fn an_intent_that_was_not_recorded_makes_no_claim() {
    let mut claims = Claims::default();
    let _ = claims.accept(&shared_environment(), &accepted("young", 2));
    claims.begin(&shared_environment(), &accepted("young", 2)).unwrap();
    claims.clear_in_flight("young");
    assert_eq!(claims.request(&shared_environment(), &accepted("old", 1)), Ok(()));
}

#[test]
fn of_two_rollouts_in_flight_only_one_may_report_ready_at_the_end() {
    let both =
        |uid, at| Claimant { claim: Claim { in_flight: true, ..deployed(uid, 1, at).claim }, ..accepted(uid, 1) };
    let mut claims = listed([both("first", 1), both("last", 2)]);
    assert_eq!(claims.other_owner_once_settled("last"), None);
    assert_eq!(claims.other_owner_once_settled("first").map(|owner| owner.resource), Some(name("last")));
    let _ = claims.note(&shared_environment(), Claimant { version: 2, ..deployed("last", 1, 2) }, Certainty::Final);
    assert_eq!(claims.other_owner_once_settled("first").map(|owner| owner.resource), Some(name("last")));
}
