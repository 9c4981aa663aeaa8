//! How Cognigy.AI is called: the flags that `run` and `deploy` share, and what is built from them.

use super::confidential::Confidential;
use super::settings::at_least;
use crate::controller::leadership::{Fenced, Leadership};
use crate::delivery::OutboxSender;
use crate::metrics::Metrics;
use clap::{Args, ValueEnum};
use cognigy_deployments::{BaseUrl, CognigyDeployments, Defaults, OwnClient, TokenUrl};
use platform::{
    Budgets, EgressPolicy, EgressRule, ExchangeOptions, HttpOptions, HttpTransport, HttpTransportError,
    OfferedNamespaces, ProxyUrl, SubmitRules, Transport, TransportFactory, WebhookSender,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The flags that say how Cognigy.AI is called.
#[derive(Args, Clone, Debug)]
pub struct PlatformArguments {
    /// Host, host and port, or network that the operator may connect to although it is not https or not public;
    /// repeatable. Without this flag, plain http and private addresses are refused.
    #[arg(long, env = "COGNIGY_EGRESS_ALLOW", value_name = "HOST[:PORT]|CIDR", value_delimiter = ',')]
    pub egress_allow: Vec<EgressRule>,

    /// Proxy for https requests to Cognigy.AI and webhooks. HTTPS_PROXY and similar variables are ignored.
    #[arg(long, env = "COGNIGY_HTTPS_PROXY", value_name = "URL", hide_env_values = true, value_parser = Confidential::<ProxyUrl>::default())]
    pub https_proxy: Option<ProxyUrl>,

    /// Cognigy.AI's base URL, if the Secret has none.
    #[arg(long, env = "COGNIGY_BASE_URL", value_name = "URL", default_value = "https://api.cognigy.ai")]
    pub base_url: BaseUrl,

    /// Cognigy.AI's token endpoint, if the Secret has none.
    #[arg(long, env = "COGNIGY_TOKEN_URL", value_name = "URL", default_value = "https://auth.cognigy.ai/oauth/token")]
    pub token_url: TokenUrl,

    /// Requests per minute that Cognigy.AI allows one client, if the Secret has no number.
    #[arg(long, env = "COGNIGY_REQUESTS_PER_MINUTE", value_name = "NUMBER", default_value = "100")]
    pub requests_per_minute: NonZeroU32,

    /// How long Cognigy.AI remembers the idempotency key of a submit; at least 20 minutes.
    #[arg(long, env = "COGNIGY_SUBMIT_KEY_TTL", value_name = "DURATION", default_value = "24h", value_parser = key_ttl)]
    pub submit_key_ttl: Duration,

    /// Whether Cognigy.AI recognises a repeated submit by its idempotency key. If it does not, the operator never
    /// repeats a submit whose answer was unclear.
    #[arg(long, env = "COGNIGY_SUBMIT_IDEMPOTENCY", value_enum, default_value_t = SubmitIdempotency::Supported)]
    pub submit_idempotency: SubmitIdempotency,
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

/// The client of Cognigy.AI, and the sender of messages.
pub(super) struct PlatformClient {
    pub(super) provider: CognigyDeployments,
    pub(super) outbox: OutboxSender,
    /// The seed of all jitter.
    pub(super) seed: u64,
}

impl PlatformArguments {
    /// Builds the client. The credentials of `own_client` serve these namespaces.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub(super) fn client(
        self,
        own_client: Option<OwnClient>,
        namespaces: OfferedNamespaces,
        budgets: &Arc<Budgets>,
        metrics: &Arc<Metrics>,
        leadership: Leadership,
    ) -> Result<PlatformClient, HttpTransportError> {
        let policy = EgressPolicy::new(self.egress_allow);
        let options = ExchangeOptions { observer: Some(metrics.clone()), ..ExchangeOptions::new(policy.clone()) };
        let http = HttpOptions { policy, https_proxy: self.https_proxy, ..HttpOptions::default() };
        let public: Arc<dyn Transport> =
            Arc::new(Fenced::new(Arc::new(HttpTransport::new(&http)?), leadership.clone()));
        let seed = fastrand::u64(..);
        let defaults = Defaults {
            base_url: self.base_url,
            token_url: self.token_url,
            requests_per_minute: Some(self.requests_per_minute),
            client: own_client,
            namespaces,
        };
        let transports = transports(http, Arc::clone(&public), leadership);
        let rules = SubmitRules { idempotency: self.submit_idempotency.into(), key_ttl: self.submit_key_ttl };
        let provider = CognigyDeployments::new(defaults, transports, options.clone(), rules, Arc::clone(budgets), seed);
        Ok(PlatformClient { provider, outbox: OutboxSender::new(WebhookSender::new(public, options)), seed })
    }
}

/// Makes the transports. Credentials without a certificate authority of their own share one pool of connections.
fn transports(options: HttpOptions, public: Arc<dyn Transport>, leadership: Leadership) -> TransportFactory {
    Arc::new(move |ca_pem: Option<&str>| {
        let Some(ca_pem) = ca_pem else { return Ok(Arc::clone(&public)) };
        let own = HttpOptions { ca_pem: Some(ca_pem.to_owned()), ..options.clone() };
        let transport = HttpTransport::new(&own).map_err(|error| error.to_string())?;
        Ok(Arc::new(Fenced::new(Arc::new(transport), leadership.clone())) as Arc<dyn Transport>)
    })
}

fn key_ttl(text: &str) -> Result<Duration, String> {
    let too_short = "write at least 20m: the last repeat of a submit is sent 10 minutes before the key expires";
    at_least(Duration::from_secs(20 * 60), text, too_short)
}
