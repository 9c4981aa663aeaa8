//! The processor time of single parts of the operator: `cargo bench --bench micro`.

#![allow(clippy::unwrap_used, missing_docs)]

use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::status::{CognigyDeploymentStatus, Outcome, Step, Submission, Verdict};
use api::{CognigyDeployment, CognigyDeploymentSpec, Digest, FINALIZER, IdempotencyKey, Reason, Snapshot};
use bytes::Bytes;
use cognigy_deployments::{BaseUrl, Client, Credentials, TokenUrl};
use cognigy_operator::controller::watched::Watched;
use divan::{Bencher, black_box};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use platform::{Budget, EgressPolicy, EnvironmentId, ExchangeOptions, Priority, Requester, Transport, TransportError};
use rollout::facts::{Requests, Target};
use rollout::gates::GateFacts;
use rollout::{Facts, Memory, Now, PollTuning, Settings, attempt, decide, requests, summary};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// A spec with a snapshot of about this many KiB of JSON.
fn spec(kib: usize) -> CognigyDeploymentSpec {
    let dialogue =
        |number| json!({"name": format!("dialogue-{number:04}"), "intents": ["order", "return"], "version": number});
    // One dialogue takes about 73 bytes.
    let dialogues: Vec<Value> = (0..kib * 14).map(dialogue).collect();
    serde_json::from_value(json!({
        "environmentId": "env_prod_us_01",
        "configurationSnapshot": {"botVersion": "2.4.1", "dialogues": dialogues},
        "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}],
    }))
    .unwrap()
}

/// The digest, which shows whether the configuration has changed; by the size of the snapshot in KiB.
#[divan::bench(args = [1, 8, 64])]
fn digest(bencher: Bencher, kib: usize) {
    let spec = spec(kib);
    let snapshot: Snapshot = spec.configuration_snapshot.clone().unwrap();
    bencher.bench_local(|| Digest::of_deployment(black_box(&spec), black_box(&snapshot)));
}

/// The digest of snapshots of 0.9 MB that are as expensive as possible.
#[divan::bench(args = ["objects of one key", "empty lists", "keys in reverse order", "long keys that begin alike", "levels in reverse order", "one text of escapes", "too deep"])]
fn digest_of_the_worst(bencher: Bencher, what: &str) {
    const LENGTH: usize = 900_000;
    let list_of = |part: &str| format!("{{\"a\":[{}]}}", vec![part; LENGTH / (part.len() + 1)].join(","));
    let keys = |length: usize| {
        let entries: Vec<_> = (0..LENGTH / (length + 5)).rev().map(|key| format!("\"{key:0length$}\":0")).collect();
        format!("{{{}}}", entries.join(","))
    };
    let text = match what {
        "objects of one key" => list_of(r#"{"":0}"#),
        "empty lists" => list_of("[]"),
        "keys in reverse order" => keys(6),
        "long keys that begin alike" => keys(500),
        "levels in reverse order" => {
            (0..120).fold(list_of(r#"{"":0}"#), |inner, _| format!("{{\"b\":{inner},\"a\":0}}"))
        }
        "one text of escapes" => format!("{{\"a\":\"{}\"}}", "\\u00e9".repeat(LENGTH / 6)),
        _ => format!("{{\"a\":{}{}}}", "[".repeat(LENGTH / 2), "]".repeat(LENGTH / 2)),
    };
    let (spec, snapshot): (_, Snapshot) = (spec(1), serde_json::from_str(&text).unwrap());
    assert_eq!(Digest::of_deployment(&spec, &snapshot).is_err(), what == "too deep");
    bencher.bench_local(|| Digest::of_deployment(black_box(&spec), black_box(&snapshot)));
}

/// A ConfigMap's text of 0.9 MB, read as JSON or YAML.
#[divan::bench(args = ["JSON", "YAML", "YAML of one key each", "YAML of aliases"])]
fn read_a_text(bencher: Bencher, what: &str) {
    let text = match what {
        "JSON" => serde_json::to_string(&spec(880).configuration_snapshot).unwrap(),
        "YAML" => (0..50_000).map(|key| format!("key{key:06}: {key}\n")).collect(),
        "YAML of one key each" => format!("{{a: [{}]}}", vec!["{'': 0}"; 110_000].join(",")),
        _ => format!("a: &a [{}]\nb: [{}]\n", vec!["{}"; 1000].join(", "), vec!["*a"; 330].join(", ")),
    };
    assert!(Snapshot::from_text(&text).is_ok(), "{what}");
    bencher.bench_local(|| Snapshot::from_text(black_box(&text)).is_ok());
}

/// A resource as the watch delivers it, from JSON; by the size of its snapshot in KiB.
#[divan::bench(args = [1, 8, 64])]
fn read_a_resource(bencher: Bencher, kib: usize) {
    let object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": "bot", "namespace": "team", "uid": UID, "resourceVersion": "12", "generation": 1},
        "spec": spec(kib),
    });
    let text = serde_json::to_vec(&object).unwrap();
    bencher.bench_local(|| serde_json::from_slice::<CognigyDeployment>(black_box(&text)).unwrap());
}

/// Parses a resource at rest from the JSON of the watch, and reduces it to the part that is kept; by the size of its
/// snapshot in KiB.
#[divan::bench(args = [1, 8, 64])]
fn read_a_resource_at_rest_and_keep_what_is_needed(bencher: Bencher, kib: usize) {
    let case = Case::succeeded(kib);
    let object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {
            "name": "bot", "namespace": "team", "uid": UID, "resourceVersion": "12", "generation": 1,
            "finalizers": [FINALIZER],
        },
        "spec": case.spec,
        "status": case.status,
    });
    let text = serde_json::to_vec(&object).unwrap();
    let keep = || serde_json::from_slice::<Watched>(black_box(&text)).unwrap().pruned(&case.settings, None, case.now);
    assert!(matches!(keep(), Watched::AtRest(_)));
    bencher.bench_local(keep);
}

const UID: &str = "6f2c0f0e";

/// A resource in some state of its rollout.
struct Case {
    spec: CognigyDeploymentSpec,
    target: Target,
    status: CognigyDeploymentStatus,
    settings: Settings,
    now: Now,
}

impl Case {
    fn at(step: Step) -> Self {
        Self::of(spec(8), step)
    }

    /// After a success whose messages are delivered.
    fn succeeded(kib: usize) -> Self {
        let mut case = Self::of(spec(kib), Step::Settled);
        let verdict = Verdict { outcome: Outcome::Succeeded, reason: Reason::Succeeded, at: case.now.wall };
        if let Some(attempt) = &mut case.status.attempt {
            attempt.verdict = Some(verdict);
        }
        let mut status = case.status.clone();
        summary::refresh(&mut status, &case.facts(), &Memory::default());
        case.status = status;
        case
    }

    fn of(spec: CognigyDeploymentSpec, step: Step) -> Self {
        let snapshot = spec.configuration_snapshot.clone().unwrap();
        let target = Target::of(&spec, &snapshot, snapshot.version()).unwrap();
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::from_secs(100) };
        let mut case =
            Self { spec, target, status: CognigyDeploymentStatus::default(), settings: Settings::default(), now };
        let mut status = CognigyDeploymentStatus::default();
        // The events are not part of the measurement.
        drop(requests::record_without_acting(&mut status, &case.facts()));
        drop(attempt::start(&mut status, &case.facts()));
        if let Some(attempt) = &mut status.attempt {
            attempt.step = step;
            attempt.submission = Some(submission(now.wall));
        }
        case.status = status;
        case
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            namespace: "bots",
            name: "bot",
            created_at: None,
            uid: UID,
            generation: 1,
            deleted_at: None,
            spec: &self.spec,
            target: Ok(self.target.clone()),
            requests: Requests::default(),
            other_owner: None,
            gates: GateFacts::default(),
            settings: &self.settings,
            credentials_origin: None,
            has_default_webhook: false,
            polling: PollTuning::default(),
            sent_at: self.now,
            now: self.now,
        }
    }
}

fn submission(at: Timestamp) -> Submission {
    Submission {
        intended_at: at,
        deadline_at: at,
        accepted_at: None,
        api_origin: ApiOrigin::new("https://api.cognigy.ai"),
        revert_snapshot_id: None,
        idempotency_key: IdempotencyKey::new("key"),
        request_hash: RequestHash::new("hash"),
        client_hash: ClientHash::new("client"),
    }
}

const STEPS: [Step; 4] = [Step::Pending, Step::RollingOut, Step::Monitoring, Step::Settled];

/// One decision, by the step of the attempt.
#[divan::bench(args = STEPS)]
fn decide_what_comes_next(bencher: Bencher, step: &Step) {
    let case = Case::at(*step);
    let mut memory = Memory::default();
    memory.prepare_for(case.status.attempt.as_ref(), None, case.now);
    bencher.bench_local(|| decide(black_box(&case.facts()), black_box(&case.status), &memory));
}

/// The conditions and the phase that follow from a status.
#[divan::bench]
fn refresh_the_summary(bencher: Bencher) {
    let case = Case::at(Step::RollingOut);
    let memory = Memory::default();
    bencher.with_inputs(|| case.status.clone()).bench_local_values(|mut status| {
        summary::refresh(&mut status, black_box(&case.facts()), &memory);
        status
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A limit of requests per minute that is so high that no request waits.
const UNLIMITED: NonZeroU32 = NonZeroU32::MAX;

/// A permit of a free budget, which is granted at once.
#[divan::bench]
fn a_turn_in_a_free_budget(bencher: Bencher) {
    let runtime = runtime();
    let budget = runtime.block_on(async { Budget::new(UNLIMITED) });
    let requester = Requester::new("team", "bot");
    bencher.bench_local(|| drop(runtime.block_on(budget.admit(Priority::Health, &requester)).unwrap()));
}

/// Joining and leaving a queue with this many waiting requests.
#[divan::bench(args = [10, 1000])]
fn joining_and_leaving_a_queue(bencher: Bencher, waiting: usize) {
    let runtime = runtime();
    runtime.block_on(async {
        let budget = Budget::new(NonZeroU32::MIN);
        // This permit occupies the only place while it exists.
        let _only = budget.admit(Priority::Health, &Requester::new("team", "first")).await.unwrap();
        let requesters: Vec<_> = (0..waiting).map(|number| Requester::new("team", &format!("bot-{number}"))).collect();
        let mut all: Vec<_> =
            requesters.iter().map(|requester| Box::pin(budget.admit(Priority::Health, requester))).collect();
        for admission in &mut all {
            assert!(futures::poll!(admission.as_mut()).is_pending());
        }
        let late = Requester::new("team", "late");
        bencher.bench_local(|| assert!(budget.admit(Priority::Health, &late).now_or_never().is_none()));
    });
}

/// A transport that answers at once, so that only the client's own work is measured.
struct Instantly;

impl Transport for Instantly {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let body: &'static [u8] = match request.uri().path().ends_with("/token") {
            true => br#"{"access_token": "token", "expires_in": 3600}"#,
            false => br#"{"status": "healthy", "errorRate": 0.01}"#,
        };
        async move { Ok(http::Response::new(Bytes::from_static(body))) }.boxed()
    }
}

/// One health poll: the permit of the budget, the token, the egress rules, the answer.
#[divan::bench]
fn a_call_of_the_client(bencher: Bencher) {
    let runtime = runtime();
    let credentials = Credentials {
        client_id: "demo".to_owned(),
        client_secret: "demo-secret".to_owned().into(),
        base_url: BaseUrl::public(),
        token_url: TokenUrl::public(),
        ca_pem: None,
        requests_per_minute: Some(UNLIMITED),
    };
    let budget = runtime.block_on(async { Budget::new(UNLIMITED) });
    let options = ExchangeOptions::new(EgressPolicy::new(Vec::new()));
    let client = Client::new(&credentials, Arc::new(Instantly), options, budget, 7);
    let environment: EnvironmentId = "env_prod_us_01".parse().unwrap();
    let requester = Requester::new("team", "bot");
    bencher.bench_local(|| runtime.block_on(client.health(&environment, 0.05, &requester)).unwrap());
}
