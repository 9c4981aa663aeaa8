//! The last check before a request leaves the process.
//!
//! A reconcile checks that it may act before it begins a call. But the call may wait in the queue of its budget, or for
//! its next try, and the process may be paused in the meantime. The transport is the last point before the network.

use super::Leadership;
use bytes::Bytes;
use futures::future::{self, BoxFuture};
use platform::{Transport, TransportError};
use std::sync::Arc;

/// Sends only while this process may act.
pub struct Fenced {
    transport: Arc<dyn Transport>,
    leadership: Leadership,
}

impl Fenced {
    /// Sends through this transport while this leadership lasts.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, leadership: Leadership) -> Self {
        Self { transport, leadership }
    }
}

impl Transport for Fenced {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        match self.leadership.may_act() {
            true => self.transport.send(request),
            false => {
                let why = "this process no longer holds the lease, and sends nothing".to_owned();
                Box::pin(future::ready(Err(TransportError::NotConnected(why))))
            }
        }
    }
}
