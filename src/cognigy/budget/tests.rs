#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn key(name: &str) -> Requester {
    Requester::new("namespace", name)
}

/// A budget whose start is over, so that all that is free may go at once.
async fn warm(limit: u32) -> Arc<Budget> {
    let budget = Budget::new(NonZeroU32::new(limit).unwrap());
    tokio::time::sleep(WINDOW).await;
    budget
}

/// Lets every task run until it waits for time or for another.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_over_the_limit_wait_a_minute() {
    let budget = warm(20).await;
    let start = Instant::now();
    for _ in 0..19 {
        drop(budget.admit(Priority::Job, &key("a")).await.unwrap());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(budget.admit(Priority::Rollback, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO, "one place is kept for a rollback");
    drop(budget.admit(Priority::Job, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_go_by_priority_and_by_turns() {
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
                    Ok(_) => return order.lock().unwrap().push((priority, resource)),
                    Err(error) => assert_eq!(error, BudgetError::Busy),
                }
            }
        }));
        settle().await;
    }
    drop(blocking);
    budget.set_limit(NonZeroU32::new(100).unwrap());
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        *order.lock().unwrap(),
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
async fn whoever_is_dropped_leaves_the_queue_and_hands_the_baton_on() {
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
    assert_eq!(budget.reading().waiting_in_all(), 2);
    first.abort();
    settle().await;
    assert_eq!(budget.reading().waiting_in_all(), 1);
    drop(blocking);
    let start = Instant::now();
    second.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_is_told_to_come_back() {
    let budget = warm(1).await;
    let _blocking = budget.admit(Priority::Job, &key("x")).await.unwrap();
    let start = Instant::now();
    assert_eq!(budget.admit(Priority::Rollback, &key("a")).await.unwrap_err(), BudgetError::Busy);
    assert_eq!(start.elapsed(), PATIENCE);
    assert_eq!(budget.reading().waiting_in_all(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everybody_back_and_a_long_one_is_not_waited_for() {
    let budget = warm(100).await;
    let start = Instant::now();
    budget.pause(Duration::from_secs(7));
    drop(budget.admit(Priority::Rollback, &key("a")).await.unwrap());
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    budget.pause(Duration::from_secs(300));
    let refused = budget.admit(Priority::Rollback, &key("a")).await.unwrap_err();
    assert_eq!(refused, BudgetError::Paused { left: Duration::from_secs(300) });
}

#[tokio::test(start_paused = true)]
async fn many_tasks_with_slow_requests_never_exceed_the_limit_in_any_minute() {
    let budget = Budget::new(NonZeroU32::new(30).unwrap());
    let sent = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..25u64 {
        let (budget, sent) = (budget.clone(), sent.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(number);
            let mut done = 0;
            while done < 8 {
                let Ok(permit) = budget.admit(Priority::Job, &key(&number.to_string())).await else { continue };
                tokio::time::sleep(Duration::from_millis(random.u64(0..9000))).await;
                sent.lock().unwrap().push(Instant::now());
                tokio::time::sleep(Duration::from_millis(random.u64(0..9000))).await;
                drop(permit);
                done += 1;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut sent = sent.lock().unwrap().clone();
    sent.sort();
    assert_eq!(sent.len(), 200);
    for (index, &first) in sent.iter().enumerate() {
        assert!(sent[index..].iter().take_while(|&&at| at < first + WINDOW).count() <= 30);
    }
}

#[tokio::test(start_paused = true)]
async fn one_client_has_one_budget_for_as_long_as_it_matters() {
    let budgets = Budgets::default();
    let client = |id: &str| {
        crate::cognigy::Credentials {
            client_id: id.to_owned(),
            client_secret: String::new().into(),
            base_url: crate::cognigy::BaseUrl::public(),
            token_url: crate::cognigy::TokenUrl::public(),
            ca_pem: None,
            requests_per_minute: None,
        }
        .client_fingerprint()
    };
    let first = Arc::downgrade(&budgets.shared(client("a")));
    drop(budgets.shared(client("a")).admit(Priority::Job, &key("x")).await.unwrap());
    drop(budgets.shared(client("b")));
    assert!(first.upgrade().is_some(), "a request still counts, though nobody holds the budget");
    tokio::time::sleep(WINDOW).await;
    drop(budgets.shared(client("b")));
    assert!(first.upgrade().is_none(), "nothing counts any more");
}
