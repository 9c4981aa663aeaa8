//! The operator at work, in one command and under two minutes: `cargo run --example demo`.
//!
//! Everything is real but Cognigy.AI itself: a kube-apiserver with etcd, the CRD as it is installed, the operator as a
//! process of its own. Cognigy.AI is the simulator, over real HTTP, which reads every request to the letter.
//!
//! Four resources are applied, each with a story of its own (`examples/demo/resources/`): a good release that succeeds,
//! a bad one that is rolled back, one with a dependency conflict that is never submitted, and one with a mistake that
//! the API server refuses. A table shows how they stand while it happens; at the end, a timeline tells what each did.
//!
//! The exit code is 0 only where each ended as it should, judged by its status and by what Cognigy.AI received; 1
//! otherwise, with a list of what differed. `--keep` leaves all of it running until Ctrl-C, to look around.
//!
//! Read on in this order: `cast` (who plays), `stage` (what an operator needs around it), `operator` (how it is started),
//! `play` (apply and watch), `board` (the live table), `story` (the timeline), `verdict` (what must be true in the end).

#[path = "demo/board.rs"]
mod board;
#[path = "demo/cast.rs"]
mod cast;
#[path = "demo/error.rs"]
mod error;
#[path = "demo/guide.rs"]
mod guide;
#[path = "demo/narrator.rs"]
mod narrator;
#[path = "demo/operator.rs"]
mod operator;
#[path = "demo/play.rs"]
mod play;
#[path = "demo/stage.rs"]
mod stage;
#[path = "demo/story.rs"]
mod story;
#[path = "demo/verdict.rs"]
mod verdict;

use clap::Parser;
use error::{Error, Trying};
use narrator::Narrator;
use operator::Operator;
use stage::Stage;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use story::Record;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Shows the operator at work on an API server of its own: one release that succeeds, one that is rolled back, one that
/// is never submitted, one that is refused.
#[derive(Parser)]
#[command(name = "demo", max_term_width = 100)]
struct Arguments {
    /// Leaves everything running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One TLS provider for everything; a second call, which cannot be here, would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match show(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where nobody reads standard error either, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "\nthe demo was not shown: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every resource ended as it should.
async fn show(arguments: &Arguments) -> Result<bool, Error> {
    let narrator = Narrator::start();
    let mut stop = Stop::listen()?;
    let stage = stop.or(Stage::set(&narrator)).await?;
    let mut operator = stop.or(Operator::start(&stage.kubeconfig(), &narrator)).await?;
    narrator.say(&format!("to watch in another terminal: {}", guide::watching(&stage)))?;
    let all_is_well = stop.or(perform(&stage, &mut operator, &narrator)).await?;
    if arguments.keep {
        narrator.say("all of it keeps running until Ctrl-C; look around in another terminal:")?;
        narrator.print(&guide::commands(&stage, &operator))?;
        tokio::select! {
            () = stop.requested() => {}
            error = operator.ended() => return Err(error),
        }
    }
    operator.stop().await?;
    stage.strike().await;
    narrator.say(
        "the operator, Cognigy.AI and the API server are stopped, the kubeconfig is gone; --keep leaves them running",
    )?;
    Ok(all_is_well)
}

async fn perform(stage: &Stage, operator: &mut Operator, narrator: &Narrator) -> Result<bool, Error> {
    let platform = stage.simulator.handle();
    let mut parts = play::apply(&stage.kubernetes, narrator).await?;
    narrator.print("\n")?;
    tokio::select! {
        watched = play::watch(&stage.kubernetes, &platform, &mut parts, narrator) => watched?,
        error = operator.ended() => return Err(error),
    }
    let record = Record::read(&stage.kubernetes, &platform).await?;
    record.tell(&parts, narrator)?;
    let differences = verdict::differences(&parts, &record, &platform);
    match differences.as_slice() {
        [] => narrator.say("each of the four ended as it should")?,
        differences => {
            narrator.say("not everything ended as it should:")?;
            for difference in differences {
                narrator.print(&format!("  - {difference}\n"))?;
            }
            narrator.say(&format!("the operator's log may tell why: {}", operator.log().display()))?;
        }
    }
    Ok(differences.is_empty())
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).trying("listen for Ctrl-C");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Does the work, unless it is interrupted.
    async fn or<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            result = work => result,
            () = self.requested() => Err(Error::Interrupted),
        }
    }
}
