//! Elections over an API in memory, in virtual time: each moment is exact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod leases;

use super::{Elector, Fenced, Leadership, Terms};
use bytes::Bytes;
use futures::future::BoxFuture;
use leases::{Fault, Leases};
use platform::{Transport, TransportError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const LEASE: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

fn candidate(leases: &Leases, identity: &str) -> Elector {
    let terms = Terms::new(LEASE, DEADLINE, RETRY).unwrap();
    Elector::new(leases.client(), "cognigy-system", "cognigy-operator", identity.to_owned(), terms)
}

/// Longer than any successful wait for the lease.
const FOREVER: Duration = Duration::from_secs(1_500);

/// Waits until the lease is acquired.
async fn acquire(elector: &Elector) {
    assert!(acquire_within(FOREVER, elector).await, "the lease is never taken");
}

async fn acquire_within(time: Duration, elector: &Elector) -> bool {
    timeout(time, elector.acquire(&CancellationToken::new())).await.unwrap_or(false)
}

/// Renews in the background until the returned set is dropped.
fn keep(elector: &Elector) -> tokio::task::JoinSet<()> {
    let (mut kept, elector) = (tokio::task::JoinSet::new(), elector.clone());
    kept.spawn(async move { elector.keep().await });
    kept
}

#[tokio::test(start_paused = true)]
async fn if_two_candidates_try_at_once_only_one_leads() {
    for held_before in [false, true] {
        let leases = Leases::default();
        if held_before {
            leases.hold("gone", LEASE);
        }
        let electors = [candidate(&leases, "a"), candidate(&leases, "b")];
        // Both read before either writes. The guarded write decides.
        leases.fault(Fault::SlowReads(Duration::from_millis(500)));
        let time = if held_before { LEASE + RETRY * 3 } else { LEASE / 2 };
        let [a, b] = electors.each_ref().map(|elector| acquire_within(time, elector));
        let led = tokio::join!(a, b);
        assert_ne!(led.0, led.1, "one leads, and the other waits: {led:?}");
        assert_eq!(leases.transitions(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_never_taken() {
    let leases = Leases::default();
    let (leader, other) = (candidate(&leases, "a"), candidate(&leases, "b"));
    acquire(&leader).await;
    let _kept = keep(&leader);
    assert!(!acquire_within(FOREVER, &other).await);
    assert!(leader.leadership().may_act());
    assert_eq!(leases.holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_crashed_leader_is_replaced_when_its_lease_expires_and_not_before() {
    let leases = Leases::default();
    let (leader, other) = (candidate(&leases, "a"), candidate(&leases, "b"));
    acquire(&leader).await;
    let crashed_at = Instant::now();
    acquire(&other).await;
    let waited = crashed_at.elapsed();
    assert!((LEASE..=LEASE + RETRY).contains(&waited), "{waited:?}");
    assert!(!leader.leadership().may_act());
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_does_not_shorten_the_lease_of_the_holder() {
    let leases = Leases::default();
    let (leader, other) = (candidate(&leases, "a"), candidate(&leases, "b"));
    leases.hold("a", LEASE);
    // The candidate sends its read at 0 s and gets the answer at 14 s, with a renewal from just before.
    leases.fault(Fault::SlowReads(Duration::from_secs(14)));
    let waiting = async {
        acquire(&other).await;
        Instant::now()
    };
    let renewing = async {
        sleep(Duration::from_millis(13_900)).await;
        leases.fault(Fault::None);
        acquire(&leader).await;
        // From now on the holder is cut off.
        Instant::now()
    };
    let (taken_at, renewed_at) = tokio::join!(waiting, renewing);
    assert!(taken_at - renewed_at >= LEASE, "taken {:?} after the renewal", taken_at - renewed_at);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_renewals_fail_stops_before_another_may_start() {
    for fault in [Fault::Refuse, Fault::Hang, Fault::LoseWrites] {
        let leases = Leases::default();
        let (leader, other) = (candidate(&leases, "a"), candidate(&leases, "b"));
        acquire(&leader).await;
        let mut kept = keep(&leader);
        sleep(LEASE * 3).await;
        assert!(leader.leadership().may_act());

        let cut_off_at = Instant::now();
        leases.fault(fault);
        kept.join_next().await.unwrap().unwrap();
        let stopped_after = cut_off_at.elapsed();
        assert!(!leader.leadership().may_act());
        assert!(stopped_after <= DEADLINE, "{fault:?}: {stopped_after:?}");

        leases.fault(Fault::None);
        let written_at = leases.written_at();
        acquire(&other).await;
        assert!(written_at.elapsed() >= LEASE, "{fault:?}: {:?}", written_at.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn one_renewal_that_hangs_leaves_time_for_another() {
    let leases = Leases::default();
    let leader = candidate(&leases, "a");
    acquire(&leader).await;
    let _kept = keep(&leader);
    leases.fault(Fault::Hang);
    sleep(RETRY + Duration::from_secs(1)).await;
    leases.fault(Fault::None);
    sleep(LEASE * 3).await;
    assert!(leader.leadership().may_act(), "the hanging request is cancelled, and the next one is answered");
}

#[tokio::test(start_paused = true)]
async fn a_leader_may_not_act_past_its_deadline_even_before_it_notices() {
    let leases = Leases::default();
    let leader = candidate(&leases, "a");
    acquire(&leader).await;
    sleep(DEADLINE - Duration::from_millis(1)).await;
    assert!(leader.leadership().may_act());
    sleep(Duration::from_millis(1)).await;
    assert!(!leader.leadership().may_act(), "it stops by its own clock");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_reads_another_holder_stops_at_once() {
    let leases = Leases::default();
    let leader = candidate(&leases, "a");
    acquire(&leader).await;
    let mut kept = keep(&leader);
    leases.hold("b", LEASE);
    let taken_at = Instant::now();
    kept.join_next().await.unwrap().unwrap();
    assert!(taken_at.elapsed() <= RETRY, "{:?}", taken_at.elapsed());
    assert!(!leader.leadership().may_act());
    assert_eq!(leases.holder(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_write_conflict_does_not_end_the_leadership_of_the_holder() {
    let leases = Leases::default();
    let leader = candidate(&leases, "a");
    acquire(&leader).await;
    let _kept = keep(&leader);
    leases.fault(Fault::ConflictOnce);
    sleep(LEASE * 2).await;
    assert!(leader.leadership().may_act());
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_at_the_next_read() {
    let leases = Leases::default();
    let (leader, other) = (candidate(&leases, "a"), candidate(&leases, "b"));
    acquire(&leader).await;
    let waiting = async {
        acquire(&other).await;
        Instant::now()
    };
    let releasing = async {
        sleep(Duration::from_secs(3)).await;
        leases.fault(Fault::ConflictOnce);
        leader.release().await;
        assert!(!leader.leadership().may_act());
        Instant::now()
    };
    let (taken_at, released_at) = tokio::join!(waiting, releasing);
    assert!(taken_at - released_at <= RETRY, "{:?}", taken_at - released_at);
}

#[tokio::test(start_paused = true)]
async fn a_release_never_takes_the_lease_from_another_holder_and_never_waits_for_long() {
    let leases = Leases::default();
    let leader = candidate(&leases, "a");
    acquire(&leader).await;
    leases.hold("b", LEASE);
    leader.release().await;
    assert_eq!(leases.holder(), "b");

    leases.fault(Fault::Hang);
    let before = Instant::now();
    leader.release().await;
    assert!(before.elapsed() <= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_created_again_by_its_holder_and_not_taken_by_a_candidate_that_saw_it_held() {
    let leases = Leases::default();
    let (leader, other) = (candidate(&leases, "a"), candidate(&leases, "b"));
    acquire(&leader).await;
    let _kept = keep(&leader);
    let watching = acquire_within(LEASE * 4, &other);
    let deleting = async {
        // Just before the candidate's read, and well before the holder's.
        sleep(RETRY * 2 - Duration::from_millis(1)).await;
        leases.delete();
    };
    let (taken, ()) = tokio::join!(watching, deleting);
    assert!(!taken);
    assert!(leader.leadership().may_act());
    assert_eq!(leases.holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_waits_for_the_lease_duration_of_the_holder_if_it_is_longer() {
    let leases = Leases::default();
    leases.hold("an older release with longer terms", LEASE * 4);
    let began = Instant::now();
    acquire(&candidate(&leases, "b")).await;
    assert!(began.elapsed() >= LEASE * 4);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_stops_leaves_no_lease_behind() {
    let leases = Leases::default();
    let elector = candidate(&leases, "a");
    // The write has acquired the lease, and its answer is on its way.
    leases.fault(Fault::SlowAnswers(Duration::from_secs(1)));
    let stop = CancellationToken::new();
    let stopping = async {
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(leases.holder(), "a");
        leases.fault(Fault::None);
        stop.cancel();
    };
    let (acquired, ()) = tokio::join!(elector.acquire(&stop), stopping);
    assert!(!acquired);
    assert_eq!(leases.holder(), "");
}

/// Counts the requests that are sent.
#[derive(Default)]
struct Wire(AtomicUsize);

impl Transport for Wire {
    fn send(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(http::Response::new(Bytes::new())) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_may_not_act_sends_no_request() {
    let leases = Leases::default();
    let leader = candidate(&leases, "a");
    let wire = Arc::new(Wire::default());
    let fenced = Fenced::new(wire.clone(), leader.leadership());
    let send = || fenced.send(http::Request::new(Bytes::new()));

    let refused = |answer| matches!(answer, Err(TransportError::NotConnected(_)));
    assert!(refused(send().await), "it does not lead yet");
    acquire(&leader).await;
    assert!(send().await.is_ok());
    sleep(DEADLINE).await;
    assert!(refused(send().await), "its leadership is over");
    assert_eq!(wire.0.load(Ordering::Relaxed), 1);

    assert!(Fenced::new(wire, Leadership::unshared()).send(http::Request::new(Bytes::new())).await.is_ok());
}
