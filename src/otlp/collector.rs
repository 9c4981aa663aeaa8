//! The connection to the collector. It uses the operator's own transport, with egress rules that allow only the
//! endpoint in the operator's environment, even if it is not public.

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use platform::{EgressPolicy, EgressRule, HttpOptions, HttpTransport, Transport};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use url::{ParseError, Url};

/// How long a request to the collector may take (OpenTelemetry's default for `OTEL_EXPORTER_OTLP_TIMEOUT`).
const DEADLINE: Duration = Duration::from_secs(10);

/// The message for an endpoint without a scheme. It does not show the endpoint, which may contain a password.
const NO_SCHEME: &str = "the endpoint needs a scheme, for example http://otel-collector:4318";

/// Sends spans to a collector. The exporter runs in its own thread; the requests run on the operator's runtime.
pub(super) struct Collector {
    transport: Arc<HttpTransport>,
    runtime: Handle,
}

impl Collector {
    /// A sender for this endpoint.
    pub(super) fn at(endpoint: &str) -> Result<Self, String> {
        let options = HttpOptions { policy: EgressPolicy::new(vec![rule(endpoint)?]), ..HttpOptions::default() };
        let transport = HttpTransport::new(&options).map_err(|error| error.to_string())?;
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        Ok(Self { transport: Arc::new(transport), runtime })
    }
}

/// The rule that allows the endpoint's host and port, public or not.
fn rule(endpoint: &str) -> Result<EgressRule, String> {
    let url = Url::parse(endpoint).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => NO_SCHEME.to_owned(),
        error => format!("the endpoint is not a URL ({error}); write for example http://otel-collector:4318"),
    })?;
    // A host and a port, such as localhost:4318, are read as a scheme and a path.
    if !url.has_host() {
        return Err(NO_SCHEME.to_owned());
    }
    let place = url.host_str().zip(url.port_or_known_default()).map(|(host, port)| format!("{host}:{port}"));
    let rule = place.and_then(|place| place.parse().ok());
    rule.ok_or_else(|| "the endpoint has no host".to_owned())
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Collector")
    }
}

impl HttpClient for Collector {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        let transport = Arc::clone(&self.transport);
        let sent = self.runtime.spawn(async move { tokio::time::timeout(DEADLINE, transport.send(request)).await });
        Box::pin(async move { Ok(sent.await???) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_and_port_of_the_endpoint_may_be_reached() {
        for (endpoint, place) in [
            ("http://otel-collector.monitoring:4318", "otel-collector.monitoring:4318"),
            ("https://traces.example.com/otlp", "traces.example.com:443"),
            ("http://[::1]:4318/", "[::1]:4318"),
        ] {
            assert_eq!(rule(endpoint).unwrap().to_string(), place, "{endpoint}");
        }
        for without_scheme in ["otel-collector:4318", "127.0.0.1:4318"] {
            assert_eq!(rule(without_scheme).unwrap_err(), NO_SCHEME, "{without_scheme}");
        }
    }
}
