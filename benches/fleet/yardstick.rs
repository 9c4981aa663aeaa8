//! Measures the processor time that one read of a resource takes on this machine at this time. Reports show it beside
//! the other processor times, because the same work may take 50 % longer an hour later.

use crate::Failure;
use crate::kubernetes::configuration;
use crate::time::ThreadClock;
use api::CognigyDeployment;
use kube::{Api, Client};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// The time between two reads. It is long, so that the processor caches are as cold as for an operator.
const EVERY: Duration = Duration::from_millis(200);

/// A thread that reads one resource again and again.
pub struct Yardstick {
    stop: oneshot::Sender<()>,
    measured: oneshot::Receiver<Result<Duration, Failure>>,
}

impl Yardstick {
    /// Starts to read this resource.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(kubeconfig: PathBuf, namespace: String, name: String) -> Result<Self, Failure> {
        let (stop, stopped) = oneshot::channel();
        let (result, measured) = oneshot::channel();
        thread::Builder::new().name("yardstick".to_owned()).spawn(move || {
            // If the run has failed, nobody receives the result.
            let _ = result.send(read(&kubeconfig, &namespace, &name, stopped));
        })?;
        Ok(Self { stop, measured })
    }

    /// Stops reading, and returns the mean processor time of one read.
    ///
    /// # Errors
    /// If a read failed.
    pub async fn read(self) -> Result<Duration, Failure> {
        // If a read has failed, the thread has already ended, and its result is the error.
        let _ = self.stop.send(());
        self.measured.await.map_err(|_| Failure::Ended("the yardstick"))?
    }
}

fn read(
    kubeconfig: &Path,
    namespace: &str,
    name: &str,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Duration, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::try_from(configuration(kubeconfig).await?)?;
        let resources: Api<CognigyDeployment> = Api::namespaced(client, namespace);
        // The first read opens the connection. It does not count.
        resources.get(name).await?;
        let clock = ThreadClock::of_this_thread()?;
        let (before, mut reads) = (clock.used()?, 0);
        while tokio::time::timeout(EVERY, &mut stopped).await.is_err() {
            resources.get(name).await?;
            reads += 1;
        }
        Ok((clock.used()? - before) / reads.max(1))
    })
}
