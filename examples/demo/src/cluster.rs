//! The cluster that the demo uses: its own API server, or an existing cluster of the user.

use crate::access::Access;
use crate::error::{Error, Trying};
use crate::output::Output;
use crate::preflight::{self, Leftovers};
use crate::releases::NAMESPACE;
use crate::removal;
use control_plane::ControlPlane;
use kube::Client;
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a cluster may take to answer the first question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A cluster.
pub struct Cluster {
    /// The client of an administrator.
    pub kubernetes: Client,
    access: Access,
    kind: Kind,
}

enum Kind {
    /// The demo's own. It ends when this is dropped or when the process ends.
    Own(Box<ControlPlane>),
    /// A cluster of the user. No other demo on this machine uses it while the file is locked.
    Given { _lock: File },
}

/// Builds the API server of the demo's own cluster, if this machine has none. The demo's clock does not run yet.
pub async fn prepare() -> Result<(), Error> {
    if control_plane::is_built()? {
        return Ok(());
    }
    Output::print_untimed(
        "building kube-apiserver and etcd from their released sources: minutes, once on this machine.\n\
         With --kubeconfig the demo uses a cluster that you have, and builds nothing.\n",
    )?;
    let took = control_plane::build().await?.as_secs();
    Output::print_untimed(&format!("they are built, in {} min {:02} s; now the demo begins\n\n", took / 60, took % 60))
}

impl Cluster {
    /// Opens the cluster that was given, or starts one.
    pub async fn open(given: Option<Access>, output: &Output) -> Result<Self, Error> {
        match given {
            Some(access) => Self::enter(access, output).await,
            None => Self::start(output).await,
        }
    }

    /// How it is reached.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Ends it, or removes what the demo made in it. The operator must have stopped.
    pub async fn close(self, output: &Output) -> Result<(), Error> {
        match self.kind {
            Kind::Own(control_plane) => {
                control_plane.stop();
                output.print_timed("the API server is stopped, and its kubeconfig is gone")
            }
            Kind::Given { _lock } => {
                let done = removal::remove_everything(&self.kubernetes, &self.access).await?;
                done.iter().try_for_each(|line| output.print_timed(line))
            }
        }
    }

    async fn start(output: &Output) -> Result<Self, Error> {
        output.print_timed("starting a Kubernetes API server")?;
        let control_plane = ControlPlane::start(control_plane::Options::default()).await?;
        let access = Access::new(control_plane.kubeconfig_path(), None);
        let (kubernetes, server) = access.connect().await?;
        output.print_timed(&format!("the API server is ready: {server}"))?;
        Ok(Self { kubernetes, access, kind: Kind::Own(Box::new(control_plane)) })
    }

    async fn enter(access: Access, output: &Output) -> Result<Self, Error> {
        let (kubernetes, server) = access.connect().await?;
        let unreachable = |problem: String| Error::Unreachable { server: server.clone(), problem };
        let version = timeout(ANSWERS_WITHIN, kubernetes.apiserver_version()).await;
        let version = version
            .map_err(|_| unreachable(format!("no answer within {} s", ANSWERS_WITHIN.as_secs())))?
            .map_err(|error| unreachable(with_causes(&error)))?;
        output.print_timed(&format!("{server} runs Kubernetes {}", version.git_version))?;
        let lock = lock(&server)?;
        let found = preflight::look(&kubernetes).await?;
        let leftovers = preflight::judge(&found, &access.kubectl()).map_err(Error::Occupied)?;
        if leftovers == Leftovers::OfAnEarlierDemo {
            output.print_timed(&format!(
                "an earlier demo was killed and left its namespace {NAMESPACE} or its CRDs here"
            ))?;
            let done = removal::remove_everything(&kubernetes, &access).await?;
            done.iter().try_for_each(|line| output.print_timed(line))?;
        }
        Ok(Self { kubernetes, access, kind: Kind::Given { _lock: lock } })
    }
}

/// Prevents a second demo on this machine from using the same cluster: it would treat the first one's resources as leftovers.
/// The kernel owns the lock, so it becomes free when this process ends, even after a crash.
fn lock(server: &str) -> Result<File, Error> {
    let digest = hex::encode(Sha256::digest(server));
    let path = std::env::temp_dir().join(format!("cognigy-demo-{}.lock", &digest[..16]));
    let file = File::create(path).trying("make the lock of the cluster")?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { server: server.to_owned() }),
        Err(TryLockError::Error(error)) => Err(error).trying("lock the cluster for this demo"),
    }
}

/// The messages of an error and of all its causes. A cause says whether the address, the port or the certificate is wrong.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words
}
