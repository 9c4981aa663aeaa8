//! Watches that never end and never lose a change, regardless of how the API server fails.
//!
//! [`Watches::changes`] yields the events of one watch. Errors are logged and retried here, with one bounded back-off:
//! the controller behind it receives only events, so it never adds its own back-off.
//!
//! - A watch begins with a list of all objects ([`lists`]).
//! - Each later list is converted into the changes that it implies ([`relist`]), so that a reconcile never reads a
//!   store that is older than its trigger.
//! - The list is read again every [`RELIST_INTERVAL`]. This is the safety net: it repairs a change that was lost for an
//!   unforeseen reason.

pub mod lists;
pub mod problem;
pub mod relist;

use backon::ExponentialBackoff;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::runtime::reflector::Store;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use lists::{ListKind, StreamingLists};
use problem::{Problem, ProblemLog};
use relist::Relist;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// How often the whole list is read again. An hour costs almost nothing (one list), and is the longest time for which a
/// change could stay lost.
pub const RELIST_INTERVAL: Duration = Duration::from_secs(3600);
/// How long a list may be silent before it is started again. On a busy machine a long list takes longer than this, but
/// is never silent for this long.
const LIST_SILENCE: Duration = Duration::from_secs(30);
/// How long a streaming list may take in total. A list that takes longer counts as failed.
const STREAMING_LIST_DEADLINE: Duration = Duration::from_secs(300);
/// How many streaming lists in a row may fall silent before lists are read in pages. A proxy between the operator and
/// the API server may not support streaming lists.
const SILENT_LISTS: u32 = 2;
/// The first pause after a failure. It doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause. After the API server returns, the operator notices within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// All watches of a process. They share their knowledge about the API server.
#[derive(Clone)]
pub struct Watches {
    client: kube::Client,
    lists: StreamingLists,
    relist_interval: Duration,
    api_server: String,
}

impl Watches {
    /// Watches with this client. The client must not retry by itself, because the back-off is here. The API server's
    /// URL is used only in the log.
    #[must_use]
    pub fn new(client: kube::Client, api_server: impl Into<String>) -> Self {
        let lists = StreamingLists::default();
        Self { client, lists, relist_interval: RELIST_INTERVAL, api_server: api_server.into() }
    }

    /// The client that watches.
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Sets how often the whole list is read again.
    #[must_use]
    pub fn with_relist_interval(self, relist_interval: Duration) -> Self {
        Self { relist_interval, ..self }
    }

    /// The events of one watch: a first list (`Init`, `InitApply`, `InitDone`), and after it only `Apply` and `Delete`.
    /// `store` must hold the objects of these events without delay. `on_relist` is called at the beginning of each
    /// later list.
    pub fn changes<K, F>(
        &self,
        api: Api<K>,
        configuration: watcher::Config,
        store: Store<K>,
        on_relist: F,
    ) -> impl Stream<Item = Event<K>> + Send + use<K, F>
    where
        F: Fn() + Send + 'static,
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let begin = move |kind: ListKind| lists::watch(api.clone(), configuration.clone(), kind);
        let log = ProblemLog::new(&self.api_server, K::plural(&()).into_owned());
        let endless = Endless::new(Box::new(begin), self.lists.clone(), self.relist_interval, log);
        let mut relist = Relist::new(store);
        let events = stream::unfold(endless, |mut endless| async move { Some((endless.next().await, endless)) });
        events.flat_map(move |event| {
            if matches!(event, Event::Init) && relist.has_listed() {
                on_relist();
            }
            stream::iter(relist.changes(event))
        })
    }
}

type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// A watch that is started again whenever it fails, falls silent, or is due for a relist.
struct Endless<K> {
    begin: Box<dyn Fn(ListKind) -> Events<K> + Send>,
    current: Option<Current<K>>,
    lists: StreamingLists,
    silent_lists: u32,
    relist_interval: Duration,
    backoff: ExponentialBackoff,
    log: ProblemLog,
}

/// The running watch.
struct Current<K> {
    events: Events<K>,
    kind: ListKind,
    began: Instant,
    /// When the list last sent an object; `None` once the list is complete.
    list_heard: Option<Instant>,
}

impl<K> Current<K> {
    fn begin(begin: &dyn Fn(ListKind) -> Events<K>, kind: ListKind) -> Self {
        let began = Instant::now();
        Self { events: begin(kind), kind, began, list_heard: Some(began) }
    }

    /// The time at which this watch must be started again, and the reason.
    fn deadline(&self, relist_interval: Duration) -> (Instant, Over) {
        match (self.list_heard, self.kind) {
            (None, _) => (self.began + relist_interval, Over::RelistIsDue),
            (Some(heard), ListKind::Pages) => (heard + LIST_SILENCE, Over::ListIsSilent),
            (Some(heard), ListKind::Streaming) => {
                ((heard + LIST_SILENCE).min(self.began + STREAMING_LIST_DEADLINE), Over::ListIsSilent)
            }
        }
    }
}

/// The reason to start a watch again that has not failed.
#[derive(Clone, Copy)]
enum Over {
    ListIsSilent,
    RelistIsDue,
}

impl<K: Send + 'static> Endless<K> {
    fn new(
        begin: Box<dyn Fn(ListKind) -> Events<K> + Send>,
        lists: StreamingLists,
        relist_interval: Duration,
        log: ProblemLog,
    ) -> Self {
        Self { begin, current: None, lists, silent_lists: 0, relist_interval, backoff: backoff(), log }
    }

    /// The next event. Waits for it as long as necessary.
    async fn next(&mut self) -> Event<K> {
        loop {
            let kind = self.lists.kind();
            let current = self.current.get_or_insert_with(|| Current::begin(&self.begin, kind));
            let (deadline, over) = current.deadline(self.relist_interval);
            let event = tokio::select! {
                biased;
                event = current.events.next() => event,
                () = sleep_until(deadline) => {
                    self.is_over(over).await;
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => {
                    self.heard(&event);
                    return event;
                }
                Some(Err(error)) => self.failed(&error).await,
                None => self.current = None,
            }
        }
    }

    fn heard(&mut self, event: &Event<K>) {
        let list_heard = match event {
            Event::Init | Event::InitApply(_) => Some(Instant::now()),
            Event::InitDone | Event::Apply(_) | Event::Delete(_) => None,
        };
        if list_heard.is_none() {
            self.silent_lists = 0;
            self.backoff = backoff();
            self.log.is_over();
        }
        if let Some(current) = &mut self.current {
            current.list_heard = list_heard;
        }
    }

    /// Handles a failure of the watch. The watch continues by itself after a pause. If its resource version has
    /// expired, it continues with a new list, after the shortest pause: the API server has answered, so it is
    /// reachable.
    async fn failed(&mut self, error: &watcher::Error) {
        let Some(current) = &mut self.current else { return };
        if let Some(refusal) = lists::refusal(error, current.kind) {
            self.lists.give_up(refusal);
            self.current = None;
            return;
        }
        let problem = Problem::of(error);
        self.log.report(&problem);
        if problem.is_expired() {
            self.backoff = backoff();
        }
        self.pause().await;
        if let Some(current) = &mut self.current {
            current.list_heard = current.list_heard.map(|_| Instant::now());
        }
    }

    async fn is_over(&mut self, over: Over) {
        let Some(Current { kind, began, .. }) = self.current.take() else { return };
        match over {
            Over::RelistIsDue => tracing::debug!("the relist interval has passed; the list is read again"),
            Over::ListIsSilent => {
                self.log.report(&Problem::SilentList);
                self.silent_lists += 1;
                let is_endless = began.elapsed() >= STREAMING_LIST_DEADLINE;
                if kind == ListKind::Streaming && (self.silent_lists >= SILENT_LISTS || is_endless) {
                    self.lists.give_up("one was not complete in time");
                }
                self.pause().await;
            }
        }
    }

    async fn pause(&mut self) {
        sleep(self.backoff.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// The endless sequence of pauses after failures in a row.
#[must_use]
pub fn backoff() -> ExponentialBackoff {
    crate::backoff::backoff(FIRST_PAUSE, LONGEST_PAUSE, fastrand::u64(..))
}

#[cfg(test)]
mod tests;
