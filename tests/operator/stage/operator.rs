//! A process of the operator.

use super::DEADLINE;
use serde_json::Value;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many of its last lines a report shows of an operator's log.
const TAIL: usize = 60;

/// A running operator. It is killed when dropped.
pub(crate) struct Operator {
    process: Child,
    log: Log,
    metrics_address: String,
}

impl Operator {
    /// Starts the binary under test, with the flags and variables given, and waits until it says that it runs.
    pub(crate) async fn start(kubeconfig: &Path, flags: &[String], variables: &[(String, String)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
            .arg("run")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--metrics-addr", "127.0.0.1:0", "--log-format", "json"])
            .args(flags)
            .env("RUST_LOG", "info,cognigy_operator=debug")
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::of(process.stderr.take().unwrap());
        let mut operator = Self { process, log, metrics_address: String::new() };
        let running = operator.until_logged("cognigy-operator is running").await;
        operator.metrics_address = running["address"].as_str().unwrap().to_owned();
        operator
    }

    /// Waits for a line of the log whose message starts like this, and returns the line.
    pub(crate) async fn until_logged(&self, message: &str) -> Value {
        let mut lines = self.log.lines.subscribe();
        let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(message));
        let seen = timeout(DEADLINE, lines.wait_for(|lines| lines.iter().any(is_it))).await;
        match seen {
            Ok(Ok(lines)) => lines.iter().find(|line| is_it(line)).cloned().unwrap(),
            _ => panic!("the operator never said `{message}`:\n{}", self.log_tail()),
        }
    }

    /// Waits for a line of the log that holds a text in any of its fields.
    pub(crate) async fn until_logged_anywhere(&self, text: &str) {
        let mut lines = self.log.lines.subscribe();
        // Errors quote the API server's words, some of them twice over.
        let is_it = |line: &Value| line.to_string().replace('\\', "").contains(text);
        let seen = timeout(DEADLINE, lines.wait_for(|lines| lines.iter().any(is_it))).await;
        assert!(matches!(seen, Ok(Ok(_))), "the operator never said `{text}`:\n{}", self.log_tail());
    }

    /// Kills it as a crash would, and waits until it has ended.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Sends SIGTERM, and waits until it has ended by itself.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let id = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        match timeout(DEADLINE, self.process.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("the operator did not end:\n{}", self.log_tail()),
        }
    }

    /// The text at one of its own endpoints, such as `/metrics`.
    pub(crate) async fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.metrics_address);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// The value of a counter with exactly these labels, as they stand in the text; 0 where it was never counted.
    pub(crate) async fn count(&self, counter: &str) -> u64 {
        let metrics = self.get("/metrics").await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// The value of a metric's series, with its labels as they stand in the text; 0 where it is not there.
    pub(crate) async fn shown(&self, series: &str) -> f64 {
        let metrics = self.get("/metrics").await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Scrapes until a series has that value: what the operator's own watch shows comes a moment later than the test's.
    pub(crate) async fn until_shown(&self, series: &str, value: f64) {
        let wait = async {
            while self.shown(series).await != value {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(DEADLINE, wait).await.is_err() {
            panic!("{series} never was {value}:\n{}\n{}", self.get("/metrics").await, self.log_tail());
        }
    }

    /// How much memory it holds, in KiB (`VmRSS`), where the system tells.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let lines = self.log.lines.borrow();
        let tail = lines.iter().skip(lines.len().saturating_sub(TAIL));
        tail.map(|line| format!("  {line}\n")).collect()
    }

    /// Everything it has logged, as text.
    pub(crate) fn log(&self) -> String {
        self.log.lines.borrow().iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The lines of a log, as they come.
struct Log {
    lines: watch::Sender<Vec<Value>>,
}

impl Log {
    /// Reads until the process closes its end of the pipe.
    fn of(stderr: ChildStderr) -> Self {
        let (sender, _) = watch::channel(Vec::new());
        let lines = sender.clone();
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.send_modify(|lines| lines.push(line));
            }
        });
        Self { lines: sender }
    }
}
