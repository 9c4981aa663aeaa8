//! The network between an operator and Cognigy.AI. It delays every request and every answer.

use crate::time::Time;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use platform::{Transport, TransportError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The shortest delay of a message.
const LEAST: Duration = Duration::from_millis(10);
/// The mean of the additional delay. It is exponentially distributed, so a few messages take much longer than others.
const MEAN_DELAY: Duration = Duration::from_millis(40);
/// The longest delay of a message.
const MOST: Duration = Duration::from_millis(500);

/// Sends requests over real HTTP after a delay, and returns the answers after another delay.
pub struct Network {
    wire: Arc<dyn Transport>,
    time: Time,
    delays: Mutex<fastrand::Rng>,
}

impl Network {
    /// A network whose random delays are generated from `seed`.
    pub fn new(wire: Arc<dyn Transport>, time: Time, seed: u64) -> Self {
        Self { wire, time, delays: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    fn delay(&self) -> Duration {
        let drawn = self.delays.lock().unwrap_or_else(PoisonError::into_inner).f64();
        (LEAST + MEAN_DELAY.mul_f64(-(1.0 - drawn).ln())).min(MOST)
    }
}

impl Transport for Network {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let (there, back) = (self.delay(), self.delay());
        async move {
            tokio::time::sleep(there).await;
            let hold = self.time.hold();
            let answer = self.wire.send(request).await;
            drop(hold);
            tokio::time::sleep(back).await;
            answer
        }
        .boxed()
    }
}
