//! How long this machine takes, at this time and under this load, for the least that an operator can ask: to read one
//! resource. Processor times are told by it, since the same work may take half as long again an hour later.

use crate::Failure;
use crate::kubernetes::configuration;
use crate::time::ThreadClock;
use api::CognigyDeployment;
use kube::{Api, Client};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the resource is read: so seldom that each read finds the machine as cold as an operator does.
const EVERY: Duration = Duration::from_millis(200);

/// A thread of its own that reads one resource again and again.
pub struct Yardstick {
    stop: oneshot::Sender<()>,
    measured: oneshot::Receiver<Result<Duration, Failure>>,
}

impl Yardstick {
    /// Begins to read that resource.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn lay(kubeconfig: PathBuf, namespace: String, name: String) -> Result<Self, Failure> {
        let (stop, stopped) = oneshot::channel();
        let (tell, measured) = oneshot::channel();
        thread::Builder::new().name("yardstick".to_owned()).spawn(move || {
            // Nobody listens where the run has failed.
            let _ = tell.send(read(&kubeconfig, &namespace, &name, stopped));
        })?;
        Ok(Self { stop, measured })
    }

    /// The processor time of one read, in the mean.
    ///
    /// # Errors
    /// Where one of them failed.
    pub async fn read(self) -> Result<Duration, Failure> {
        // The thread is gone where a read has failed, and says so.
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
        // The first one connects.
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
