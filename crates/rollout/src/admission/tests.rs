#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: Duration = Duration::from_secs(1000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rates(per_minute: u32) -> RequestRates {
    RequestRates { per_minute: NonZeroU32::new(per_minute).unwrap(), per_rollout: NonZeroU32::new(7).unwrap() }
}

fn interval(shortest: u64, longest: u64) -> PollInterval {
    PollInterval { shortest: seconds(shortest), longest: seconds(longest) }
}

fn resource(namespace: &str, name: &str) -> ResourceName {
    ResourceName { namespace: namespace.into(), name: name.into() }
}

fn request(namespace: &str, name: &str, since: i64) -> SlotRequest {
    SlotRequest {
        resource: resource(namespace, name),
        since: Timestamp::from_second(since).unwrap(),
        is_retry: false,
        interval: interval(15, 120),
        is_checked: false,
        waited_before_restart: false,
    }
}

/// All request a slot. No slot is granted yet.
fn all_request(admission: &mut Admission, requests: &[SlotRequest]) {
    for request in requests {
        assert!(matches!(admission.request_slot(request, NOW), Answer::Wait { .. }));
    }
}

/// The names in the order in which the rollouts start. Each has started and ended before the next one starts.
fn order(admission: &mut Admission) -> Vec<String> {
    let mut started = Vec::new();
    let mut granted = VecDeque::from(admission.grant_slots(NOW));
    while let Some(resource) = granted.pop_front() {
        started.push(format!("{}/{}", resource.namespace, resource.name));
        admission.note_started(&resource, NOW);
        admission.leave(&resource);
        granted.extend(admission.grant_slots(NOW));
    }
    started
}

#[test]
fn a_rollout_starts_at_once_if_a_slot_is_free() {
    let mut admission = Admission::new(rates(100));
    let request = request("bots", "one", 1);
    admission.request_slot(&request, NOW);
    assert_eq!(admission.grant_slots(NOW), [resource("bots", "one")]);
    assert_eq!(admission.request_slot(&request, NOW), Answer::Start);
    assert_eq!(admission.grant_slots(NOW), []);
}

#[test]
fn only_a_few_rollouts_wait_for_their_validation() {
    for (limit, handful) in [(1, 2), (100, 3), (1000, 12)] {
        let mut admission = Admission::new(rates(limit));
        let requests: Vec<_> = (0..20).map(|number| request("bots", &format!("{number:02}"), number)).collect();
        // The poll interval is so long that polling uses almost nothing of the budget.
        let requests: Vec<_> =
            requests.into_iter().map(|request| SlotRequest { interval: interval(15, 3600), ..request }).collect();
        all_request(&mut admission, &requests);
        assert_eq!(admission.grant_slots(NOW).len(), handful, "limit {limit}");
        admission.note_started(&requests[0].resource, NOW);
        assert_eq!(
            admission.grant_slots(NOW),
            [requests[handful].resource.clone()],
            "the next one gets a slot as soon as one has started"
        );
    }
}

#[test]
fn no_more_rollouts_are_in_flight_than_can_be_polled_at_their_longest_intervals() {
    for (longest, most) in [(15, 23), (60, 95), (120, 190)] {
        let mut admission = Admission::new(rates(100));
        for number in 0..300 {
            let request =
                SlotRequest { interval: interval(15, longest), ..request("bots", &format!("{number}"), number) };
            admission.request_slot(&request, NOW);
            for granted in admission.grant_slots(NOW) {
                admission.note_started(&granted, NOW);
            }
        }
        let counts = admission.counts();
        assert_eq!((counts.in_flight, counts.waiting), (most, 300 - most), "longest interval {longest} s");
        admission.leave(&resource("bots", "0"));
        assert_eq!(admission.grant_slots(NOW).len(), 1, "one ends, one starts");
    }
}

#[test]
fn a_rollout_whose_polls_exceed_the_budget_starts_only_if_it_is_alone() {
    let mut admission = Admission::new(rates(1));
    let restless = SlotRequest { interval: interval(1, 1), ..request("bots", "restless", 1) };
    admission.request_slot(&restless, NOW);
    assert_eq!(admission.grant_slots(NOW), std::slice::from_ref(&restless.resource));
    admission.note_started(&restless.resource, NOW);
    admission.request_slot(&SlotRequest { resource: resource("bots", "other"), ..restless }, NOW);
    assert_eq!(admission.grant_slots(NOW), []);
}

#[test]
fn the_oldest_goes_first_and_namespaces_take_turns() {
    let mut admission = Admission::new(rates(100));
    let mut requests: Vec<_> = (0..4).map(|number| request("large", &number.to_string(), 10 + number)).collect();
    requests.push(request("small", "a", 12));
    requests.push(request("small", "b", 11));
    requests.push(request("tiny", "z", 99));
    requests.reverse();
    all_request(&mut admission, &requests);
    let expected = ["large/0", "small/b", "tiny/z", "large/1", "small/a", "large/2", "large/3"];
    assert_eq!(order(&mut admission), expected);
}

#[test]
fn a_namespace_that_joins_again_and_again_has_one_turn_in_each_round() {
    let mut admission = Admission::new(rates(100));
    let waiting: Vec<_> = (0..30)
        .map(|number| request(if number % 2 == 0 { "a" } else { "b" }, &format!("{number:02}"), number))
        .collect();
    all_request(&mut admission, &waiting);
    let mut pushy = 0;
    for turn in 0..30 {
        if !admission.waiting.contains_key(&resource("pushy", "one")) {
            // Older than all others.
            admission.request_slot(&request("pushy", "one", -1), NOW);
        }
        let next = if admission.is_retry_next() { admission.retries.take() } else { admission.others.take() }.unwrap();
        admission.waiting.remove(&next);
        pushy += usize::from(&*next.namespace == "pushy");
        assert!(pushy <= turn / 3 + 1, "{pushy} of {} turns", turn + 1);
    }
}

#[test]
fn requested_retries_start_first_but_at_most_three_in_a_row() {
    let mut admission = Admission::new(rates(100));
    let mut requests: Vec<_> = (0..3).map(|number| request("bots", &format!("old{number}"), number)).collect();
    requests.extend(
        (0..8).map(|number| SlotRequest { is_retry: true, ..request("bots", &format!("retry{number}"), 100 + number) }),
    );
    all_request(&mut admission, &requests);
    let expected =
        ["retry0", "retry1", "retry2", "old0", "retry3", "retry4", "retry5", "old1", "retry6", "retry7", "old2"];
    assert_eq!(order(&mut admission), expected.map(|name| format!("bots/{name}")));
}

#[test]
fn a_retry_request_moves_a_waiting_rollout_ahead() {
    let mut admission = Admission::new(rates(100));
    let requests = [request("bots", "first", 1), request("bots", "second", 2)];
    all_request(&mut admission, &requests);
    all_request(&mut admission, &[SlotRequest { is_retry: true, ..requests[1].clone() }]);
    assert_eq!(admission.counts().waiting, 2);
    assert_eq!(order(&mut admission), ["bots/second", "bots/first"]);
}

#[test]
fn a_rollout_that_leaves_frees_a_slot_for_the_next_one() {
    let mut admission = Admission::new(rates(1));
    let requests: Vec<_> = (0..4).map(|number| request("bots", &number.to_string(), number)).collect();
    let requests: Vec<_> =
        requests.into_iter().map(|request| SlotRequest { interval: interval(15, 3600), ..request }).collect();
    all_request(&mut admission, &requests);
    assert_eq!(admission.grant_slots(NOW).len(), 2);
    admission.leave(&requests[2].resource);
    admission.leave(&requests[0].resource);
    assert_eq!(admission.grant_slots(NOW), [requests[3].resource.clone()]);
}

#[test]
fn an_unused_slot_is_lost_until_the_rollout_requests_it_again() {
    let mut admission = Admission::new(rates(1));
    let requests: Vec<_> = (0..3).map(|number| request("bots", &number.to_string(), number)).collect();
    let requests: Vec<_> =
        requests.into_iter().map(|request| SlotRequest { interval: interval(15, 3600), ..request }).collect();
    all_request(&mut admission, &requests);
    assert_eq!(admission.grant_slots(NOW).len(), 2);
    assert_eq!(admission.request_slot(&requests[1], NOW), Answer::Start);
    assert_eq!(admission.grant_slots(NOW + seconds(29)), []);
    assert_eq!(
        admission.grant_slots(NOW + seconds(30)),
        [requests[2].resource.clone()],
        "the first has not used its slot"
    );
    assert!(matches!(admission.request_slot(&requests[0], NOW + seconds(31)), Answer::Wait { position: 1, of: 1, .. }));
    admission.leave(&requests[1].resource);
    assert_eq!(admission.grant_slots(NOW + seconds(32)), [requests[0].resource.clone()]);
}

#[test]
fn after_a_restart_no_slot_is_granted_before_earlier_waiters_can_join_again() {
    let mut admission = Admission::new(rates(100));
    let mut requests: Vec<_> = (0..6).map(|number| request("bots", &number.to_string(), number)).collect();
    requests.iter_mut().for_each(|request| request.waited_before_restart = true);
    let mut asked_again = Vec::new();
    for request in requests.iter().rev() {
        let Answer::Wait { request_again_after, .. } = admission.request_slot(request, NOW) else {
            panic!("no slot is granted yet")
        };
        asked_again.push(request_again_after);
        assert_eq!(admission.grant_slots(NOW), []);
    }
    assert_eq!(asked_again, [RESTART_PAUSE; 6]);
    let granted = admission.grant_slots(NOW + RESTART_PAUSE);
    assert_eq!(granted, [requests[0].resource.clone(), requests[1].resource.clone(), requests[2].resource.clone()]);
}

#[test]
fn a_new_attempt_of_a_resource_that_was_in_flight_waits_like_any_other() {
    let mut admission = Admission::new(rates(1));
    let busy = interval(15, 15);
    admission.note_in_flight(&resource("bots", "elder"), interval(15, 15));
    admission.note_in_flight(&resource("bots", "one"), busy);
    assert!(matches!(admission.request_slot(&request("bots", "one", 5), NOW), Answer::Wait { .. }));
    assert_eq!(admission.grant_slots(NOW), []);
    assert_eq!(admission.counts().in_flight, 1);
}

#[test]
fn the_expected_wait_follows_the_recent_rate_of_starts_or_else_the_limit() {
    let mut admission = Admission::new(rates(100));
    admission.note_in_flight(&resource("bots", "elder"), interval(1, 1));
    admission.note_in_flight(&resource("bots", "other"), interval(1, 1));
    for number in 0..10 {
        admission.request_slot(&request("bots", &format!("{number:02}"), number), NOW);
    }
    let left = |admission: &mut Admission, now| match admission.request_slot(&request("bots", "09", 9), now) {
        Answer::Wait { position: 10, of: 10, left, .. } => left,
        other => panic!("{other:?}"),
    };
    assert_eq!(left(&mut admission, NOW).as_secs(), 42, "seven requests each, at a hundred a minute");
    admission.starts.extend((0..5).map(|start| NOW + seconds(20 * start)));
    assert_eq!(left(&mut admission, NOW + seconds(100)).as_secs(), 200, "five in a hundred seconds");
    assert_eq!(left(&mut admission, NOW + seconds(1000)).as_secs(), 42, "the last starts are too old");
}

#[test]
fn a_queue_position_is_refreshed_only_if_it_changes_noticeably() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let shown = AdmissionSlot::NotRequested.wait(100, 200, seconds(600), now);
    let later = |passed: u64, position, left| shown.wait(position, 200, seconds(left), after_seconds(now, passed));
    assert_eq!(later(120, 80, 480), shown, "as expected");
    assert_eq!(later(120, 60, 560), shown, "a little late");
    assert_eq!(later(540, 2, 60), shown, "nearly there, as expected");
    assert_ne!(later(300, 100, 600), shown, "nothing moves");
    assert_ne!(later(120, 90, 800), shown, "minutes late");
    assert_eq!(shown.grant().position(), shown.position(), "it is shown as waiting until it has started");
}

fn after_seconds(moment: Timestamp, passed: u64) -> Timestamp {
    crate::time::after(moment, seconds(passed))
}

#[test]
fn a_queue_position_is_shown_in_words() {
    let [seen_at, starts_at] = ["2026-01-01T18:24:59Z", "2026-01-01T18:42:31Z"].map(|moment| moment.parse().unwrap());
    let position = QueuePosition { position: 12, of: 340, seen_at, starts_at };
    assert_eq!(position.to_string(), "position 12 of 340 at 18:24, expected to start at about 18:42 UTC");
}

#[derive(Clone, Debug)]
enum Event {
    Request { namespace: u8, name: u8, since: i64, is_retry: bool },
    Leave { namespace: u8, name: u8 },
    NoteInFlight { namespace: u8, name: u8 },
    Grant,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0u8..4, 0u8..12, 0i64..50, prop::bool::weighted(0.2))
            .prop_map(|(namespace, name, since, is_retry)| Event::Request { namespace, name, since, is_retry }),
        1 => (0u8..4, 0u8..12).prop_map(|(namespace, name)| Event::Leave { namespace, name }),
        1 => (0u8..4, 0u8..12).prop_map(|(namespace, name)| Event::NoteInFlight { namespace, name }),
        3 => Just(Event::Grant),
    ];
    proptest::collection::vec(event, 0..150)
}

fn named(namespace: u8, name: u8) -> ResourceName {
    resource(&format!("ns{namespace}"), &format!("{name:02}"))
}

proptest! {
    #[test]
    fn each_rollout_is_counted_exactly_once_after_any_events(limit in 1u32..300, events in events()) {
        let mut admission = Admission::new(rates(limit));
        let mut now = NOW;
        for event in events {
            now += seconds(1);
            match event {
                Event::Request { namespace, name, since, is_retry } => {
                    let name = named(namespace, name);
                    let request = SlotRequest { resource: name.clone(), is_retry, ..request("", "", since) };
                    let answer = admission.request_slot(&request, now);
                    prop_assert_eq!(answer == Answer::Start, admission.starting.contains_key(&name));
                    if let Answer::Wait { position, of, .. } = answer {
                        prop_assert!((1..=of).contains(&position), "position {} of {}", position, of);
                    }
                }
                Event::Leave { namespace, name } => admission.leave(&named(namespace, name)),
                Event::NoteInFlight { namespace, name } => {
                    admission.note_in_flight(&named(namespace, name), interval(15, 60));
                }
                Event::Grant => {
                    for granted in admission.grant_slots(now) {
                        admission.note_started(&granted, now);
                    }
                }
            }
            let counts = admission.counts();
            prop_assert_eq!(counts.waiting, admission.retries.len() + admission.others.len());
            prop_assert!(counts.starting <= admission.max_starting());
            let counted: usize = admission.intervals.values().sum();
            prop_assert_eq!(counted, counts.starting + counts.in_flight);
            prop_assert!(counts.stretch >= 1.0);
        }
    }

    /// Each rollout waits for a limited number of turns, even if others join all the time.
    #[test]
    fn every_waiting_rollout_starts_eventually(
        waiting in proptest::collection::vec((0u8..5, 0i64..50, prop::bool::weighted(0.3)), 1..40),
        coming in proptest::collection::vec((0u8..5, 100i64..200, any::<bool>()), 2000),
    ) {
        let mut admission = Admission::new(rates(100));
        let mut first = BTreeSet::new();
        for (number, (namespace, since, is_retry)) in waiting.iter().enumerate() {
            let request =
                SlotRequest { is_retry: *is_retry, ..request(&format!("ns{namespace}"), &format!("first{number}"), *since) };
            admission.request_slot(&request, NOW);
            first.insert(request.resource);
        }
        // In a lane a round serves each of five namespaces once, and one more may come back; of four turns one is the others'.
        let most = 4 * 6 * (waiting.len() + 1);
        let mut coming = coming.into_iter().enumerate().cycle();
        for _ in 0..most {
            for (number, (namespace, since, is_retry)) in coming.by_ref().take(2) {
                let request = SlotRequest { is_retry, ..request(&format!("ns{namespace}"), &format!("new{number}"), since) };
                admission.request_slot(&request, NOW);
            }
            let Some(next) = admission.grant_slots(NOW).into_iter().next() else { break };
            first.remove(&next);
            for starting in admission.starting.keys().cloned().collect::<Vec<_>>() {
                first.remove(&starting);
                admission.leave(&starting);
            }
        }
        prop_assert!(first.is_empty(), "still waiting: {first:?}");
    }

    #[test]
    fn the_position_is_the_number_of_turns_until_the_rollout_starts(
        waiting in proptest::collection::vec((0u8..5, 0i64..20), 1..60),
    ) {
        let mut turns = FairQueue::default();
        let mut entries = Vec::new();
        for (number, (namespace, since)) in waiting.into_iter().enumerate() {
            let since = Timestamp::from_second(since).unwrap();
            let name = named(namespace, u8::try_from(number).unwrap());
            turns.join(&name, since);
            entries.push((name, since));
        }
        let places: Vec<_> = entries.iter().map(|(resource, since)| turns.ahead_of(resource, *since).unwrap()).collect();
        let order: Vec<_> = std::iter::from_fn(|| turns.take()).collect();
        for ((name, _), position) in entries.iter().zip(places) {
            prop_assert_eq!(&order[position], name);
        }
    }

    /// Jain's index over the turns of namespaces that always have somebody waiting.
    #[test]
    fn waiting_namespaces_have_the_same_number_of_turns(namespaces in 2u8..8, turns in 20usize..100) {
        let mut admission = Admission::new(rates(100));
        let mut served = vec![0usize; usize::from(namespaces)];
        for namespace in 0..namespaces {
            // The first namespace has a hundred times as many waiting.
            for name in 0..if namespace == 0 { 250 } else { 100 } {
                let request = SlotRequest { resource: named(namespace, name), ..request("", "", i64::from(namespace)) };
                admission.request_slot(&request, NOW);
            }
        }
        for _ in 0..turns {
            let next = admission.others.take().unwrap();
            served[next.namespace[2..].parse::<usize>().unwrap()] += 1;
        }
        prop_assert!(served.iter().max().unwrap() - served.iter().min().unwrap() <= 1, "{served:?}");
    }
}

#[test]
fn rollouts_that_were_checked_before_start_only_while_all_are_watched_closely() {
    let started = |is_checked| {
        let mut admission = Admission::new(rates(100));
        for number in 0..1000 {
            let request = request("bots", &format!("{number:04}"), number);
            admission.request_slot(&SlotRequest { is_checked, ..request }, NOW);
        }
        loop {
            let granted = admission.grant_slots(NOW);
            if granted.is_empty() {
                return (admission.counts().in_flight, admission.stretch());
            }
            granted.iter().for_each(|resource| admission.note_started(resource, NOW));
        }
    };
    let ((checked, stretch), (unchecked, _)) = (started(true), started(false));
    assert!(stretch <= MAX_STRETCH_OF_CHECKED, "{stretch}");
    assert_eq!((checked, unchecked), (18, 190));
}

#[test]
fn rollouts_that_are_polled_every_second_hold_up_none_that_was_checked_before() {
    let mut admission = Admission::new(rates(100));
    for number in 0..5 {
        admission.note_in_flight(&resource("impatient", &number.to_string()), interval(1, 8));
    }
    assert!(admission.stretch() > MAX_STRETCH_OF_CHECKED, "{}", admission.stretch());
    admission.request_slot(&SlotRequest { is_checked: true, ..request("bots", "patient", 1) }, NOW);
    assert_eq!(admission.grant_slots(NOW), [resource("bots", "patient")]);
}
