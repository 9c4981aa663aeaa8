//! One watch over scripted lists and failures, in virtual time.
#![allow(clippy::unwrap_used)]

use super::*;
use kube::core::Status;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

type Script = Vec<watcher::Result<Event<u8>>>;

fn error(code: u16) -> watcher::Error {
    let status = Status { code, ..Status::failure("sendInitialEvents is forbidden", "Invalid") };
    watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
}

fn unreachable() -> watcher::Error {
    watcher::Error::WatchStartFailed(kube::Error::Service("Connection refused".into()))
}

fn list() -> Script {
    vec![Ok(Event::Init), Ok(Event::InitApply(1)), Ok(Event::InitDone)]
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

/// A watch whose starts are scripted. Each start yields its events and is then silent.
struct Scripted {
    endless: Endless<u8>,
    begins: Arc<Mutex<Vec<(ListKind, Instant)>>>,
}

impl Scripted {
    fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::of(scripts.into_iter().map(|script| stream::iter(script).chain(stream::pending()).boxed()))
    }

    fn of(streams: impl IntoIterator<Item = Events<u8>>) -> Self {
        let begins = Arc::<Mutex<Vec<_>>>::default();
        let (noted, streams) = (Arc::clone(&begins), Mutex::new(streams.into_iter().collect::<VecDeque<_>>()));
        let begin = move |kind| {
            noted.lock().unwrap().push((kind, Instant::now()));
            streams.lock().unwrap().pop_front().unwrap_or_else(|| stream::pending().boxed())
        };
        let log = ProblemLog::new("https://api", "cognigydeployments");
        let endless = Endless::new(Box::new(begin), StreamingLists::default(), RELIST_INTERVAL, log);
        Self { endless, begins }
    }

    /// The events that arrive within that time.
    async fn events_within(&mut self, time: Duration) -> Vec<&'static str> {
        let end = Instant::now() + time;
        let mut events = Vec::new();
        while let Ok(event) = timeout(end - Instant::now(), self.endless.next()).await {
            events.push(word(&event));
        }
        events
    }

    /// The kind of each list so far.
    fn kinds(&self) -> Vec<ListKind> {
        self.begins.lock().unwrap().iter().map(|(kind, _)| *kind).collect()
    }
}

const A_WHILE: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn changes_follow_the_list() {
    let mut script = list();
    script.push(Ok(Event::Apply(2)));
    let mut watch = Scripted::new([script]);
    assert_eq!(watch.events_within(A_WHILE).await, ["init", "listed", "done", "applied"]);
    assert_eq!(watch.kinds(), [ListKind::Streaming]);
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_streaming_list_all_lists_are_read_in_pages_at_once() {
    for code in [400, 422] {
        let mut watch = Scripted::new([vec![Err(error(code))], list()]);
        let began = Instant::now();
        assert_eq!(watch.events_within(A_WHILE).await, ["init", "listed", "done"]);
        let begins = watch.begins.lock().unwrap().clone();
        assert_eq!(begins, [(ListKind::Streaming, began), (ListKind::Pages, began)], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_for_another_reason_continues_after_a_short_pause() {
    for code in [401, 403, 404, 410, 429, 500, 503] {
        let mut script: Script = vec![Err(error(code))];
        script.extend(list());
        let mut watch = Scripted::new([script]);
        assert_eq!(watch.events_within(Duration::from_secs(1)).await, ["init", "listed", "done"], "{code}");
        assert_eq!(watch.kinds(), [ListKind::Streaming]);
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_any_length_the_watch_is_tried_again_within_seconds() {
    let asked = Arc::<Mutex<Vec<Instant>>>::default();
    let noted = Arc::clone(&asked);
    let failing = stream::repeat_with(move || {
        noted.lock().unwrap().push(Instant::now());
        Err(unreachable())
    });
    let mut watch = Scripted::of([failing.boxed()]);
    assert!(watch.events_within(A_WHILE).await.is_empty());
    let asked = asked.lock().unwrap();
    let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= LONGEST_PAUSE, "{longest:?}");
    assert!(asked.len() < 1000, "there is a pause between the tries: {}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn an_expired_resource_version_after_an_outage_causes_no_long_pause() {
    let expired_at = Arc::<Mutex<Option<Instant>>>::default();
    let noted = Arc::clone(&expired_at);
    let outage = stream::iter((0..8).map(|_| Err(unreachable())));
    let expired = stream::once(async move {
        *noted.lock().unwrap() = Some(Instant::now());
        Err(error(410))
    });
    let mut watch = Scripted::of([outage.chain(expired).chain(stream::iter(list())).boxed()]);
    assert_eq!(word(&watch.endless.next().await), "init");
    assert!(expired_at.lock().unwrap().unwrap().elapsed() <= FIRST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn a_silent_list_is_started_again_and_the_third_one_is_read_in_pages() {
    let silent = || vec![Ok(Event::Init), Ok(Event::InitApply(1))];
    let mut watch = Scripted::new([silent(), silent(), list()]);
    assert_eq!(watch.events_within(A_WHILE).await, ["init", "listed", "init", "listed", "init", "listed", "done"]);
    assert_eq!(watch.kinds(), [ListKind::Streaming, ListKind::Streaming, ListKind::Pages]);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_a_first_event_is_started_again() {
    let mut watch = Scripted::new([Vec::new(), list()]);
    let began = Instant::now();
    assert_eq!(word(&watch.endless.next().await), "init");
    assert!(began.elapsed() < LIST_SILENCE + LONGEST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_that_is_never_silent_is_not_interrupted() {
    let long = stream::iter([Ok(Event::Init)]).chain(trickle().take(9)).chain(stream::iter([Ok(Event::InitDone)]));
    let mut watch = Scripted::of([long.chain(stream::pending()).boxed()]);
    let events = watch.events_within(STREAMING_LIST_DEADLINE - LIST_SILENCE).await;
    assert_eq!((events.len(), events.last()), (11, Some(&"done")));
    assert_eq!(watch.kinds(), [ListKind::Streaming]);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_that_never_ends_is_read_in_pages_instead() {
    let endless = stream::iter([Ok(Event::Init)]).chain(trickle());
    let mut watch = Scripted::of([endless.boxed(), stream::iter(list()).chain(stream::pending()).boxed()]);
    assert_eq!(watch.events_within(A_WHILE).await.last(), Some(&"done"));
    assert_eq!(watch.kinds(), [ListKind::Streaming, ListKind::Pages]);
}

/// One object from time to time, forever.
fn trickle() -> impl Stream<Item = watcher::Result<Event<u8>>> + Send {
    stream::unfold((), |()| async {
        sleep(LIST_SILENCE / 4).await;
        Some((Ok(Event::InitApply(1)), ()))
    })
}

#[tokio::test(start_paused = true)]
async fn the_list_is_read_again_at_every_relist_interval() {
    let mut watch = Scripted::new([list(), list(), list()]);
    let events = watch.events_within(2 * RELIST_INTERVAL + A_WHILE).await;
    assert_eq!(events.iter().filter(|word| **word == "done").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_running_watch_continues_if_the_list_of_another_watch_is_refused() {
    let mut watch = Scripted::new([list()]);
    watch.events_within(Duration::from_secs(1)).await;
    watch.endless.lists.give_up("a test says so");
    assert!(watch.events_within(A_WHILE).await.is_empty());
    assert_eq!(watch.kinds(), [ListKind::Streaming]);
}
