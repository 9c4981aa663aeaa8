//! A real Kubernetes control plane for the demo, the tests and the benches: upstream's kube-apiserver and etcd, started
//! in seconds on this machine, and gone with the process that started them.
//!
//! ```no_run
//! # async fn example() -> Result<(), control_plane::Error> {
//! let control_plane = control_plane::ControlPlane::start(control_plane::Options::default()).await?;
//! println!("kubectl --kubeconfig {} get namespaces", control_plane.kubeconfig_path().display());
//! control_plane.stop();
//! # Ok(())
//! # }
//! ```
//!
//! It is real: validation by schema and CEL, strict decoding, watches, RBAC, leases, events, service account tokens.
//! What it does not have: a kubelet (nothing runs pods) and the controller-manager (a deleted namespace is not emptied,
//! no garbage is collected, namespaces get no `default` service account).
//!
//! The binaries come from `KUBEBUILDER_ASSETS`, else from a cache in the user's cache folder, else they are built into
//! that cache with Go (minutes, once); nothing is downloaded but Go modules, checked against `go.sum`.
//! [`Tools`] come the same way: what judges the manifests that people install.
//! Unix only: the processes are held by a small shell each.

mod binaries;
mod compile;
mod error;
mod identity;
mod port;
mod process;
mod progress;
mod readiness;
mod recipe;
mod scratch;
mod servers;
mod tools;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use binaries::Binaries;
pub use error::Error;
use identity::Identity;
use port::ReservedPort;
use scratch::ScratchFolder;
use servers::{Server, write_identity, write_private};
pub use tools::Tools;

/// How often a start is repeated with another port where somebody else was faster.
const STARTS: usize = 3;

/// How a control plane is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long etcd and the API server may take until they are ready; 120 seconds unless said. A build of the
    /// binaries does not count.
    pub ready_within: Duration,
    /// More flags for kube-apiserver (`--name=value`). They come after ours, and the last of a name wins.
    pub api_server_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { ready_within: Duration::from_secs(120), api_server_flags: Vec::new() }
    }
}

/// Whether [`ControlPlane::start`] has nothing to build.
///
/// # Errors
///
/// [`Error::Assets`], and [`Error::NoBinaries`] if there is no folder to build into.
pub fn is_built() -> Result<bool, Error> {
    Binaries::are_built()
}

/// Builds the binaries, if they are not there, and returns how long that took. [`ControlPlane::start`] does it by itself;
/// this is for a caller whose clock must not run meanwhile.
///
/// # Errors
///
/// [`Error::NoBinaries`], [`Error::Assets`] and [`Error::Build`]; each message says what to do.
pub async fn build() -> Result<Duration, Error> {
    let started = Instant::now();
    Binaries::find().await?;
    Ok(started.elapsed())
}

/// A running control plane. It ends when this value is dropped and when the process ends, be it with a panic, Ctrl-C or
/// SIGKILL; its folder goes too.
///
/// It is bound to no runtime: one in a `static` serves all tests of a binary.
pub struct ControlPlane {
    /// `None` while it is killed. The fields are dropped in this order: the reader before its store, the folder last.
    api_server: Option<Server>,
    etcd: Server,
    port: ReservedPort,
    identity: Identity,
    binaries: Binaries,
    options: Options,
    folder: ScratchFolder,
}

impl ControlPlane {
    /// Finds or builds the binaries, starts etcd and the API server, and waits until they are ready and the namespace
    /// `default` is there.
    ///
    /// # Errors
    ///
    /// Every kind of [`Error`]; each message says what to do.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let binaries = Binaries::find().await?;
        let folder = ScratchFolder::create()?;
        let identity = Identity::generate()?;
        write_identity(&identity, &folder)?;
        let etcd = Server::start_etcd(&binaries, &folder)?;
        let port = ReservedPort::reserve()?;
        let mut control_plane = Self { api_server: None, etcd, port, identity, binaries, options, folder };

        let mut starts = 1;
        while let Err(error) = control_plane.restart_api_server().await {
            if starts == STARTS || !lost_the_port(&error) {
                return Err(error);
            }
            starts += 1;
            control_plane.port = ReservedPort::reserve()?;
        }
        let kubeconfig = control_plane.identity.kubeconfig(&control_plane.server());
        write_private(&control_plane.kubeconfig_path(), &kubeconfig)?;
        Ok(control_plane)
    }

    /// The kubeconfig of an administrator, complete in itself: what `kubectl --kubeconfig` takes.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.folder.file("kubeconfig")
    }

    /// The API server's URL, `https://127.0.0.1:<port>`. The same as long as this value lives.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number())
    }

    /// The certificate (PEM) of the authority that signed the API server's.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.identity.ca_pem
    }

    /// The bearer token of an administrator, in the group `system:masters`.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.identity.admin_token
    }

    /// The private folder with the data, the kubeconfig, and the logs `etcd.log` and `kube-apiserver.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the API server as a crash would. Connections break, new ones are refused; etcd keeps the data.
    ///
    /// It has ended when this returns, after milliseconds. Nothing happens where it is dead already.
    pub fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server (again) on the same port over the same data, and waits until it is ready. One that still
    /// runs is killed before.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] where it or etcd ended by itself, [`Error::NotReady`] where it took longer than
    /// [`Options::ready_within`], and what the operating system refuses. The API server is dead then.
    pub async fn restart_api_server(&mut self) -> Result<(), Error> {
        self.kill_api_server();
        let flags = &self.options.api_server_flags;
        let api_server = Server::start_api_server(&self.binaries, &self.folder, self.port.number(), flags)?;
        let within = self.options.ready_within;
        readiness::wait_until_ready(&api_server, &self.etcd, &self.server(), &self.identity, within).await?;
        self.api_server = Some(api_server);
        Ok(())
    }

    /// The same with other flags in place of [`Options::api_server_flags`], from now on.
    ///
    /// # Errors
    ///
    /// As for [`restart_api_server`](Self::restart_api_server).
    pub async fn restart_api_server_with(&mut self, flags: Vec<String>) -> Result<(), Error> {
        self.options.api_server_flags = flags;
        self.restart_api_server().await
    }

    /// Ends the control plane and removes its folder: the same as dropping it, by name.
    ///
    /// Both programs are killed: the data has no further use, and asked politely the API server would linger a minute.
    pub fn stop(self) {}
}

fn lost_the_port(error: &Error) -> bool {
    matches!(error, Error::Ended { log_tail, .. } if log_tail.contains("address already in use"))
}
