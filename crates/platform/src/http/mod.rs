//! HTTP: where requests may go, and how they get there.

mod address;
mod egress;
mod http_transport;
mod large_answers;
mod proxy;
mod resolver;
mod transport;

pub use egress::{EgressPolicy, EgressRefusal, EgressRule, EgressRuleError};
pub use http_transport::{HttpOptions, HttpTransport, HttpTransportError};
pub use proxy::{ProxyUrl, ProxyUrlError};
pub use transport::{MAX_ANSWER_BYTES, Transport, TransportError};
