//! The operator as a process of its own, as in a cluster: this demo talks to it only through the API server.

use crate::error::{Error, Trying};
use crate::narrator::Narrator;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

/// How long it may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take to stop when told to.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs `"$@"`. A line on standard input asks it to stop. The end of standard input kills it: the kernel closes our end
/// whichever way this process ends, so that no operator is ever left behind.
const LEASH: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
operator=$!
{ if read -r _ <&3; then kill "$operator"; else kill -9 "$operator"; fi; } 2>/dev/null &
watcher=$!
exec 3<&- </dev/null
wait "$operator"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// A running operator.
pub struct Operator {
    process: Child,
    leash: ChildStdin,
    log: PathBuf,
    address: SocketAddr,
}

impl Operator {
    /// Builds it where necessary, starts it, and waits until it is ready.
    pub async fn start(kubeconfig: &Path, narrator: &Narrator) -> Result<Self, Error> {
        narrator.say("starting the operator as a process of its own (cargo builds it where it is not up to date)")?;
        let program = program().await?;
        let address = free_address()?;
        let (log_file, log) = log()?;
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "operator"]).arg(program).arg("run");
        command.arg("--kubeconfig").arg(kubeconfig);
        command.arg("--metrics-addr").arg(address.to_string());
        // Plain http and a private address are refused unless the operator's own flags allow them.
        command.args(["--egress-allow", "127.0.0.1"]);
        // A group of its own, so that Ctrl-C in a terminal is for the demo to hear, which then stops it in order.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log_file).process_group(0);
        let mut process = command.spawn().trying("start the operator")?;
        let leash = process.stdin.take();
        let leash =
            leash.ok_or_else(|| std::io::Error::other("it has no standard input")).trying("hold the operator")?;
        let mut operator = Self { process, leash, log, address };
        operator.become_ready().await?;
        narrator.say(&format!("the operator is ready; its log: {}", operator.log.display()))?;
        Ok(operator)
    }

    /// Where `/metrics`, `/healthz` and `/readyz` are.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it ends by itself, which it should not.
    pub async fn ended(&mut self) -> Error {
        let status = self.process.wait().await;
        self.failed(&status.map_or_else(|error| error.to_string(), |status| format!("ended by itself ({status})")))
    }

    /// Tells it to stop, as a cluster would, and waits until it has.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.leash.write_all(b"stop\n").await.trying("tell the operator to stop")?;
        match timeout(STOP_WITHIN, self.process.wait()).await {
            Ok(status) => match status.trying("wait for the operator")? {
                status if status.success() => Ok(()),
                status => Err(self.failed(&format!("did not stop in order ({status})"))),
            },
            Err(_) => Err(self.failed(&format!("did not stop within {} s", STOP_WITHIN.as_secs()))),
        }
    }

    async fn become_ready(&mut self) -> Result<(), Error> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build();
        let client = client.map_err(|error| self.failed(&format!("cannot be asked whether it is ready: {error}")))?;
        let url = format!("{}/readyz", self.url());
        let is_ready = async {
            while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                sleep(ASK_EVERY).await;
            }
        };
        tokio::select! {
            () = is_ready => return Ok(()),
            _ = self.process.wait() => {}
            () = sleep(READY_WITHIN) => return Err(self.failed(&format!("is not ready after {} s", READY_WITHIN.as_secs()))),
        }
        Err(self.ended().await)
    }

    fn failed(&self, problem: &str) -> Error {
        const LINES: usize = 20;
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let log_tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Error::Operator { problem: problem.to_owned(), log: self.log.clone(), log_tail }
    }
}

/// The operator's program, next to the folder of this one and as new as its sources.
///
/// `cargo run --example` builds no other program of the package, so that one is asked for here; cargo does nothing where
/// it is built already.
async fn program() -> Result<PathBuf, Error> {
    let demo = std::env::current_exe().trying("find the demo's own program")?;
    let built_by_cargo = demo.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let program = built_by_cargo.join("cognigy-operator");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let status = build(Path::new(&cargo), built_by_cargo).await?;
        return if status.success() { Ok(program) } else { Err(Error::Build(status)) };
    }
    if program.is_file() { Ok(program) } else { Err(Error::NoOperator(program)) }
}

async fn build(cargo: &Path, built_by_cargo: &Path) -> Result<ExitStatus, Error> {
    let profile = match built_by_cargo.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut command = Command::new(cargo);
    command.args(["build", "--profile", profile, "--bin", "cognigy-operator"]);
    // The dependencies' features are settled for all that is built at once: without the demo in it, a build would take
    // other features than the demo's own did, and compile half of the dependencies again.
    command.args(["--example", "demo", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if let Some(target) = built_by_cargo.parent() {
        command.arg("--target-dir").arg(target);
    }
    // `cargo run` names the package in our environment; build scripts that look there would take it for a change.
    for (name, _) in std::env::vars_os() {
        let is_of_the_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_of_the_package) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).status().await.trying("start cargo")
}

/// An address that nobody listens on. Somebody could take it before the operator does, which then says so and ends.
fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).trying("find a free port")?;
    listener.local_addr().trying("find a free port")
}

/// A file in the system's folder for temporary files. It stays: it is worth reading afterwards.
fn log() -> Result<(File, PathBuf), Error> {
    let file = tempfile::Builder::new().prefix("cognigy-operator-demo-").suffix(".log").tempfile();
    let file = file.trying("make the operator's log")?;
    file.keep().map_err(|error| error.error).trying("keep the operator's log")
}
