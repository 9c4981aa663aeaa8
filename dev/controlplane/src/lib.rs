//! A real Kubernetes control plane for the demo, the tests and the benches: upstream's kube-apiserver and etcd. They
//! start in seconds on this machine, and end with the process that started them.
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
//! It has validation by schema and CEL, strict decoding, watches, RBAC, leases, events, and service account tokens. It
//! has neither a kubelet (no pod runs) nor the controller-manager (a deleted namespace is not emptied, no garbage is
//! collected, namespaces get no `default` service account).
//!
//! The binaries come from `KUBEBUILDER_ASSETS`, otherwise from a cache in the user's cache folder. If they are in
//! neither, they are built into that cache with Go (minutes, once). Only Go modules are downloaded, and they are
//! checked against `go.sum`. [`Tools`], the programs that check the manifests that users install, are found in the same
//! way. Unix only, because a small shell holds each process.

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

/// How often a start is repeated with another port if another process has taken the port first.
const STARTS: usize = 3;

/// The options of a control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long etcd and the API server may take until they are ready; 120 seconds by default. A build of the binaries
    /// does not count.
    pub ready_within: Duration,
    /// Additional flags for kube-apiserver (`--name=value`). They come after ours, and the last flag with the same name
    /// wins.
    pub api_server_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { ready_within: Duration::from_secs(120), api_server_flags: Vec::new() }
    }
}

/// Whether [`ControlPlane::start`] can start without a build.
///
/// # Errors
///
/// [`Error::Assets`], and [`Error::NoBinaries`] if there is no folder to build into.
pub fn is_built() -> Result<bool, Error> {
    Binaries::are_built()
}

/// Builds the binaries if they are missing, and returns how long that took. [`ControlPlane::start`] builds them by
/// itself; use this function if the time of a build must not count.
///
/// # Errors
///
/// [`Error::NoBinaries`], [`Error::Assets`] and [`Error::Build`]; each message says what to do.
pub async fn build() -> Result<Duration, Error> {
    let started = Instant::now();
    Binaries::find().await?;
    Ok(started.elapsed())
}

/// A running control plane. It ends, and its folder is removed, when this value is dropped. The same happens when the
/// process ends, even after a panic, Ctrl-C or SIGKILL.
///
/// It does not depend on a runtime: one control plane in a `static` serves all tests of a binary.
pub struct ControlPlane {
    /// `None` while it is killed. Fields are dropped in this order: the API server before etcd, and the folder last.
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
    /// `default` exists.
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

    /// The kubeconfig of an administrator, for `kubectl --kubeconfig`. It refers to no other file.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.folder.file("kubeconfig")
    }

    /// The API server's URL, `https://127.0.0.1:<port>`. It stays the same while this value lives.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number())
    }

    /// The certificate (PEM) of the authority that signed the API server's certificate.
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

    /// Kills the API server, which simulates a crash. Connections break, and new ones are refused; etcd keeps the data.
    ///
    /// The API server has ended when this returns, after milliseconds. If it has already ended, this does nothing.
    pub fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server (again) on the same port with the same data, and waits until it is ready. If it is still
    /// running, it is killed first.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if it or etcd ended by itself, [`Error::NotReady`] if it took longer than
    /// [`Options::ready_within`], and the errors of the operating system. After an error, the API server is not
    /// running.
    pub async fn restart_api_server(&mut self) -> Result<(), Error> {
        self.kill_api_server();
        let flags = &self.options.api_server_flags;
        let api_server = Server::start_api_server(&self.binaries, &self.folder, self.port.number(), flags)?;
        let within = self.options.ready_within;
        readiness::wait_until_ready(&api_server, &self.etcd, &self.server(), &self.identity, within).await?;
        self.api_server = Some(api_server);
        Ok(())
    }

    /// Does the same, and from now on uses these flags instead of [`Options::api_server_flags`].
    ///
    /// # Errors
    ///
    /// The same errors as for [`restart_api_server`](Self::restart_api_server).
    pub async fn restart_api_server_with(&mut self, flags: Vec<String>) -> Result<(), Error> {
        self.options.api_server_flags = flags;
        self.restart_api_server().await
    }

    /// Ends the control plane and removes its folder. Dropping the value has the same effect.
    ///
    /// Both programs are killed: the data is no longer needed, and after SIGTERM the API server would take a minute to
    /// end.
    pub fn stop(self) {}
}

fn lost_the_port(error: &Error) -> bool {
    matches!(error, Error::Ended { log_tail, .. } if log_tail.contains("address already in use"))
}
