//! A process of the operator.

use super::DEADLINE;
use super::log::{Log, holds};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The message that the operator logs when it is running.
const RUNNING: &str = "cognigy-operator is running";

/// How an operator is started.
#[derive(Clone, Debug)]
pub struct OperatorCommand {
    /// The binary under test: `env!("CARGO_BIN_EXE_cognigy-operator")`.
    pub binary: PathBuf,
    /// The name of its pod, which also names its log in reports.
    pub name: String,
    /// The cluster.
    pub kubeconfig: PathBuf,
    /// Flags of `run`, in addition to those that every test needs.
    pub flags: Vec<String>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
}

/// A signal for a process.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// A crash.
    Kill,
    /// Asks it to end.
    Terminate,
    /// Suspends it.
    Pause,
    /// Resumes it.
    Resume,
}

impl OperatorCommand {
    /// Starts the operator.
    #[must_use]
    pub fn spawn(&self) -> OperatorProcess {
        let mut process = Command::new(&self.binary)
            .arg("run")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--metrics-addr=127.0.0.1:0", "--log-format=json"])
            .args(&self.flags)
            .env("RUST_LOG", "info,cognigy_operator=debug")
            .env("POD_NAME", &self.name)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::of(&self.name, process.stderr.take().unwrap());
        OperatorProcess { process, log }
    }

    /// Starts the operator, and waits until it logs that it is running.
    pub async fn start(&self) -> OperatorProcess {
        let operator = self.spawn();
        operator.until_running().await;
        operator
    }
}

/// A running operator. It is killed when this value is dropped.
#[derive(Debug)]
pub struct OperatorProcess {
    process: Child,
    log: Log,
}

impl OperatorProcess {
    /// Waits until the operator logs that it is running.
    pub async fn until_running(&self) {
        self.until_logged(RUNNING).await;
    }

    /// Waits for a line whose message begins with this text, and returns the line.
    pub async fn until_logged(&self, message: &str) -> Value {
        let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(message));
        match timeout(DEADLINE, self.log.until(1, is_it)).await {
            Ok(Some(mut lines)) => lines.swap_remove(0),
            _ => panic!("the operator never logged `{message}`:\n{}", self.log.tail()),
        }
    }

    /// Waits for a line that contains a text in any of its fields.
    pub async fn until_logged_anywhere(&self, text: &str) {
        self.until_logged_times(1, text).await;
    }

    /// Waits until this many lines contain a text in any of their fields.
    pub async fn until_logged_times(&self, times: usize, text: &str) {
        let seen = timeout(DEADLINE, self.log.until(times, |line| holds(line, text))).await;
        assert!(matches!(seen, Ok(Some(_))), "the operator did not log `{text}` {times} times:\n{}", self.log.tail());
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Sends it a signal.
    pub async fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Kill => "-KILL",
            Signal::Terminate => "-TERM",
            Signal::Pause => "-STOP",
            Signal::Resume => "-CONT",
        };
        let id = self.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
    }

    /// Waits until it has ended, by itself or after a signal.
    pub async fn ended(&mut self) -> ExitStatus {
        match timeout(DEADLINE, self.process.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("the operator did not end:\n{}", self.log.tail()),
        }
    }

    /// Kills it, which simulates a crash, and waits until it has ended.
    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Asks it to end, and waits until it has ended.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::Terminate).await;
        self.ended().await
    }

    /// The text at one of its own endpoints, such as `/metrics`.
    pub async fn get(&self, path: &str) -> String {
        let running = self.until_logged(RUNNING).await;
        let url = format!("http://{}{path}", running["address"].as_str().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// The value of a counter with exactly these labels, as `/metrics` writes them; 0 if the counter does not exist
    /// yet.
    pub async fn count(&self, counter: &str) -> u64 {
        self.series(counter).await.map_or(0, |value| value.parse().unwrap())
    }

    /// The value of a metric's series, with its labels as `/metrics` writes them; 0 if the series does not exist.
    pub async fn shown(&self, series: &str) -> f64 {
        self.series(series).await.map_or(0.0, |value| value.parse().unwrap())
    }

    async fn series(&self, series: &str) -> Option<String> {
        let metrics = self.get("/metrics").await;
        metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
    }

    /// Scrapes until a series has this value: the operator's own watch sees a change a moment later than the test's
    /// watch.
    pub async fn until_shown(&self, series: &str, value: f64) {
        let wait = async {
            while self.shown(series).await != value {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(DEADLINE, wait).await.is_err() {
            panic!("{series} never had the value {value}:\n{}\n{}", self.get("/metrics").await, self.log.tail());
        }
    }

    /// A line of the process's `/proc/<id>/status` with a value in KiB, such as `VmRSS`. `None` if the system has no
    /// such file.
    #[must_use]
    pub fn memory_kib(&self, line: &str) -> Option<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(Path::new(&path)).ok()?;
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
        value.trim().trim_end_matches(" kB").parse().ok()
    }

    fn id(&self) -> u32 {
        self.process.id().expect("the process runs")
    }
}
