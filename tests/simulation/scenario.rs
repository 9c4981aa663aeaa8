//! A story to play: the platform, the actions of users and their times, and the expected end.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use api::status::{Outcome, Step};
use cognigy_deployments::BaseUrl;
use cognigy_operator::controller::default_webhook::DefaultWebhook;
use platform::OfferedNamespaces;
use rollout::Settings;
use serde_json::{Value, json};
use simulator::{Call, FaultRule};

use super::kubernetes::{DEPLOYMENTS, ObjectName};
use super::process::Setup;
use super::stage::{Signal, Stage, WatchLoss, WatchReturn};

/// The namespace of every resource.
pub const NAMESPACE: &str = "bots";
/// The path of the webhook. It is a secret, as in many webhook URLs.
pub const WEBHOOK_SECRET: &str = "hook-token-5f1d";
/// The query of the webhook. It is a secret too.
pub const WEBHOOK_KEY: &str = "hook-key-7a2c";
/// The path of the operator's own webhook.
pub const OPERATORS_WEBHOOK_SECRET: &str = "operators-token-88c0";
/// The operator's own Cognigy.AI.
pub const OWN_API: &str = "https://api.cognigy.ai";
/// The secret of the platform's client.
pub const CLIENT_SECRET: &str = "demo-secret";
/// A value of the Secret that the operator must not read.
pub const UNREAD_SECRET: &str = "unread-secret-9b41";
/// The secret of another client, if the platform has one.
pub const NEXT_CLIENT_SECRET: &str = "next-secret";

/// The moment of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Cue {
    /// When the story begins.
    Start,
    /// When the platform receives its nth request of a kind.
    RequestReceived(Call, u32),
    /// When the operator first writes this step.
    Written(Step),
    /// When a resource is gone.
    Gone,
}

/// An action of a user, or a change of the platform.
#[derive(Clone)]
pub struct Action {
    pub name: String,
    pub act: Arc<dyn Fn(&mut Stage) + Send + Sync>,
}

/// An action that happens this long after a cue.
#[derive(Clone)]
pub struct Planned {
    pub cue: Cue,
    pub delay: Duration,
    pub action: Action,
}

/// The expected end of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The outcomes of its attempts, in order. `None` is an attempt without an outcome.
    pub outcomes: Vec<Option<Outcome>>,
    /// The `botVersion` that runs in the environment.
    pub runs: String,
    /// Whether the resource is gone.
    pub gone: bool,
}

/// A story to play.
#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    /// The platform, as a scenario of the simulator (YAML).
    pub platform: String,
    pub setup: Setup,
    pub planned: Vec<Planned>,
    /// When the run is stopped if it has not come to rest.
    pub horizon: Duration,
    /// The expected end without faults, by the name of the resource.
    pub ends: Vec<(&'static str, Ending)>,
    /// The difference from this end that is tolerated if there are faults.
    pub tolerates: Tolerance,
}

/// The difference between a run with faults and the run without faults that is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tolerance {
    /// No difference.
    None,
    /// Users act at fixed times, and the progress of the operator at these times may differ. The promises must hold,
    /// and the end must match the last configuration.
    Timing,
    /// The deadline passes while the platform is unreachable. If the first answer after that is lost, the rollout is
    /// rolled back because of the deadline.
    Deadline,
    /// A submit with an ambiguous answer is never repeated, so its outcome may stay unknown.
    AmbiguousSubmit,
}

impl Scenario {
    /// A story in which the environment `env` runs version 1 at the beginning, and a resource `web` with version 2 is
    /// created.
    pub fn new(name: &'static str, environment: &str) -> Self {
        let platform = format!(
            "jobDurationSeconds: 20\nenvironments:\n  env:\n    deployed: {{configurationSnapshot: {{botVersion: '1'}}}}\n{environment}"
        );
        let setup = Setup {
            settings: Settings::default(),
            seed: 7,
            watch_lag: Duration::from_millis(30),
            default_webhook: None,
            provider: None,
        };
        let scenario = Self {
            name,
            platform,
            setup,
            planned: Vec::new(),
            horizon: Duration::from_secs(3600),
            ends: Vec::new(),
            tolerates: Tolerance::None,
        };
        scenario.at(0, credentials(CLIENT_SECRET))
    }

    /// Changes the resource that is created.
    pub fn creating(self, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.at(0, create("web", change))
    }

    /// Adds an action at this time in seconds.
    pub fn at(self, seconds: u64, action: Action) -> Self {
        self.after(Cue::Start, seconds, action)
    }

    /// Adds an action at a cue.
    pub fn when(self, cue: Cue, action: Action) -> Self {
        self.after(cue, 0, action)
    }

    /// Adds an action this many seconds after a cue.
    pub fn after(mut self, cue: Cue, seconds: u64, action: Action) -> Self {
        self.planned.push(Planned { cue, delay: Duration::from_secs(seconds), action });
        self
    }

    /// How `web` must end.
    pub fn ending(self, outcomes: &[Outcome], runs: &str) -> Self {
        self.ending_of("web", outcomes, runs, false)
    }

    /// `web` must be gone, and the environment must run this version.
    pub fn gone(self, runs: &str) -> Self {
        self.ending_of("web", &[], runs, true)
    }

    /// A resource must be waiting in the queue.
    pub fn waiting(mut self, name: &'static str, runs: &str) -> Self {
        self.ends.push((name, Ending { outcomes: vec![None], runs: runs.to_owned(), gone: false }));
        self
    }

    /// A resource must be waiting in the queue after these outcomes.
    pub fn waiting_after(mut self, name: &'static str, outcomes: &[Outcome], runs: &str) -> Self {
        let outcomes = outcomes.iter().copied().map(Some).chain([None]).collect();
        self.ends.push((name, Ending { outcomes, runs: runs.to_owned(), gone: false }));
        self
    }

    /// How a resource must end.
    pub fn ending_of(mut self, name: &'static str, outcomes: &[Outcome], runs: &str, gone: bool) -> Self {
        let outcomes = outcomes.iter().copied().map(Some).collect();
        self.ends.push((name, Ending { outcomes, runs: runs.to_owned(), gone }));
        self
    }

    pub fn tolerating(mut self, tolerates: Tolerance) -> Self {
        self.tolerates = tolerates;
        self
    }

    pub fn lasting(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    /// Gives the operator a default webhook for every namespace.
    pub fn with_default_webhook(mut self) -> Self {
        let url = format!("https://operators.example.com/webhooks/{OPERATORS_WEBHOOK_SECRET}");
        let namespaces = OfferedNamespaces::new(["*".to_owned()]);
        self.setup.default_webhook =
            url.parse().ok().map(|url| DefaultWebhook::new(url, namespaces, BaseUrl::public().origin()));
        self
    }

    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.setup.settings = settings;
        self
    }
}

/// The name of a CognigyDeployment.
pub fn resource(name: &str) -> ObjectName {
    ObjectName::new(DEPLOYMENTS, NAMESPACE, name)
}

/// An action.
pub fn action(name: impl Into<String>, act: impl Fn(&mut Stage) + Send + Sync + 'static) -> Action {
    Action { name: name.into(), act: Arc::new(act) }
}

/// Creates a resource: the usual one, with changes. The API server adds the defaults of the CRD.
pub fn create(name: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Action {
    action(format!("{name} is created"), move |stage| {
        let mut object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "environmentId": "env",
                "configurationSnapshot": {"botVersion": "2"},
                "dependencyLocks": [{"packageName": "dialog-runtime", "version": "2.1.4", "pinned": true}],
                "rollbackPolicy": {"timeoutSeconds": 120},
                "credentialsRef": {"name": "cognigy-api"},
                "webhook": {"url": webhook_url()},
            },
        });
        change(&mut object);
        let object = with_defaults(object);
        let now = stage.time.wall();
        stage.kubernetes.create(now, resource(name), object);
    })
}

/// The URL of the webhook of `web`.
pub fn webhook_url() -> String {
    format!("https://ci.example.com/webhooks/{WEBHOOK_SECRET}?key={WEBHOOK_KEY}")
}

fn with_defaults(object: Value) -> Value {
    let status = object["status"].clone();
    let typed: api::CognigyDeployment = match serde_json::from_value(object) {
        Ok(typed) => typed,
        Err(error) => panic!("the story's resource cannot be read: {error}"),
    };
    let mut object = serde_json::to_value(typed).unwrap_or_default();
    object["status"] = status;
    object
}

/// A user edits a resource.
pub fn edit(what: &str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Action {
    action(format!("web is edited: {what}"), move |stage| stage.kubernetes.edit(&resource("web"), &change))
}

/// Edits the status of a resource, as a restored backup or another version of the operator would.
pub fn edit_status(name: &'static str, what: &str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Action {
    action(format!("the status of {name} is edited: {what}"), move |stage| {
        stage.kubernetes.edit_status(&resource(name), &change);
    })
}

/// Creates a resource as a copy of `web` with its status, as a restored backup would.
pub fn restore_copy(name: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Action {
    action(format!("{name} is restored from a backup of web"), move |stage| {
        let Some(mut object) = stage.kubernetes.object(&resource("web")).cloned() else { return };
        object["metadata"] = json!({"finalizers": object["metadata"]["finalizers"]});
        // The generation of a new object is 1.
        object["status"]["observedGeneration"] = json!(1);
        change(&mut object);
        let now = stage.time.wall();
        stage.kubernetes.create(now, resource(name), object);
    })
}

/// A user deploys another version.
pub fn deploy(version: impl Display) -> Action {
    deploy_snapshot(&format!("version {version}"), json!({"botVersion": version.to_string()}))
}

/// A user deploys this snapshot.
pub fn deploy_snapshot(what: &str, snapshot: Value) -> Action {
    edit(what, move |object| {
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove("configurationSnapshotFrom");
        }
        object["spec"]["configurationSnapshot"] = snapshot.clone();
    })
}

/// A user deploys the snapshot in the ConfigMap `bot`.
pub fn deploy_from_config_map() -> Action {
    edit("the version in the ConfigMap", take_from_config_map)
}

/// Takes the snapshot from the ConfigMap `bot`.
pub fn take_from_config_map(object: &mut Value) {
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("configurationSnapshot");
    }
    object["spec"]["configurationSnapshotFrom"] = json!({"configMapKeyRef": {"name": "bot", "key": "snapshot"}});
}

/// A user sets a request annotation.
pub fn annotate(request: &'static str, value: impl Display) -> Action {
    let value = value.to_string();
    edit(&format!("{request}: {value}"), move |object| {
        object["metadata"]["annotations"][format!("deploy.cognigy.ai/{request}")] = json!(value);
    })
}

/// A user deletes a resource.
pub fn delete(name: &'static str) -> Action {
    action(format!("{name} is deleted"), move |stage| {
        let now = stage.time.wall();
        stage.kubernetes.delete(now, &resource(name));
    })
}

/// Creates the Secret with credentials, with this client secret.
pub fn credentials(client_secret: &'static str) -> Action {
    credentials_of("demo", client_secret)
}

/// Creates the Secret with the credentials of this client.
pub fn credentials_of(client: &'static str, client_secret: &'static str) -> Action {
    credentials_in("cognigy-api", client, client_secret)
}

/// Creates a Secret with this name and with credentials.
pub fn credentials_in(name: &'static str, client: &'static str, client_secret: &'static str) -> Action {
    secret(name, vec![("clientId", client), ("clientSecret", client_secret)])
}

/// Creates the Secret with credentials for another API.
pub fn credentials_at(base_url: &'static str) -> Action {
    secret("cognigy-api", vec![("clientId", "demo"), ("clientSecret", CLIENT_SECRET), ("baseUrl", base_url)])
}

fn secret(name: &'static str, keys: Vec<(&'static str, &'static str)>) -> Action {
    store("secrets", name, move || {
        let keys = keys.iter().copied().chain([("unread", UNREAD_SECRET)]);
        let data = keys.map(|(key, value)| (key.to_owned(), k8s_openapi::ByteString(value.as_bytes().to_vec())));
        let secret = k8s_openapi::api::core::v1::Secret { data: Some(data.collect()), ..Default::default() };
        serde_json::to_value(secret).unwrap_or_default()
    })
}

/// Creates a ConfigMap with this text under the key `snapshot`.
pub fn config_map(name: &'static str, text: impl Into<String>) -> Action {
    let text = text.into();
    store(
        "configmaps",
        name,
        move || json!({"metadata": {"labels": {"deploy.cognigy.ai/watch": "true"}}, "data": {"snapshot": text}}),
    )
}

fn store(plural: &'static str, name: &'static str, object: impl Fn() -> Value + Send + Sync + 'static) -> Action {
    action(format!("{plural} {name} is written"), move |stage| {
        let at = ObjectName::new(plural, NAMESPACE, name);
        let now = stage.time.wall();
        stage.kubernetes.delete(now, &at);
        stage.kubernetes.create(now, at, object());
    })
}

/// Deletes a Secret or a ConfigMap.
pub fn remove_object(plural: &'static str, name: &'static str) -> Action {
    action(format!("{plural} {name} is deleted"), move |stage| {
        let now = stage.time.wall();
        stage.kubernetes.delete(now, &ObjectName::new(plural, NAMESPACE, name));
    })
}

/// Replaces the script of the environment.
pub fn environment(script: &'static str) -> Action {
    action(format!("the environment changes: {script}"), move |stage| {
        let Ok(id) = "env".parse() else { return };
        match simulator::EnvironmentScript::parse(script, &id) {
            Ok(script) => {
                let now = stage.time.wall();
                stage.platform.replace_script(now, &id, script);
            }
            Err(error) => panic!("{script}: {error}"),
        }
    })
}

/// Adds a fault of the platform.
pub fn breaks(rule: &'static str) -> Action {
    action(format!("the platform breaks: {rule}"), move |stage| match serde_json::from_str::<FaultRule>(rule) {
        Ok(rule) => stage.platform.add_fault(rule),
        Err(error) => panic!("{rule}: {error}"),
    })
}

/// Removes all faults of the platform.
pub fn faults_removed() -> Action {
    action("all faults of the platform are removed", |stage| stage.platform.clear_faults())
}

/// Every token is revoked.
pub fn tokens_revoked() -> Action {
    action("all tokens are revoked", |stage| stage.platform.revoke_tokens())
}

/// The operator crashes, and starts again after this many seconds.
pub fn operator_down(seconds: u64) -> Action {
    action(format!("the operator is killed, and starts again after {seconds} s"), move |stage| {
        stage.signal(Signal::KillOperator { next_in: Duration::from_secs(seconds) });
    })
}

/// The operator's wall clock jumps.
pub fn clock_jumps(seconds: i64) -> Action {
    action(format!("the operator's clock jumps by {seconds} s"), move |stage| stage.clock_error.jump(seconds))
}

/// The operator's watch is lost, and starts again with a list from before a resource was created. Later changes are
/// delivered much later.
pub fn list_lacks(name: &'static str) -> Action {
    action(format!("the watch is lost, and the next list lacks {name}"), move |stage| {
        let changes = stage.kubernetes.changes_since(0);
        let created = changes.iter().find(|change| change.name == resource(name)).map_or(0, |change| change.version);
        let versions_old = (stage.kubernetes.version() + 1).saturating_sub(created);
        let second = Duration::from_secs(1);
        let then = WatchReturn::Lists { versions_old, ends_after: second, stays_behind: second * 100 };
        stage.lose_watch(WatchLoss { silent: second, then });
    })
}

/// The operator's watch is lost.
pub fn watch_lost(loss: WatchLoss) -> Action {
    action(format!("the watch is lost: {loss:?}"), move |stage| stage.lose_watch(loss))
}
