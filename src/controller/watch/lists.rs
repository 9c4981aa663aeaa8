//! How a watch begins: with a streaming list, or with a list in pages.
//!
//! A streaming list is one request that sends all existing objects and then every change, one object at a time, so that
//! neither side ever holds a whole list. Kubernetes has streaming lists since 1.32. In 1.33 they need the feature gate
//! WatchList; without it, the API server refuses them.

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many objects a page holds. The client holds the text of a page two or three times while it receives it, and one
/// object may take 1.5 MiB.
const PAGE: u32 = 10;

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// A streaming list, as the beginning of the watch itself.
    Streaming,
    /// In pages, before the watch starts.
    Pages,
}

/// Whether the API server supports streaming lists, according to the answers so far. All watches share this, so that
/// only one of them needs to find out.
#[derive(Clone, Debug, Default)]
pub struct StreamingLists {
    are_refused: Arc<AtomicBool>,
}

impl StreamingLists {
    /// How the next list is read.
    #[must_use]
    pub fn kind(&self) -> ListKind {
        if self.are_refused.load(Ordering::Relaxed) { ListKind::Pages } else { ListKind::Streaming }
    }

    /// Reads lists in pages from now on.
    pub fn give_up(&self, why: &str) {
        if !self.are_refused.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "streaming lists do not work with this API server ({why}); the operator reads lists in pages instead"
            );
        }
    }
}

/// Begins a watch.
pub fn watch<K>(
    api: Api<K>,
    configuration: watcher::Config,
    kind: ListKind,
) -> BoxStream<'static, watcher::Result<Event<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let configuration = match kind {
        ListKind::Streaming => configuration.streaming_lists(),
        ListKind::Pages => configuration.page_size(PAGE),
    };
    watcher(api, configuration).boxed()
}

/// The API server's message, if this error refuses a streaming list: an invalid request (400, or 422 for a forbidden
/// parameter). No other failure of a watch has these codes.
#[must_use]
pub fn refusal(error: &watcher::Error, kind: ListKind) -> Option<&str> {
    let status = match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    (kind == ListKind::Streaming && matches!(status.code, 400 | 422)).then_some(&status.message)
}
