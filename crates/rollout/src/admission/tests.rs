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

fn who(namespace: &str, name: &str) -> ResourceName {
    ResourceName { namespace: namespace.into(), name: name.into() }
}

fn ticket(namespace: &str, name: &str, since: i64) -> Ticket {
    Ticket {
        who: who(namespace, name),
        since: Timestamp::from_second(since).unwrap(),
        is_retry: false,
        interval: interval(15, 120),
        is_back: false,
    }
}

/// All request a slot. No slot is granted yet.
fn all_ask(admission: &mut Admission, tickets: &[Ticket]) {
    for ticket in tickets {
        assert!(matches!(admission.request_slot(ticket, NOW), Answer::Wait { .. }));
    }
}

/// The names in the order in which the rollouts start. Each has started and ended before the next one starts.
fn order(admission: &mut Admission) -> Vec<String> {
    let mut began = Vec::new();
    let mut called = VecDeque::from(admission.grant_slots(NOW));
    while let Some(who) = called.pop_front() {
        began.push(format!("{}/{}", who.namespace, who.name));
        admission.note_started(&who, NOW);
        admission.leave(&who);
        called.extend(admission.grant_slots(NOW));
    }
    began
}

#[test]
fn a_rollout_starts_at_once_if_a_slot_is_free() {
    let mut admission = Admission::new(rates(100));
    let ticket = ticket("bots", "one", 1);
    admission.request_slot(&ticket, NOW);
    assert_eq!(admission.grant_slots(NOW), [who("bots", "one")]);
    assert_eq!(admission.request_slot(&ticket, NOW), Answer::Begin);
    assert_eq!(admission.grant_slots(NOW), []);
}

#[test]
fn only_a_few_rollouts_wait_for_their_validation() {
    for (limit, handful) in [(1, 2), (100, 3), (1000, 12)] {
        let mut admission = Admission::new(rates(limit));
        let tickets: Vec<_> = (0..20).map(|number| ticket("bots", &format!("{number:02}"), number)).collect();
        // The poll interval is so long that polling uses almost nothing of the budget.
        let tickets: Vec<_> =
            tickets.into_iter().map(|ticket| Ticket { interval: interval(15, 3600), ..ticket }).collect();
        all_ask(&mut admission, &tickets);
        assert_eq!(admission.grant_slots(NOW).len(), handful, "limit {limit}");
        admission.note_started(&tickets[0].who, NOW);
        assert_eq!(
            admission.grant_slots(NOW),
            [tickets[handful].who.clone()],
            "the next one gets a slot as soon as one has started"
        );
    }
}

#[test]
fn no_more_rollouts_are_in_flight_than_can_be_polled_at_their_longest_intervals() {
    for (longest, most) in [(15, 23), (60, 95), (120, 190)] {
        let mut admission = Admission::new(rates(100));
        for number in 0..300 {
            let ticket = Ticket { interval: interval(15, longest), ..ticket("bots", &format!("{number}"), number) };
            admission.request_slot(&ticket, NOW);
            for called in admission.grant_slots(NOW) {
                admission.note_started(&called, NOW);
            }
        }
        let reading = admission.counts();
        assert_eq!((reading.in_flight, reading.waiting), (most, 300 - most), "longest interval {longest} s");
        admission.leave(&who("bots", "0"));
        assert_eq!(admission.grant_slots(NOW).len(), 1, "one ends, one starts");
    }
}

#[test]
fn a_rollout_whose_polls_exceed_the_budget_starts_only_if_it_is_alone() {
    let mut admission = Admission::new(rates(1));
    let restless = Ticket { interval: interval(1, 1), ..ticket("bots", "restless", 1) };
    admission.request_slot(&restless, NOW);
    assert_eq!(admission.grant_slots(NOW), std::slice::from_ref(&restless.who));
    admission.note_started(&restless.who, NOW);
    admission.request_slot(&Ticket { who: who("bots", "other"), ..restless }, NOW);
    assert_eq!(admission.grant_slots(NOW), []);
}

#[test]
fn the_oldest_goes_first_and_namespaces_take_turns() {
    let mut admission = Admission::new(rates(100));
    let mut tickets: Vec<_> = (0..4).map(|number| ticket("large", &number.to_string(), 10 + number)).collect();
    tickets.push(ticket("small", "a", 12));
    tickets.push(ticket("small", "b", 11));
    tickets.push(ticket("tiny", "z", 99));
    tickets.reverse();
    all_ask(&mut admission, &tickets);
    let expected = ["large/0", "small/b", "tiny/z", "large/1", "small/a", "large/2", "large/3"];
    assert_eq!(order(&mut admission), expected);
}

#[test]
fn a_namespace_that_joins_again_and_again_has_one_turn_in_each_round() {
    let mut admission = Admission::new(rates(100));
    let waiting: Vec<_> = (0..30)
        .map(|number| ticket(if number % 2 == 0 { "a" } else { "b" }, &format!("{number:02}"), number))
        .collect();
    all_ask(&mut admission, &waiting);
    let mut pushy = 0;
    for turn in 0..30 {
        if !admission.waiting.contains_key(&who("pushy", "one")) {
            // Older than all others.
            admission.request_slot(&ticket("pushy", "one", -1), NOW);
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
    let mut tickets: Vec<_> = (0..3).map(|number| ticket("bots", &format!("old{number}"), number)).collect();
    tickets.extend(
        (0..8).map(|number| Ticket { is_retry: true, ..ticket("bots", &format!("retry{number}"), 100 + number) }),
    );
    all_ask(&mut admission, &tickets);
    let expected =
        ["retry0", "retry1", "retry2", "old0", "retry3", "retry4", "retry5", "old1", "retry6", "retry7", "old2"];
    assert_eq!(order(&mut admission), expected.map(|name| format!("bots/{name}")));
}

#[test]
fn a_retry_request_moves_a_waiting_rollout_ahead() {
    let mut admission = Admission::new(rates(100));
    let tickets = [ticket("bots", "first", 1), ticket("bots", "second", 2)];
    all_ask(&mut admission, &tickets);
    all_ask(&mut admission, &[Ticket { is_retry: true, ..tickets[1].clone() }]);
    assert_eq!(admission.counts().waiting, 2);
    assert_eq!(order(&mut admission), ["bots/second", "bots/first"]);
}

#[test]
fn a_rollout_that_leaves_frees_a_slot_for_the_next_one() {
    let mut admission = Admission::new(rates(1));
    let tickets: Vec<_> = (0..4).map(|number| ticket("bots", &number.to_string(), number)).collect();
    let tickets: Vec<_> = tickets.into_iter().map(|ticket| Ticket { interval: interval(15, 3600), ..ticket }).collect();
    all_ask(&mut admission, &tickets);
    assert_eq!(admission.grant_slots(NOW).len(), 2);
    admission.leave(&tickets[2].who);
    admission.leave(&tickets[0].who);
    assert_eq!(admission.grant_slots(NOW), [tickets[3].who.clone()]);
}

#[test]
fn an_unused_slot_is_lost_until_the_rollout_requests_it_again() {
    let mut admission = Admission::new(rates(1));
    let tickets: Vec<_> = (0..3).map(|number| ticket("bots", &number.to_string(), number)).collect();
    let tickets: Vec<_> = tickets.into_iter().map(|ticket| Ticket { interval: interval(15, 3600), ..ticket }).collect();
    all_ask(&mut admission, &tickets);
    assert_eq!(admission.grant_slots(NOW).len(), 2);
    assert_eq!(admission.request_slot(&tickets[1], NOW), Answer::Begin);
    assert_eq!(admission.grant_slots(NOW + seconds(29)), []);
    assert_eq!(admission.grant_slots(NOW + seconds(30)), [tickets[2].who.clone()], "the first has not used its slot");
    assert!(matches!(admission.request_slot(&tickets[0], NOW + seconds(31)), Answer::Wait { position: 1, of: 1, .. }));
    admission.leave(&tickets[1].who);
    assert_eq!(admission.grant_slots(NOW + seconds(32)), [tickets[0].who.clone()]);
}

#[test]
fn after_a_restart_no_slot_is_granted_before_earlier_waiters_can_join_again() {
    let mut admission = Admission::new(rates(100));
    let mut tickets: Vec<_> = (0..6).map(|number| ticket("bots", &number.to_string(), number)).collect();
    tickets.iter_mut().for_each(|ticket| ticket.is_back = true);
    let mut asked_again = Vec::new();
    for ticket in tickets.iter().rev() {
        let Answer::Wait { ask_again, .. } = admission.request_slot(ticket, NOW) else {
            panic!("no slot is granted yet")
        };
        asked_again.push(ask_again);
        assert_eq!(admission.grant_slots(NOW), []);
    }
    assert_eq!(asked_again, [RESTART_PAUSE; 6]);
    let called = admission.grant_slots(NOW + RESTART_PAUSE);
    assert_eq!(called, [tickets[0].who.clone(), tickets[1].who.clone(), tickets[2].who.clone()]);
}

#[test]
fn a_new_attempt_of_a_resource_that_was_in_flight_waits_like_any_other() {
    let mut admission = Admission::new(rates(1));
    let busy = interval(15, 15);
    admission.watch(&who("bots", "elder"), interval(15, 15));
    admission.watch(&who("bots", "one"), busy);
    assert!(matches!(admission.request_slot(&ticket("bots", "one", 5), NOW), Answer::Wait { .. }));
    assert_eq!(admission.grant_slots(NOW), []);
    assert_eq!(admission.counts().in_flight, 1);
}

#[test]
fn the_expected_wait_follows_the_recent_rate_of_starts_or_else_the_limit() {
    let mut admission = Admission::new(rates(100));
    admission.watch(&who("bots", "elder"), interval(1, 1));
    admission.watch(&who("bots", "other"), interval(1, 1));
    for number in 0..10 {
        admission.request_slot(&ticket("bots", &format!("{number:02}"), number), NOW);
    }
    let left = |admission: &mut Admission, now| match admission.request_slot(&ticket("bots", "09", 9), now) {
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
    let told = AdmissionSlot::NotRequested.wait(100, 200, seconds(600), now);
    let later = |passed: u64, position, left| told.wait(position, 200, seconds(left), after_seconds(now, passed));
    assert_eq!(later(120, 80, 480), told, "as expected");
    assert_eq!(later(120, 60, 560), told, "a little late");
    assert_eq!(later(540, 2, 60), told, "nearly there, as expected");
    assert_ne!(later(300, 100, 600), told, "nothing moves");
    assert_ne!(later(120, 90, 800), told, "minutes late");
    assert_eq!(told.grant().position(), told.position(), "it is shown as waiting until it has started");
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
    Ask { namespace: u8, name: u8, since: i64, is_retry: bool },
    Leave { namespace: u8, name: u8 },
    Watch { namespace: u8, name: u8 },
    Serve,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0u8..4, 0u8..12, 0i64..50, prop::bool::weighted(0.2))
            .prop_map(|(namespace, name, since, is_retry)| Event::Ask { namespace, name, since, is_retry }),
        1 => (0u8..4, 0u8..12).prop_map(|(namespace, name)| Event::Leave { namespace, name }),
        1 => (0u8..4, 0u8..12).prop_map(|(namespace, name)| Event::Watch { namespace, name }),
        3 => Just(Event::Serve),
    ];
    proptest::collection::vec(event, 0..150)
}

fn named(namespace: u8, name: u8) -> ResourceName {
    who(&format!("ns{namespace}"), &format!("{name:02}"))
}

proptest! {
    #[test]
    fn each_rollout_is_counted_exactly_once_after_any_events(limit in 1u32..300, events in events()) {
        let mut admission = Admission::new(rates(limit));
        let mut now = NOW;
        for event in events {
            now += seconds(1);
            match event {
                Event::Ask { namespace, name, since, is_retry } => {
                    let name = named(namespace, name);
                    let ticket = Ticket { who: name.clone(), is_retry, ..ticket("", "", since) };
                    let answer = admission.request_slot(&ticket, now);
                    prop_assert_eq!(answer == Answer::Begin, admission.starting.contains_key(&name));
                    if let Answer::Wait { position, of, .. } = answer {
                        prop_assert!((1..=of).contains(&position), "position {} of {}", position, of);
                    }
                }
                Event::Leave { namespace, name } => admission.leave(&named(namespace, name)),
                Event::Watch { namespace, name } => admission.watch(&named(namespace, name), interval(15, 60)),
                Event::Serve => {
                    for called in admission.grant_slots(now) {
                        admission.note_started(&called, now);
                    }
                }
            }
            let reading = admission.counts();
            prop_assert_eq!(reading.waiting, admission.retries.len() + admission.others.len());
            prop_assert!(reading.starting <= admission.most_starting());
            let counted: usize = admission.intervals.values().sum();
            prop_assert_eq!(counted, reading.starting + reading.in_flight);
            prop_assert!(reading.stretch >= 1.0);
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
            let ticket = Ticket { is_retry: *is_retry, ..ticket(&format!("ns{namespace}"), &format!("first{number}"), *since) };
            admission.request_slot(&ticket, NOW);
            first.insert(ticket.who);
        }
        // In a lane a round serves each of five namespaces once, and one more may come back; of four turns one is the others'.
        let most = 4 * 6 * (waiting.len() + 1);
        let mut coming = coming.into_iter().enumerate().cycle();
        for _ in 0..most {
            for (number, (namespace, since, is_retry)) in coming.by_ref().take(2) {
                let ticket = Ticket { is_retry, ..ticket(&format!("ns{namespace}"), &format!("new{number}"), since) };
                admission.request_slot(&ticket, NOW);
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
        let places: Vec<_> = entries.iter().map(|(who, since)| turns.ahead_of(who, *since).unwrap()).collect();
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
                admission.request_slot(&Ticket { who: named(namespace, name), ..ticket("", "", i64::from(namespace)) }, NOW);
            }
        }
        for _ in 0..turns {
            let next = admission.others.take().unwrap();
            served[next.namespace[2..].parse::<usize>().unwrap()] += 1;
        }
        prop_assert!(served.iter().max().unwrap() - served.iter().min().unwrap() <= 1, "{served:?}");
    }
}
