//! The operator in its own process, as in a cluster. The demo communicates with it only through the API server.
//!
//! The process runs the demo's own program with the hidden subcommand `operator`, which calls the operator's `run`. So
//! `cargo run -p cognigy-demo` builds all that the demo needs before the demo begins.

use crate::access::{Access, OperatorsKubeconfig};
use crate::error::{Error, Trying};
use crate::output::Output;
use crate::releases::NAMESPACE;
use crate::scratch;
use std::env;
use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

/// How long it may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The pause between two checks whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take to stop when told to.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs `"$@"` and prints its process id. A line on standard input asks it to stop. The end of standard input kills it. The
/// kernel closes our end of the pipe when this process ends, even after a crash, so no operator stays behind.
const LEASH: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null >/dev/null &
operator=$!
echo "$operator"
exec >/dev/null
{ if read -r _ <&3; then kill "$operator"; else kill -9 "$operator"; fi; } 2>/dev/null &
watcher=$!
exec 3<&- </dev/null
wait "$operator"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// The operator.
pub struct Operator {
    kubeconfig: OperatorsKubeconfig,
    address: SocketAddr,
    log: PathBuf,
    running: Running,
}

/// Its process.
struct Running {
    shell: Child,
    leash: ChildStdin,
    process_id: String,
}

impl Operator {
    /// Starts it, and waits until it is ready.
    pub async fn start(access: &Access, output: &Output) -> Result<Self, Error> {
        let kubeconfig = access.for_the_operator()?;
        let address = free_address()?;
        // The file is not removed, so that people can read it later.
        let (_, log) = scratch::create("operator.log").trying("make the operator's log")?;
        let running = Running::start(&kubeconfig, address, &log).await?;
        let mut operator = Self { kubeconfig, address, log, running };
        operator.become_ready().await?;
        let (id, log) = (operator.process_id(), operator.log.display());
        output.print_timed(&format!("the operator is ready, as process {id}; its log: {log}"))?;
        Ok(operator)
    }

    /// Starts it again once it has ended, with the same log and address.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.running = Running::start(&self.kubeconfig, self.address, &self.log).await?;
        self.become_ready().await
    }

    /// The base URL of `/metrics`, `/healthz` and `/readyz`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The id of its process.
    pub fn process_id(&self) -> &str {
        &self.running.process_id
    }

    /// Waits until it ends by itself, and returns how it ended.
    pub async fn ended(&mut self) -> String {
        match self.running.shell.wait().await {
            Ok(status) => format!("has ended ({status})"),
            Err(error) => format!("is lost ({error})"),
        }
    }

    /// Asks it to stop, as a cluster would, and waits for its end.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.running.leash.write_all(b"stop\n").await.trying("tell the operator to stop")?;
        let stopped: Result<std::io::Result<ExitStatus>, _> = timeout(STOP_WITHIN, self.running.shell.wait()).await;
        match stopped {
            Ok(status) => match status.trying("wait for the operator")? {
                status if status.success() => Ok(()),
                status => Err(self.failed(&format!("did not stop in order ({status})"))),
            },
            Err(_) => Err(self.failed(&format!("did not stop within {} s", STOP_WITHIN.as_secs()))),
        }
    }

    /// The error of an operator with a problem: with the end of its log.
    pub fn failed(&self, problem: &str) -> Error {
        const LINES: usize = 20;
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let log_tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Error::Operator { problem: problem.to_owned(), log: self.log.clone(), log_tail }
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
        let problem = tokio::select! {
            () = is_ready => return Ok(()),
            how = self.ended() => how,
            () = sleep(READY_WITHIN) => format!("is not ready after {} s", READY_WITHIN.as_secs()),
        };
        Err(self.failed(&problem))
    }
}

impl Running {
    async fn start(kubeconfig: &OperatorsKubeconfig, address: SocketAddr, log: &Path) -> Result<Self, Error> {
        let program = env::current_exe().trying("find the demo's own program")?;
        let log = OpenOptions::new().append(true).open(log).trying("open the operator's log")?;
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "operator"]).arg(program).arg("operator");
        command.arg("--kubeconfig").arg(&kubeconfig.paths);
        command.args(["--namespace", NAMESPACE]);
        command.arg("--metrics-addr").arg(address.to_string());
        // The operator refuses plain http and private addresses unless its flags allow them.
        command.args(["--egress-allow", "127.0.0.1"]);
        // Variables in the user's shell may be meant for another operator.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("COGNIGY_") || name == "CI_CD_WEBHOOK_URL") {
                command.env_remove(name);
            }
        }
        // Its own process group, so that Ctrl-C in a terminal reaches only the demo. The demo then stops the operator.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut shell = command.spawn().trying("start the operator")?;
        let missing = || std::io::Error::other("it has no standard input and output");
        let leash = shell.stdin.take().ok_or_else(missing).trying("hold the operator")?;
        let output = shell.stdout.take().ok_or_else(missing).trying("hold the operator")?;
        let process_id = BufReader::new(output).lines().next_line().await.trying("read the operator's process id")?;
        Ok(Self { shell, leash, process_id: process_id.unwrap_or_default() })
    }
}

/// A free address. If another process takes it before the operator does, the operator ends with an error.
fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).trying("find a free port")?;
    listener.local_addr().trying("find a free port")
}
