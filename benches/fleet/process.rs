//! The operator as a separate process, as in a cluster: its memory and its processor time.

use crate::Failure;
use crate::report;
use crate::stage::Stage;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long it may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How often readiness is polled. This is the precision of `ready_after`.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// The unit of processor times in `/proc` (`USER_HZ`, the same on every Linux).
const TICK: Duration = Duration::from_millis(10);

/// A running operator. It is killed when this value is dropped.
pub struct Process {
    child: Child,
    id: u32,
    address: SocketAddr,
    /// The time from its start until `/readyz` reports that it is ready.
    pub ready_after: Duration,
}

impl Process {
    /// Starts the operator that was built with this benchmark, and waits until it is ready. It logs at the
    /// default level into `target/bench/operator.log`.
    ///
    /// # Errors
    /// If it does not start, or is not ready in time.
    pub async fn start(stage: &Stage) -> Result<Self, Failure> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let started_at = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
            .arg("run")
            .arg("--kubeconfig")
            .arg(stage.kubeconfig())
            .arg("--metrics-addr")
            .arg(address.to_string())
            .args(["--egress-allow", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(report::folder()?.join("operator.log"))?)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().ok_or(Failure::Ended("the operator"))?;
        let mut process = Self { child, id, address, ready_after: Duration::ZERO };
        process.become_ready().await?;
        process.ready_after = started_at.elapsed();
        Ok(process)
    }

    async fn become_ready(&mut self) -> Result<(), Failure> {
        let is_ready = async {
            while self.get("/readyz").await.is_err() {
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, is_ready).await.map_err(|_| Failure::Ended("the wait for the operator"))
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    async fn get(&self, path: &str) -> Result<String, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        client.get(format!("http://{}{path}", self.address)).send().await?.error_for_status()?.text().await
    }

    /// The value of one of its counters, summed over all labels.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn counted(&self, counter: &str) -> Result<f64, Failure> {
        let metrics = self.get("/metrics").await.map_err(|_| Failure::Ended("the operator"))?;
        Ok(sum(&metrics, counter, ""))
    }

    /// Its resident memory now, in KiB.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident_kib(&self) -> Result<f64, Failure> {
        self.status("VmRSS:")
    }

    /// Its maximum resident memory so far, in KiB.
    ///
    /// # Errors
    /// If it has ended.
    pub fn most_resident_kib(&self) -> Result<f64, Failure> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> Result<f64, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        let kib = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        kib.ok_or(Failure::Ended("the operator"))
    }

    /// The processor time of all its threads so far, with a precision of 10 ms.
    ///
    /// # Errors
    /// If it has ended.
    pub fn processor(&self) -> Result<Duration, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // proc(5): fields 14 and 15, counted from 1. The second field is in parentheses and may contain spaces.
        let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<u32> = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        Ok(TICK * fields.iter().sum::<u32>())
    }
}

/// The sum of all series of a metric whose labels contain this text.
pub fn sum(metrics: &str, name: &str, labels: &str) -> f64 {
    let series = metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        let (of, value) = rest.rsplit_once(' ')?;
        of.contains(labels).then(|| value.parse::<f64>().ok())?
    });
    series.sum()
}
