//! HTTP: the egress rules and the transport.

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
