//! Every request of the operator passes through here. This is where faults hit it.

use std::time::Duration;

use super::fault::{Fault, Io, LATE, LONG, RESTART, TAKE_OVER, UNDER_WAY};
use super::stage::{ListAge, SharedStage, Signal, Stage};
use super::story::ProcessId;

/// The connections of one process.
#[derive(Clone)]
pub struct Gate {
    pub stage: SharedStage,
    pub process: ProcessId,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request was not sent.
    NotConnected,
    /// The request may have had its effect.
    Interrupted,
}

/// The time from a request to its answer.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub usual: Duration,
    pub late: Duration,
}

impl Latency {
    pub const KUBERNETES: Self = Self { usual: Duration::from_millis(10), late: Duration::from_secs(14) };
    pub const PLATFORM: Self = Self { usual: Duration::from_millis(100), late: LATE };
}

impl Gate {
    /// Sends one request. `effect` performs it and returns the answer.
    pub async fn pass<A: Send + 'static>(
        &self,
        io: Io,
        latency: Latency,
        prepare: impl FnOnce(&mut Stage),
        effect: impl FnOnce(&mut Stage) -> A + Send + 'static,
    ) -> Result<A, NoAnswer> {
        let fault = self.stage.lock().next_request(self.process, io);
        tokio::time::sleep(latency.usual / 2).await;
        match fault {
            None => {}
            Some(Fault::Refused) => return Err(NoAnswer::NotConnected),
            Some(Fault::Conflict) => prepare(&mut self.stage.lock()),
            Some(Fault::WatchLost) => self.stage.lock().lose_watch(RESTART),
            Some(Fault::CrashBefore) => self.crash(TAKE_OVER, ListAge::Current).await,
            Some(Fault::PausedBefore) => self.pause().await,
            Some(Fault::CrashWhileUnderWay) => {
                let what = Box::new(move |stage: &mut Stage| drop(effect(stage)));
                self.stage.lock().signal(Signal::Later { after: UNDER_WAY, what });
                return self.crash(TAKE_OVER, ListAge::Current).await;
            }
            Some(_) => {}
        }
        let version = self.stage.lock().kubernetes.version();
        let answer = effect(&mut self.stage.lock());
        match fault {
            Some(Fault::CrashAfter) => self.crash(TAKE_OVER, ListAge::Current).await,
            Some(Fault::CrashThenStale) => self.crash(TAKE_OVER, ListAge::AsOf(version)).await,
            Some(Fault::CrashForLong) => self.crash(LONG, ListAge::Current).await,
            Some(Fault::AnswerLost) => return Err(NoAnswer::Interrupted),
            Some(Fault::AnswerLate) => tokio::time::sleep(latency.late).await,
            Some(Fault::PausedAfter) => self.pause().await,
            _ => {}
        }
        tokio::time::sleep(latency.usual / 2).await;
        Ok(answer)
    }

    async fn crash<A>(&self, next_in: Duration, list: ListAge) -> A {
        self.stage.lock().signal(Signal::Crash { process: self.process, next_in, list });
        std::future::pending().await
    }

    /// Pauses this process: the director stops polling it for a while.
    async fn pause(&self) {
        self.stage.lock().signal(Signal::Pause(self.process));
        tokio::task::yield_now().await;
    }
}
