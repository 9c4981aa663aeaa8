//! A process of the operator.

use super::DEADLINE;
use serde_json::Value;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many of its last lines a report shows of an operator's log.
const TAIL: usize = 50;

/// What a process can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// A crash.
    Kill,
    /// Asks it to end.
    Terminate,
    /// Stops it in its tracks.
    Pause,
    /// Lets it go on.
    Resume,
}

/// A running operator. It is killed when dropped.
pub(crate) struct Operator {
    process: Child,
    log: Log,
}

impl Operator {
    /// Starts the binary under test, and waits until it says that it runs.
    pub(crate) async fn start(name: &str, kubeconfig: &Path, flags: &[String]) -> Self {
        let operator = Self::spawn(name, kubeconfig, flags);
        operator.until_running().await;
        operator
    }

    /// Starts the binary under test.
    pub(super) fn spawn(name: &str, kubeconfig: &Path, flags: &[String]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
            .arg("run")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--metrics-addr=127.0.0.1:0", "--log-format=json", "--egress-allow=127.0.0.1"])
            .args(flags)
            .env("RUST_LOG", "info,cognigy_operator=debug")
            .env("POD_NAME", name)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::of(name, process.stderr.take().unwrap());
        Self { process, log }
    }

    /// Waits until it says that it runs.
    pub(super) async fn until_running(&self) {
        self.until_logged("cognigy-operator is running").await;
    }

    /// Waits until a line of the log holds this.
    pub(crate) async fn until_logged(&self, text: &str) {
        self.until_logged_times(1, text).await;
    }

    /// Waits until so many lines of the log hold this.
    pub(crate) async fn until_logged_times(&self, times: usize, text: &str) {
        let mut lines = self.log.lines.subscribe();
        let seen = lines.wait_for(|lines| lines.iter().filter(|line| line.contains(text)).count() >= times);
        if !matches!(timeout(DEADLINE, seen).await, Ok(Ok(_))) {
            panic!("the operator never said `{text}` {times} times:\n{}", self.log.tail());
        }
    }

    /// Whether a line of the log holds this.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.times_logged(text) > 0
    }

    /// How many lines of the log hold this.
    pub(crate) fn times_logged(&self, text: &str) -> usize {
        self.log.lines.borrow().iter().filter(|line| line.contains(text)).count()
    }

    /// A line of the process's `/proc/<id>/status` that counts KiB, in MiB.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        let id = self.process.id().expect("the process runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let value = status.lines().find_map(|text| text.strip_prefix(line)).expect("the kernel counts it");
        value.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    pub(crate) async fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Kill => "-KILL",
            Signal::Terminate => "-TERM",
            Signal::Pause => "-STOP",
            Signal::Resume => "-CONT",
        };
        let id = self.process.id().expect("the process runs").to_string();
        assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
    }

    /// Waits until it has ended by itself, or by the signal it was sent.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        match timeout(DEADLINE, self.process.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("the operator did not end:\n{}", self.log.tail()),
        }
    }

    pub(super) fn log(&self) -> Log {
        self.log.clone()
    }
}

/// The lines of a log, as they come.
#[derive(Clone)]
pub(super) struct Log {
    name: String,
    lines: watch::Sender<Vec<String>>,
}

impl Log {
    /// Reads until the process closes its end of the pipe.
    fn of(name: &str, stderr: ChildStderr) -> Self {
        let (sender, _) = watch::channel(Vec::new());
        let lines = sender.clone();
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                let line = match serde_json::from_str::<Value>(&line) {
                    Ok(line) => line.to_string(),
                    Err(_) => line,
                };
                lines.send_modify(|lines| lines.push(line));
            }
        });
        Self { name: name.to_owned(), lines: sender }
    }

    /// Its last lines.
    pub(super) fn tail(&self) -> String {
        let lines = self.lines.borrow();
        let tail = lines.iter().skip(lines.len().saturating_sub(TAIL));
        format!("--- the log of {}:\n{}", self.name, tail.map(|line| format!("  {line}\n")).collect::<String>())
    }
}
