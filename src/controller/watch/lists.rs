//! How a watch begins: with a streaming list, or with a list in pages.
//!
//! A streaming list is one request that tells of all there is and then of every change, object by object, so that neither
//! side ever holds a whole list. Kubernetes has streaming lists since 1.32, and not in 1.33 unless the feature gate WatchList
//! is set; it refuses one then.

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many objects a page holds. The client holds the text of a page two or three times while it receives it, and an object
/// may take 1.5 MiB.
const PAGE: u32 = 10;

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// As the beginning of the watch itself.
    Streaming,
    /// In pages, before the watch.
    Pages,
}

/// Whether the API server has streaming lists, as far as is known. Shared by all watches, so that only one of them finds
/// out.
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

    /// From now on lists are read in pages.
    pub fn give_up(&self, why: &str) {
        if !self.are_refused.swap(true, Ordering::Relaxed) {
            tracing::info!("the API server has no streaming lists ({why}): watches begin with a list in pages");
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

/// The API server's words, if this error refuses a streaming list: a request that is wrong (400, or 422 for a parameter that
/// is forbidden), which no other failure of a watch is.
#[must_use]
pub fn refusal(error: &watcher::Error, kind: ListKind) -> Option<&str> {
    let status = match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    (kind == ListKind::Streaming && matches!(status.code, 400 | 422)).then_some(&status.message)
}
