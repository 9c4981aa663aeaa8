//! A simulated platform, a folder with a manifest and a journal, and runs of the command.

use cognigy_operator::command::deploy::{Report, RunResult};
use serde_json::{Value, json};
use simulator::{Call, RequestFilter, Scenario, Server};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The longest that a run may take in these tests, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

pub const ENVIRONMENT: &str = "env_prod_us_01";
pub const GOOD: &str = "2.4.1";
pub const BAD: &str = "2.5.0";

pub struct Stage {
    pub platform: Server,
    folder: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The result that it has printed.
    pub fn report(&self) -> Report {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the exit code and the result, and returns the report.
    #[track_caller]
    pub fn ended_as(&self, code: i32, result: RunResult) -> Report {
        assert_eq!(self.code, Some(code), "{self:?}");
        let report = self.report();
        assert_eq!((i32::from(report.exit_code), report.result), (code, result), "{self:?}");
        report
    }

    /// Checks that the run could not begin, and why.
    #[track_caller]
    pub fn refused(&self, says: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        assert!(self.stderr.contains(says), "{says}: {}", self.stderr);
    }
}

impl Stage {
    /// A platform on which version 2.5.0 is bad, with this in addition (a scenario's YAML).
    pub async fn new(scenario: &str) -> Self {
        // The budget has tests of its own; here it would only spread the requests.
        let scenario =
            format!("rateLimit: {{requestsPerMinute: 6000}}\nbadSnapshots: [{{botVersion: {BAD}}}]\n{scenario}");
        let scenario = Scenario::parse(&scenario).unwrap_or_else(|error| panic!("{error}"));
        let platform = Server::bind("127.0.0.1:0".parse().unwrap(), scenario, None).await.unwrap();
        let stage = Self { platform, folder: tempfile::tempdir().unwrap() };
        stage.write(&stage.manifest(GOOD, &json!({})));
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn journal(&self) -> PathBuf {
        self.path("journal.json")
    }

    pub fn journal_text(&self) -> String {
        std::fs::read_to_string(self.journal()).unwrap()
    }

    /// The documents of a manifest for this version, with this merged into its spec.
    pub fn manifest(&self, version: &str, spec: &Value) -> Vec<Value> {
        let mut deployment = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {"name": "bot", "namespace": "bots"},
            "spec": {
                "environmentId": ENVIRONMENT,
                "configurationSnapshot": {"botVersion": version, "nlpEngine": "v3.2"},
                "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}],
                "rollbackPolicy": {"healthThreshold": 2},
                "monitoring": {"intervalSeconds": 1},
                "credentialsRef": {"name": "api"},
                "webhook": {"url": format!("{}/webhooks/ci", self.platform.url())},
            },
        });
        merge(&mut deployment["spec"], spec);
        vec![deployment, self.secret("demo-secret")]
    }

    pub fn secret(&self, client_secret: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"},
            "stringData": {
                "clientId": "demo", "clientSecret": client_secret, "requestsPerMinute": "6000",
                "baseUrl": self.platform.url(), "tokenUrl": self.platform.token_url(),
            },
        })
    }

    pub fn write(&self, documents: &[Value]) {
        let documents: Vec<String> = documents.iter().map(|document| format!("{document:#}\n")).collect();
        std::fs::write(self.path("release.yaml"), documents.join("---\n")).unwrap();
    }

    /// The command, in an environment with nothing else in it.
    pub fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"));
        command
            .args(["deploy", "-o", "json", "--egress-allow", "127.0.0.1", "-f"])
            .arg(self.path("release.yaml"))
            .arg("--journal")
            .arg(self.journal())
            .args(flags)
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub fn spawn(&self, flags: &[&str]) -> Running {
        Running(self.command(flags).spawn().unwrap())
    }

    pub async fn run(&self, flags: &[&str]) -> Ran {
        self.spawn(flags).ended().await
    }

    /// How often this call was made.
    pub fn calls(&self, call: Call) -> usize {
        let filter = RequestFilter { call: Some(call), ..RequestFilter::default() };
        self.platform.handle().with(|world| world.requests(&filter).count())
    }

    pub async fn until_called(&self, call: Call, times: usize) {
        let filter = RequestFilter { call: Some(call), ..RequestFilter::default() };
        let handle = self.platform.handle();
        timeout(DEADLINE, handle.wait_for_requests(&filter, times)).await.unwrap();
    }

    /// From now on every call works.
    pub fn clear_faults(&self) {
        self.platform.handle().with(simulator::World::clear_faults);
    }

    /// The jobs that the environment has ever had.
    pub fn jobs(&self) -> usize {
        let handle = self.platform.handle();
        handle.with(|world| world.environments().map(|(_, environment)| environment.jobs().len()).sum())
    }

    /// The snapshots that were submitted.
    pub fn submitted(&self) -> Vec<Value> {
        let filter = RequestFilter { call: Some(Call::Submit), ..RequestFilter::default() };
        let snapshot = |body: &Value| body["configuration_snapshot"].clone();
        let handle = self.platform.handle();
        handle.with(|world| world.requests(&filter).filter_map(|request| request.body.as_ref().map(snapshot)).collect())
    }

    /// Whether each accepted audit record says that the rollout was successful.
    pub fn audit(&self) -> Vec<bool> {
        let handle = self.platform.handle();
        handle.with(|world| world.audit().map(|audit| audit.record["deploymentSuccess"] == true).collect())
    }

    /// Whether each webhook says that the rollout was successful. A repeat has the id of the first and counts once.
    pub fn webhooks(&self) -> Vec<bool> {
        let handle = self.platform.handle();
        let ids: BTreeSet<_> = handle.with(|world| {
            world.webhooks().map(|hook| (hook.idempotency_key.clone(), hook.body["success"] == true)).collect()
        });
        ids.into_iter().map(|(_, success)| success).collect()
    }

    #[track_caller]
    pub fn has_no_violations(&self) {
        let violations: Vec<String> =
            self.platform.handle().with(|world| world.violations().map(|violation| format!("{violation:?}")).collect());
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// A run that may still be in progress.
pub struct Running(Child);

impl Running {
    pub async fn ended(mut self) -> Ran {
        let (mut stdout, mut stderr) = (self.0.stdout.take().unwrap(), self.0.stderr.take().unwrap());
        let (mut out, mut err) = (String::new(), String::new());
        let ended = async {
            let (_, _, status) =
                tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err), self.0.wait());
            status.unwrap()
        };
        let status: Option<ExitStatus> = timeout(DEADLINE, ended).await.ok();
        let Some(status) = status else { panic!("the run did not end:\n{out}\n{err}") };
        Ran { code: status.code(), stdout: out, stderr: err }
    }

    pub async fn killed_after(mut self, time: Duration) {
        sleep(time).await;
        // It may have ended by itself.
        let _ = self.0.kill().await;
    }

    pub async fn signal(&self, name: &str) {
        let id = self.0.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
    }
}

pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            value => merge(&mut target[key], value),
        }
    }
}

/// Whether a folder holds this file.
pub fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}
