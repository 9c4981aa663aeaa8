//! A watch that begins with a streaming list: one request tells of all there is and then of every change, object by
//! object, so that neither side ever holds a whole list. Where the API server has no such thing, the watch begins with a
//! list in pages.
//!
//! Kubernetes has streaming lists since 1.32, and not in 1.33 unless the feature gate WatchList is set; it refuses one then.
//! What stands between may know nothing of them either, and never say that the list is complete: that must not leave the
//! operator unready for ever.

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a streaming list may be silent before it is complete. On a busy machine a long one takes as long as this and
/// longer, but says something all the while.
const HEARD_WITHIN: Duration = Duration::from_secs(30);
/// How long a streaming list may take in all: changes that never end are no list.
const COMPLETE_WITHIN: Duration = Duration::from_secs(300);
/// How many objects a page holds. The client holds the text of a page two or three times while it receives it, and an object
/// may take 1.5 MiB.
const PAGE: u32 = 10;

/// Whether the API server has streaming lists, as far as is known. Shared by all watches, so that only one of them finds
/// out.
#[derive(Clone, Debug, Default)]
pub struct StreamingLists {
    are_refused: Arc<AtomicBool>,
}

impl StreamingLists {
    fn give_up(&self, why: &str) {
        if !self.are_refused.swap(true, Ordering::Relaxed) {
            tracing::info!("the API server has no streaming lists ({why}): watches begin with a list in pages");
        }
    }

    /// Watches what the configuration selects, from a list of all there is.
    pub fn watch<K>(
        &self,
        api: Api<K>,
        configuration: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let paged = watcher(api.clone(), configuration.clone().page_size(PAGE));
        let streamed = watcher(api, configuration.streaming_lists());
        self.while_served(streamed.boxed()).chain(paged)
    }

    /// The events of a watch that begins with a streaming list; it ends where there is none.
    fn while_served<K>(
        &self,
        events: BoxStream<'static, watcher::Result<Event<K>>>,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
    where
        K: Send + 'static,
    {
        let streamed = Streamed { events, stage: Stage::Beginning, lists: self.clone() };
        stream::unfold(streamed, |mut streamed| async move { Some((streamed.next().await?, streamed)) })
    }
}

struct Streamed<K> {
    events: BoxStream<'static, watcher::Result<Event<K>>>,
    stage: Stage,
    lists: StreamingLists,
}

/// How far a watch is.
#[derive(Clone, Copy)]
enum Stage {
    /// Nothing was asked yet.
    Beginning,
    /// The list has begun, and was last heard of then.
    Listing { began: Instant, heard: Instant },
    /// The list is complete; what comes are changes.
    Watching,
}

impl<K> Streamed<K> {
    async fn next(&mut self) -> Option<watcher::Result<Event<K>>> {
        let event = match self.stage {
            Stage::Beginning if self.lists.are_refused.load(Ordering::Relaxed) => None,
            Stage::Beginning | Stage::Watching => self.events.next().await,
            Stage::Listing { began, heard } => tokio::select! {
                biased;
                () = sleep_until((heard + HEARD_WITHIN).min(began + COMPLETE_WITHIN)) => {
                    self.lists.give_up("one was not complete in time");
                    None
                }
                event = self.events.next() => event,
            },
        }?;
        let heard = Instant::now();
        match (&event, self.stage) {
            (Ok(Event::Init), _) => self.stage = Stage::Listing { began: heard, heard },
            (Ok(Event::InitDone), _) => self.stage = Stage::Watching,
            (Ok(Event::InitApply(_)), Stage::Listing { began, .. }) => self.stage = Stage::Listing { began, heard },
            (Ok(Event::Apply(_) | Event::InitApply(_) | Event::Delete(_)), _) => {}
            (Err(error), _) => {
                if let Some(words) = refusal(error) {
                    self.lists.give_up(words);
                    return None;
                }
            }
        }
        Some(event)
    }
}

/// The words in which a streaming list was refused: as a request that is wrong (400, or 422 for a parameter that is
/// forbidden), which no other failure of a watch is.
fn refusal(error: &watcher::Error) -> Option<&str> {
    let status = match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    matches!(status.code, 400 | 422).then_some(&status.message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use kube::core::Status;

    type Events = Vec<watcher::Result<Event<u8>>>;

    fn listed() -> Events {
        vec![Ok(Event::Init), Ok(Event::InitApply(1)), Ok(Event::InitDone), Ok(Event::Apply(2))]
    }

    fn refused(code: u16) -> watcher::Error {
        let status = Status { code, ..Status::failure("sendInitialEvents is forbidden", "Invalid") };
        watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
    }

    /// What comes of a stream with these events that then stays silent; a watch that has ended is told as `end`.
    async fn told(lists: &StreamingLists, events: Events) -> Vec<String> {
        let silent = stream::iter(events).chain(stream::pending());
        let mut served = Box::pin(lists.while_served(silent.boxed()));
        let mut told = Vec::new();
        loop {
            match tokio::time::timeout(2 * COMPLETE_WITHIN, served.next()).await {
                Ok(Some(Ok(event))) => told.push(word(&event).to_owned()),
                Ok(Some(Err(_))) => told.push("error".to_owned()),
                Ok(None) => {
                    told.push("end".to_owned());
                    return told;
                }
                Err(_) => return told,
            }
        }
    }

    fn word(event: &Event<u8>) -> &'static str {
        match event {
            Event::Init => "init",
            Event::InitApply(_) => "listed",
            Event::InitDone => "done",
            Event::Apply(_) => "applied",
            Event::Delete(_) => "deleted",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_served_is_passed_on_and_watched_for_ever() {
        let lists = StreamingLists::default();
        assert_eq!(told(&lists, listed()).await, ["init", "listed", "done", "applied"]);
        assert!(!lists.are_refused.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_list_ends_at_once_and_is_not_asked_for_again() {
        for code in [400, 422] {
            let lists = StreamingLists::default();
            assert_eq!(told(&lists, vec![Err(refused(code))]).await, ["end"]);
            assert_eq!(told(&lists, listed()).await, ["end"], "another watch does not ask again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_fails_otherwise_is_asked_for_again() {
        for code in [401, 403, 404, 410, 429, 500, 503] {
            let lists = StreamingLists::default();
            let mut events: Events = vec![Err(refused(code))];
            events.extend(listed());
            assert_eq!(told(&lists, events).await, ["error", "init", "listed", "done", "applied"], "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_falls_silent_before_it_is_complete_ends_in_time() {
        let lists = StreamingLists::default();
        let began = Instant::now();
        assert_eq!(told(&lists, vec![Ok(Event::Init), Ok(Event::InitApply(1))]).await, ["init", "listed", "end"]);
        assert_eq!(began.elapsed(), HEARD_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_goes_on_for_ever_ends_in_time_as_well() {
        let lists = StreamingLists::default();
        let events = stream::iter([Ok(Event::Init)]).chain(trickle());
        let began = Instant::now();
        assert!(lists.while_served(events.boxed()).count().await > 10);
        assert_eq!(began.elapsed(), COMPLETE_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_list_that_is_heard_of_all_the_while_is_waited_for() {
        let lists = StreamingLists::default();
        let long = stream::iter([Ok(Event::Init)]).chain(trickle().take(9)).chain(stream::iter([Ok(Event::InitDone)]));
        let began = Instant::now();
        assert_eq!(lists.while_served(long.boxed()).count().await, 11);
        assert!(began.elapsed() > 2 * HEARD_WITHIN && !lists.are_refused.load(Ordering::Relaxed));
    }

    /// An object now and then, for ever.
    fn trickle() -> impl Stream<Item = watcher::Result<Event<u8>>> + Send {
        stream::unfold((), |()| async {
            tokio::time::sleep(HEARD_WITHIN / 3).await;
            Some((Ok(Event::InitApply(1)), ()))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_under_way_goes_on_where_another_one_is_refused() {
        let lists = StreamingLists::default();
        let mut under_way = Box::pin(lists.while_served(stream::iter(listed()).chain(stream::pending()).boxed()));
        for _ in 0..4 {
            under_way.next().await.unwrap().unwrap();
        }
        lists.give_up("a test says so");
        assert!(under_way.next().now_or_never().is_none(), "it still waits for changes");
    }
}
