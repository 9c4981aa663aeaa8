#![allow(clippy::unwrap_used)]

mod operator;
mod protocol;
mod world;

use protocol::{Mutant, Protocol};
use stateright::{Checker, Model};
use world::Budget;

#[test]
fn trial() {
    let env = |name: &str, default: u8| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let budget = Budget {
        crashes: env("C", 1),
        losses: env("L", 1),
        delays: env("D", 1),
        refusals: env("R", 1),
        edits: env("E", 1),
        rollback_requests: env("Q", 1),
    };
    let mut protocol = Protocol::new(env("O", 1).into(), budget);
    if let Ok(m) = std::env::var("M") {
        protocol = protocol.with(match m.as_str() {
            "no" => Mutant::NoIntent,
            "ui" => Mutant::UnguardedIntent,
            "rk" => Mutant::RandomKey,
            "uj" => Mutant::UnguardedJob,
            "kr" => Mutant::KeyReusedAfterExpiry,
            "ar" => Mutant::AnyRefusalRejects,
            _ => Mutant::RollbackBeforeItsRecord,
        });
    }
    let started = std::time::Instant::now();
    let checker = protocol
        .checker()
        .threads(2)
        .target_state_count(6_000_000)
        .timeout(std::time::Duration::from_secs(100))
        .spawn_bfs()
        .join();
    println!(
        "{budget:?}: {} unique, {} generated, depth {}, {:?}, done {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed(),
        checker.is_done()
    );
    for (name, path) in checker.discoveries() {
        println!("{}: {name} {}", checker.discovery_classification(name), path.clone().into_actions().len());
        if checker.discovery_classification(name).to_string().contains("counter") {
            for a in path.into_actions() {
                println!("     {a:?}");
            }
        }
    }
}
