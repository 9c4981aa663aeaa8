//! The command lines of etcd and kube-apiserver, and the files that they read.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    binaries::{Binaries, ETCD, KUBE_APISERVER},
    error::{Error, Trying},
    identity::Identity,
    process::{Process, leashed, log_tail},
    scratch::ScratchFolder,
};

/// A running etcd or kube-apiserver, with its log.
pub(crate) struct Server {
    program: &'static str,
    process: Process,
    log: PathBuf,
}

impl Server {
    /// Starts etcd on a socket in the folder: it needs no port, and only the owner of the folder can reach it.
    ///
    /// The data need not survive a crash of the machine, so etcd does not wait for the disk.
    pub(crate) fn start_etcd(binaries: &Binaries, folder: &ScratchFolder) -> Result<Self, Error> {
        let clients = socket_url(&folder.file("etcd.sock"));
        let peers = socket_url(&folder.file("etcd-peers.sock"));
        let mut member = OsString::from(format!("{ETCD}="));
        member.push(&peers);
        let flags = [
            flag("name", ETCD),
            flag("data-dir", folder.file("etcd-data")),
            flag("listen-client-urls", &clients),
            flag("advertise-client-urls", &clients),
            flag("listen-peer-urls", &peers),
            flag("initial-advertise-peer-urls", &peers),
            flag("initial-cluster", member),
            flag("unsafe-no-fsync", "true"),
            flag("log-level", "warn"),
        ];
        Self::start(ETCD, &binaries.etcd, flags, folder)
    }

    /// Starts kube-apiserver on a port of the loopback interface; `more_flags` override ours.
    pub(crate) fn start_api_server(
        binaries: &Binaries,
        folder: &ScratchFolder,
        port: u16,
        more_flags: &[String],
    ) -> Result<Self, Error> {
        let flags = [
            flag("etcd-servers", socket_url(&folder.file("etcd.sock"))),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", port.to_string()),
            flag("tls-cert-file", folder.file(SERVER_CERTIFICATE)),
            flag("tls-private-key-file", folder.file(SERVER_KEY)),
            flag("token-auth-file", folder.file(TOKENS)),
            flag("authorization-mode", "RBAC"),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            flag("service-account-signing-key-file", folder.file(SERVICE_ACCOUNT_KEY)),
            flag("service-account-key-file", folder.file(SERVICE_ACCOUNT_PUBLIC_KEY)),
            // No controller makes the `default` service accounts that this admission plugin would require.
            flag("disable-admission-plugins", "ServiceAccount"),
            flag("service-cluster-ip-range", "10.0.0.0/24"),
            // An endpoint for the `kubernetes` service must not have a loopback address.
            flag("advertise-address", "127.0.0.1"),
            flag("endpoint-reconciler-type", "none"),
            flag("profiling", "false"),
        ];
        let flags = flags.into_iter().chain(more_flags.iter().map(OsString::from));
        Self::start(KUBE_APISERVER, &binaries.kube_apiserver, flags, folder)
    }

    fn start(
        program: &'static str,
        binary: &Path,
        flags: impl IntoIterator<Item = OsString>,
        folder: &ScratchFolder,
    ) -> Result<Self, Error> {
        let action = || format!("start {}", binary.display());
        let log = folder.file(&format!("{program}.log"));
        // Append: the log of an API server that was killed must still exist after its restart.
        let output = OpenOptions::new().create(true).append(true).open(&log).trying(action)?;
        let mut command = leashed(binary);
        command.args(flags).stderr(output.try_clone().trying(action)?).stdout(output);
        Ok(Self { program, process: Process::start(command).trying(action)?, log })
    }

    /// Waits for the end of the program, and returns it as an error.
    pub(crate) async fn ended(&self) -> Error {
        match self.process.ended().await {
            Ok(status) => Error::Ended { program: self.program, status, log_tail: self.log_tail() },
            Err(source) => Error::System { action: format!("wait for {}", self.program), source },
        }
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        log_tail(&self.log)
    }
}

const SERVER_CERTIFICATE: &str = "server.crt";
const SERVER_KEY: &str = "server.key";
const SERVICE_ACCOUNT_KEY: &str = "service-accounts.key";
const SERVICE_ACCOUNT_PUBLIC_KEY: &str = "service-accounts.pub";
const TOKENS: &str = "tokens.csv";

/// Writes the files that the API server's flags name.
pub(crate) fn write_identity(identity: &Identity, folder: &ScratchFolder) -> Result<(), Error> {
    let files = [
        (SERVER_CERTIFICATE, &identity.server_certificate_pem),
        (SERVER_KEY, &identity.server_key_pem),
        (SERVICE_ACCOUNT_KEY, &identity.service_account_key_pem),
        (SERVICE_ACCOUNT_PUBLIC_KEY, &identity.service_account_public_key_pem),
        (TOKENS, &identity.token_file()),
    ];
    files.into_iter().try_for_each(|(name, content)| write_private(&folder.file(name), content))
}

/// Writes a file that only its owner can read, completely or not at all.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let draft = path.with_extension("draft");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?
            .write_all(content.as_bytes())?;
        fs::rename(draft, path)
    };
    write().trying(|| format!("write {}", path.display()))
}

fn flag(name: &str, value: impl Into<OsString>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value.into());
    flag
}

fn socket_url(path: &Path) -> OsString {
    let mut url = OsString::from("unix://");
    url.push(path);
    url
}
