//! The flags of `cognigy-operator run`, each with its environment variable.

use super::confidential::Confidential;
use super::logging::LogFormat;
use super::namespace::{namespace, namespace_or_all};
use crate::controller::leadership::{Terms, TermsError};
use clap::{Args, ValueEnum};
use cognigy_deployments::{BaseUrl, TokenUrl};
use jiff::SignedDuration;
use platform::{EgressRule, ProxyUrl, WebhookUrl};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// The flags of `cognigy-operator run`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Examples:
  cognigy-operator run --namespace bots --log-format json
  cognigy-operator run --egress-allow cognigy.example.com --requests-per-minute 300
  cognigy-operator run --leader-elect --leader-election-namespace cognigy-system

Credentials of the operator's own, for resources without spec.credentialsRef in the namespaces that
--default-credentials-namespace names:
  COGNIGY_CLIENT_ID      the OAuth2 client's id
  COGNIGY_CLIENT_SECRET  its secret; read from the environment only, so that no process list shows it

RUST_LOG sets how much is logged (default: info); RUST_LOG=cognigy_operator=debug
shows every decision. An environment variable that is empty counts as not set.")]
pub struct RunArguments {
    /// Kubeconfig of the cluster. If not set: the pod's service account, or ~/.kube/config.
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace to watch; repeatable. If not set: all namespaces.
    #[arg(long = "namespace", env = "COGNIGY_NAMESPACES", value_name = "NAMESPACE", value_delimiter = ',', value_parser = namespace)]
    pub namespaces: Vec<String>,

    /// Address that serves /metrics, /healthz and /readyz.
    #[arg(long, env = "COGNIGY_METRICS_ADDR", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_addr: SocketAddr,

    /// Export cognigy_operator_resource_info: one series for each resource, with its name and state. Everybody who can
    /// read /metrics then sees these names.
    #[arg(long, env = "COGNIGY_RESOURCE_METRICS")]
    pub resource_metrics: bool,

    /// Host, host and port, or network that the operator may connect to although it is not https or not public;
    /// repeatable. Without this flag, plain http and private addresses are refused.
    #[arg(long, env = "COGNIGY_EGRESS_ALLOW", value_name = "HOST[:PORT]|CIDR", value_delimiter = ',')]
    pub egress_allow: Vec<EgressRule>,

    /// Proxy for https requests to Cognigy.AI and webhooks. HTTPS_PROXY and similar variables are ignored.
    #[arg(long, env = "COGNIGY_HTTPS_PROXY", value_name = "URL", hide_env_values = true, value_parser = Confidential::<ProxyUrl>::default())]
    pub https_proxy: Option<ProxyUrl>,

    /// Namespace whose resources may use the operator's own credentials; repeatable, * for all. If not set: none.
    #[arg(
        long = "default-credentials-namespace",
        env = "COGNIGY_DEFAULT_CREDENTIALS_NAMESPACES",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        value_parser = namespace_or_all
    )]
    pub default_credentials_namespaces: Vec<String>,

    /// Cognigy.AI's base URL, if the Secret has none.
    #[arg(long, env = "COGNIGY_BASE_URL", value_name = "URL", default_value = "https://api.cognigy.ai")]
    pub base_url: BaseUrl,

    /// Cognigy.AI's token endpoint, if the Secret has none.
    #[arg(long, env = "COGNIGY_TOKEN_URL", value_name = "URL", default_value = "https://auth.cognigy.ai/oauth/token")]
    pub token_url: TokenUrl,

    /// Requests per minute that Cognigy.AI allows one client, if the Secret has no number.
    #[arg(long, env = "COGNIGY_REQUESTS_PER_MINUTE", value_name = "NUMBER", default_value = "100")]
    pub requests_per_minute: NonZeroU32,

    /// Webhook that receives every outcome of a resource without a webhook of its own. It is used only in the
    /// namespaces that --default-webhook-namespace names, and only for rollouts that go to --base-url.
    #[arg(long, env = "CI_CD_WEBHOOK_URL", value_name = "URL", hide_env_values = true, value_parser = Confidential::<WebhookUrl>::default())]
    pub webhook_url: Option<WebhookUrl>,

    /// Namespace whose outcomes are sent to that webhook; repeatable, * for all. If not set: none.
    #[arg(
        long = "default-webhook-namespace",
        env = "COGNIGY_DEFAULT_WEBHOOK_NAMESPACES",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        value_parser = namespace_or_all
    )]
    pub default_webhook_namespaces: Vec<String>,

    /// How often the operator lists all resources again, in case it missed a change; at least 1 minute.
    #[arg(long, env = "COGNIGY_RELIST_INTERVAL", value_name = "DURATION", default_value = "1h", value_parser = relist_interval)]
    pub relist_interval: Duration,

    /// How long the deletion of a resource may wait until its rollout is settled.
    #[arg(long, env = "COGNIGY_DELETION_GRACE", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub deletion_grace: Duration,

    /// How long Cognigy.AI remembers the idempotency key of a submit; at least 20 minutes.
    #[arg(long, env = "COGNIGY_SUBMIT_KEY_TTL", value_name = "DURATION", default_value = "24h", value_parser = key_ttl)]
    pub submit_key_ttl: Duration,

    /// Whether Cognigy.AI recognises a repeated submit by its idempotency key. If it does not, the operator never
    /// repeats a submit whose answer was unclear.
    #[arg(long, env = "COGNIGY_SUBMIT_IDEMPOTENCY", value_enum, default_value_t = SubmitIdempotency::Supported)]
    pub submit_idempotency: SubmitIdempotency,

    /// Which replica acts, if several run.
    #[command(flatten)]
    pub election: ElectionArguments,

    /// Format of the log.
    #[arg(long, env = "COGNIGY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The flags of leader election.
#[derive(Args, Clone, Debug)]
pub struct ElectionArguments {
    /// Act only while holding a Lease. Required with more than one replica.
    #[arg(long, env = "COGNIGY_LEADER_ELECT")]
    pub leader_elect: bool,

    /// Namespace of the Lease. If not set: the operator's own namespace.
    #[arg(long, env = "COGNIGY_LEADER_ELECTION_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub leader_election_namespace: Option<String>,

    /// How long other replicas wait after the leader's last renewal before they take over; whole seconds. After a
    /// crash, nothing acts for this long.
    #[arg(long, env = "COGNIGY_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,

    /// How long a leader may act without a renewal before it stops; shorter than --lease-duration.
    #[arg(long, env = "COGNIGY_RENEW_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub renew_deadline: Duration,

    /// How often the leader renews its Lease and the other replicas check it; at most half of --renew-deadline.
    #[arg(long, env = "COGNIGY_RETRY_PERIOD", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub retry_period: Duration,
}

impl ElectionArguments {
    /// The three durations of the election.
    ///
    /// # Errors
    /// [`TermsError`] if the durations do not fit each other.
    pub fn terms(&self) -> Result<Terms, TermsError> {
        Terms::new(self.lease_duration, self.renew_deadline, self.retry_period)
    }
}

/// Whether the API recognises a repeated submit by its idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SubmitIdempotency {
    /// A repeated submit is recognised.
    Supported,
    /// A repeated submit may deploy twice.
    Unsupported,
}

impl From<SubmitIdempotency> for rollout::facts::SubmitIdempotency {
    fn from(idempotency: SubmitIdempotency) -> Self {
        match idempotency {
            SubmitIdempotency::Supported => Self::Supported,
            SubmitIdempotency::Unsupported => Self::Unsupported,
        }
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|parsed| Duration::try_from(parsed).ok());
    parsed.ok_or_else(|| "write a duration such as 90s, 15m or 24h".to_owned())
}

fn relist_interval(text: &str) -> Result<Duration, String> {
    at_least(Duration::from_secs(60), text, "write at least 1m: each list costs the API server work")
}

fn key_ttl(text: &str) -> Result<Duration, String> {
    let too_short = "write at least 20m: the last repeat of a submit is sent 10 minutes before the key expires";
    at_least(Duration::from_secs(20 * 60), text, too_short)
}

fn at_least(least: Duration, text: &str, too_short: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration >= least { Ok(duration) } else { Err(too_short.to_owned()) }
}
