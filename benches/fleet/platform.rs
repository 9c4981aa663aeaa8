//! The simulated Cognigy.AI, on its own thread in virtual time.

use crate::Failure;
use crate::time::Time;
use jiff::Timestamp;
use simulator::{Scenario, Server, WorldHandle};
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The behaviour of the platform in a run.
#[derive(Clone, Copy, Debug)]
pub struct PlatformBehaviour {
    /// How long a job takes, in seconds.
    pub job_seconds: u32,
    /// The maximum number of requests per minute, including token requests.
    pub requests_per_minute: u32,
}

impl PlatformBehaviour {
    /// A platform with this behaviour. Deployments in these environments are unhealthy.
    ///
    /// # Errors
    /// If the simulator cannot read it.
    pub fn scenario<'a>(self, bad: impl Iterator<Item = &'a str>) -> Result<Scenario, Failure> {
        let Self { job_seconds, requests_per_minute } = self;
        let mut text = format!(
            "jobDurationSeconds: {job_seconds}\nrateLimit: {{requestsPerMinute: {requests_per_minute}, countTokenRequests: true}}\n\
             journalLimit: 10000000\nenvironments:\n  env-nobody: {{}}\n"
        );
        for environment in bad {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {environment}: {{deploymentsAreUnhealthy: true}}");
        }
        Ok(Scenario::parse(&text)?)
    }
}

/// A running platform. It ends when this value is dropped.
pub struct Platform {
    /// Its world.
    pub handle: WorldHandle,
    /// Its base URL.
    pub url: String,
    /// The time of its clock at the start of virtual time.
    pub epoch: Timestamp,
    _stop: oneshot::Sender<()>,
    _thread: JoinHandle<()>,
}

struct Opened {
    handle: WorldHandle,
    url: String,
    epoch: Timestamp,
}

impl Platform {
    /// Starts it. Virtual time has not started yet.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn open(time: &Time, scenario: Scenario) -> Result<Self, Failure> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let thread = time.spawn("platform", move || async move {
            let bound = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), scenario, None).await;
            let server = match bound {
                Ok(server) => server,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let handle = server.handle();
            let opened = Opened { url: server.url(), epoch: handle.now(), handle };
            if ready.send(Ok(opened)).is_ok() {
                // When the sender is dropped, this ends with an error, as intended.
                let _ = stopped.await;
            }
            server.shutdown().await;
        })?;
        let Opened { handle, url, epoch } = is_ready.await.map_err(|_| Failure::Ended("the platform"))??;
        Ok(Self { handle, url, epoch, _stop: stop, _thread: thread })
    }

    /// Converts a time of its clock to the time since the start of virtual time.
    pub fn since_epoch(&self, moment: Timestamp) -> Duration {
        Duration::try_from(moment.duration_since(self.epoch)).unwrap_or_default()
    }
}
