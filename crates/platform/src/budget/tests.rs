#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use tokio_util::sync::CancellationToken;

fn key(name: &str) -> Requester {
    Requester::new("namespace", name)
}

/// A budget whose careful first minute is over, so that all free places may be used at once.
async fn warm(limit: u32) -> Arc<Budget> {
    let budget = Budget::new(NonZeroU32::new(limit).unwrap());
    tokio::time::sleep(WINDOW).await;
    budget
}

/// Lets every task run until it waits for time or for another task.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_spread_and_rollbacks_are_not() {
    let budget = warm(20).await;
    let start = Instant::now();
    for _ in 0..2 {
        drop(budget.admit(Priority::Job, &key("a")).await.unwrap());
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "a tenth of the limit may go at once");
    for _ in 2..19 {
        drop(budget.admit(Priority::Job, &key("a")).await.unwrap());
    }
    assert_eq!(start.elapsed(), 17 * WINDOW / 20);
    drop(budget.admit(Priority::Rollback, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), 17 * WINDOW / 20, "one place is kept for a rollback");
    drop(budget.admit(Priority::Job, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_admitted_by_priority_and_round_robin() {
    let budget = warm(1).await;
    let blocking = budget.admit(Priority::Job, &key("x")).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (priority, resource) in [
        (Priority::Audit, "a"),
        (Priority::Health, "a"),
        (Priority::Health, "a"),
        (Priority::Health, "b"),
        (Priority::Rollback, "c"),
    ] {
        let (budget, order) = (budget.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                match budget.admit(priority, &key(resource)).await {
                    Ok(_) => return order.lock().push((priority, resource)),
                    Err(error) => assert_eq!(error, BudgetError::Busy),
                }
            }
        }));
        settle().await;
    }
    drop(blocking);
    let _claim = budget.claim_limit(NonZeroU32::new(100).unwrap());
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        *order.lock(),
        [
            (Priority::Rollback, "c"),
            (Priority::Health, "a"),
            (Priority::Health, "b"),
            (Priority::Health, "a"),
            (Priority::Audit, "a"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_leaves_the_queue_and_another_task_runs_the_timer() {
    let budget = warm(1).await;
    let blocking = budget.admit(Priority::Job, &key("x")).await.unwrap();
    let spawn = |resource: &'static str| {
        let budget = budget.clone();
        tokio::spawn(async move { budget.admit(Priority::Job, &key(resource)).await.map(drop) })
    };
    let first = spawn("first");
    settle().await;
    let second = spawn("second");
    settle().await;
    assert_eq!(budget.usage().total_waiting(), 2);
    first.abort();
    settle().await;
    assert_eq!(budget.usage().total_waiting(), 1);
    drop(blocking);
    let start = Instant::now();
    second.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_uses_no_place() {
    let budget = warm(100).await;
    let cancellation = CancellationToken::new();
    let requester = key("a").cancelled_by(cancellation.clone());
    cancellation.cancel();
    assert_eq!(budget.admit(Priority::Job, &requester).await.unwrap_err(), BudgetError::Cancelled);
    assert_eq!(budget.usage().used, 0);
    drop(budget.admit(Priority::Rollback, &requester).await.unwrap());
    assert_eq!(budget.usage().used, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_not_wait_goes_at_once_or_not_at_all_and_leaves_half_of_the_budget() {
    let budget = warm(100).await;
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < WINDOW {
        match budget.admit(Priority::Watch, &key("watched")).await {
            Ok(permit) => {
                sent += 1;
                drop(permit);
            }
            Err(error) => {
                assert_eq!(error, BudgetError::NoRoom);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    assert_eq!((sent, budget.usage().total_waiting()), (50, 0));
    let began = Instant::now();
    for _ in 0..10 {
        drop(budget.admit(Priority::Start, &key("new")).await.unwrap());
    }
    assert!(began.elapsed() <= Duration::from_secs(6), "as fast as without the others: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_not_wait_does_not_go_before_one_that_waits() {
    let budget = Budget::new(NonZeroU32::new(100).unwrap());
    drop(budget.admit(Priority::Job, &key("a")).await.unwrap());
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move { budget.admit(Priority::Start, &key("b")).await.map(drop) }
    });
    settle().await;
    assert_eq!(budget.admit(Priority::Watch, &key("c")).await.unwrap_err(), BudgetError::NoRoom);
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_gets_an_error() {
    let budget = warm(1).await;
    let _blocking = budget.admit(Priority::Job, &key("x")).await.unwrap();
    let start = Instant::now();
    assert_eq!(budget.admit(Priority::Rollback, &key("a")).await.unwrap_err(), BudgetError::Busy);
    assert_eq!(start.elapsed(), MAX_QUEUE_WAIT);
    assert_eq!(budget.usage().total_waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_delays_all_requests_and_a_long_pause_is_an_error() {
    let budget = warm(100).await;
    let start = Instant::now();
    budget.pause(Duration::from_secs(7));
    drop(budget.admit(Priority::Rollback, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    budget.pause(Duration::from_secs(300));
    for (priority, left) in [(Priority::Health, 120), (Priority::Submit, 120), (Priority::Start, 300)] {
        let refused = budget.admit(priority, &key("a")).await.unwrap_err();
        assert_eq!(refused, BudgetError::Paused { left: Duration::from_secs(left) }, "{priority:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_an_hour_delays_a_rollback_for_seconds_and_a_poll_for_two_minutes() {
    let budget = warm(100).await;
    budget.pause(Duration::from_secs(3600));
    let start = Instant::now();
    drop(budget.admit(Priority::Rollback, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    tokio::time::sleep(Duration::from_secs(60)).await;
    // In-flight requests are sent when their pause ends. Requests with a longer pause still wait.
    let requester = key("a");
    let (health, audit) = tokio::join!(budget.admit(Priority::Health, &requester), async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        budget.admit(Priority::Audit, &requester).await.map(drop)
    });
    drop(health.unwrap());
    assert!(matches!(audit, Err(BudgetError::Paused { .. })), "{audit:?}");
    assert!((120..=121).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_longer_pause_is_not_admitted_together_with_another() {
    let budget = warm(100).await;
    budget.pause(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(550)).await;
    budget.pause(Duration::from_secs(60));
    // The audit record waits for 50 s more, and the health poll for 60 s more.
    let start = Instant::now();
    let admitted_after = async |priority| {
        drop(budget.admit(priority, &key("a")).await.unwrap());
        start.elapsed().as_secs()
    };
    let (audit, rollback) = tokio::join!(admitted_after(Priority::Audit), admitted_after(Priority::Rollback));
    assert!(rollback <= 10 && (50..=52).contains(&audit), "{rollback} {audit}");
}

#[tokio::test(start_paused = true)]
async fn a_saturated_budget_uses_its_window_never_exceeds_the_limit_and_admits_rollbacks_at_once() {
    const LIMIT: usize = 100;
    const REQUESTS: usize = 10_000;
    let budget = warm(100).await;
    let start = Instant::now();
    let counted = Arc::new(Mutex::new(Vec::new()));
    let request = |priority: Priority, number: u64| {
        let (budget, counted) = (budget.clone(), counted.clone());
        async move {
            let mut random = fastrand::Rng::with_seed(number);
            let asked = Instant::now();
            let Ok(permit) = budget.admit(priority, &key(&number.to_string())).await else { return None };
            let waited = asked.elapsed();
            tokio::time::sleep(Duration::from_millis(random.u64(0..400))).await;
            counted.lock().push(Instant::now());
            tokio::time::sleep(Duration::from_millis(random.u64(0..400))).await;
            drop(permit);
            Some(waited)
        }
    };
    let (request, sent) = (&request, &|| counted.lock().len());
    let busy = (0..200).map(|task| async move {
        let mut number = task;
        while sent() < REQUESTS {
            request(Priority::ALL[1 + number as usize % 6], number).await;
            number += 200;
        }
    });
    futures::future::join(futures::future::join_all(busy), async {
        let mut number = 1_000_000;
        while sent() < REQUESTS {
            tokio::time::sleep(Duration::from_millis(13_000)).await;
            let waited = request(Priority::Rollback, number).await.unwrap();
            assert!(waited < Duration::from_secs(1), "a rollback waited for {waited:?}");
            number += 1;
        }
    })
    .await;
    let minutes = start.elapsed().as_secs_f64() / WINDOW.as_secs_f64();
    let mut counted = counted.lock().clone();
    counted.sort();
    let use_of_limit = counted.len() as f64 / minutes / LIMIT as f64;
    assert!(use_of_limit >= 0.93, "{use_of_limit} of the limit");
    for (index, &first) in counted.iter().enumerate() {
        let inside = counted.partition_point(|&at| at < first + WINDOW) - index;
        assert!(inside <= LIMIT, "the API refuses {} requests", inside - LIMIT);
    }
}

#[tokio::test(start_paused = true)]
async fn the_smallest_claimed_limit_counts_until_its_claim_is_dropped() {
    let budget = Budget::new(TYPICAL_LIMIT);
    let claim = |limit| budget.claim_limit(NonZeroU32::new(limit).unwrap());
    let large = claim(300);
    assert_eq!(budget.limit().get(), 300);
    let small = claim(40);
    let middle = claim(200);
    assert_eq!(budget.limit().get(), 40);
    drop(small);
    assert_eq!(budget.limit().get(), 200);
    drop(middle);
    drop(large);
    assert_eq!(budget.limit().get(), 300, "no claim changes the limit");
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_kept_while_its_requests_still_count() {
    let budgets = Budgets::default();
    let client = |id: &str| ClientFingerprint::of(&[id]);
    let first = Arc::downgrade(&budgets.shared(client("a")));
    drop(budgets.shared(client("a")).admit(Priority::Job, &key("x")).await.unwrap());
    drop(budgets.shared(client("b")));
    assert!(first.upgrade().is_some(), "a request still counts after the budget's last user is gone");
    tokio::time::sleep(WINDOW).await;
    drop(budgets.shared(client("b")));
    assert!(first.upgrade().is_none(), "no request counts any more");
}
