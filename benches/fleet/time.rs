//! Virtual time. It passes like real time while anything happens, and jumps ahead while everything waits.
//!
//! The operator and the platform each have their own thread. The clock of the thread's runtime is paused, and only
//! [`Time`] moves it. While a request is in progress or a thread computes, [`Time`] adds the real time that passes, so
//! measured durations are real. While everything waits, it adds a whole step at once. So an hour of a fleet takes
//! minutes, and no latency becomes longer.

use std::fs;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The step that is added while everything waits. It is the precision of every timer.
const STEP: Duration = Duration::from_millis(20);
/// How often the passed real time is added while something happens.
const TICK: Duration = Duration::from_millis(1);
/// How long time does not jump after a call to the API server, because the watch delivers the written object back.
const ECHO: Duration = Duration::from_millis(5);

/// Virtual time, shared by all threads that use it. It stands still until it is started.
#[derive(Clone)]
pub struct Time {
    shared: Arc<Shared>,
}

struct Shared {
    /// The time since the start. The clocks of the threads follow it.
    now: watch::Sender<Duration>,
    is_over: AtomicBool,
    holds: AtomicUsize,
    /// Until when the watch may deliver a written object back, in microseconds of real time since `started_at`.
    echo_until: AtomicU64,
    started_at: Instant,
    followers: Mutex<Vec<Arc<Follower>>>,
    driver: Mutex<Option<Thread>>,
}

/// A thread in virtual time.
#[derive(Default)]
struct Follower {
    /// The time of its clock, in nanoseconds.
    reached: AtomicU64,
    waits: AtomicBool,
}

/// Work in progress: time does not jump until this value is dropped.
pub struct Hold {
    time: Time,
    /// Whether the watch may deliver the result of this work.
    has_echo: bool,
}

impl Time {
    /// A new time, which stands still.
    pub fn new() -> Self {
        let shared = Shared {
            now: watch::channel(Duration::ZERO).0,
            is_over: AtomicBool::new(false),
            holds: AtomicUsize::new(0),
            echo_until: AtomicU64::new(0),
            started_at: Instant::now(),
            followers: Mutex::default(),
            driver: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lets time pass, until [`end`](Self::end).
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(&self) -> io::Result<()> {
        let time = self.clone();
        let driver = thread::Builder::new().name("time".to_owned()).spawn(move || time.pass())?;
        *lock(&self.shared.driver) = Some(driver.thread().clone());
        Ok(())
    }

    /// Stops time.
    pub fn end(&self) {
        self.shared.is_over.store(true, Ordering::Release);
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        *self.shared.now.borrow()
    }

    /// Waits until virtual time reaches a moment. The caller has a runtime in real time.
    pub async fn reach(&self, moment: Duration) {
        let mut now = self.shared.now.subscribe();
        // The sender lives as long as `self`.
        let _ = now.wait_for(|now| *now >= moment).await;
    }

    /// Keeps time from jumping.
    pub fn hold(&self) -> Hold {
        self.held(false)
    }

    /// Keeps time from jumping, until the watch has had time to deliver the result.
    pub fn hold_with_echo(&self) -> Hold {
        self.held(true)
    }

    fn held(&self, has_echo: bool) -> Hold {
        self.shared.holds.fetch_add(1, Ordering::AcqRel);
        Hold { time: self.clone(), has_echo }
    }

    /// Runs `main` on a new thread whose runtime uses this time.
    ///
    /// # Errors
    /// If the thread or its runtime cannot be made.
    pub fn spawn<T, M>(
        &self,
        name: &str,
        main: impl FnOnce() -> M + Send + 'static,
    ) -> io::Result<thread::JoinHandle<T>>
    where
        T: Send + 'static,
        M: Future<Output = T>,
    {
        let follower = Arc::new(Follower::default());
        lock(&self.shared.followers).push(Arc::clone(&follower));
        let (parks, unparks) = ((self.clone(), Arc::clone(&follower)), Arc::clone(&follower));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .on_thread_park(move || {
                parks.1.waits.store(true, Ordering::Release);
                parks.0.wake_driver();
            })
            .on_thread_unpark(move || unparks.waits.store(false, Ordering::Release))
            .build()?;
        let now = self.shared.now.subscribe();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                // If a runtime with a paused clock has nothing to do, tokio moves the clock ahead by itself. It does
                // not do so while there is a blocking task.
                let (blocks, until_dropped) = mpsc::channel::<()>();
                tokio::task::spawn_blocking(move || until_dropped.recv());
                tokio::spawn(follow(now, follower));
                let result = main().await;
                drop(blocks);
                result
            })
        })
    }

    fn pass(&self) {
        while !self.shared.is_over.load(Ordering::Acquire) {
            let started_at = Instant::now();
            let is_quiet = loop {
                if self.is_quiet() {
                    break true;
                }
                match TICK.checked_sub(started_at.elapsed()) {
                    Some(left) if !left.is_zero() => thread::park_timeout(left),
                    _ => break false,
                }
            };
            let passed = if is_quiet { STEP } else { started_at.elapsed() };
            self.shared.now.send_modify(|now| *now += passed);
        }
    }

    fn is_quiet(&self) -> bool {
        let now = self.now();
        let real = u64::try_from(self.shared.started_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.holds.load(Ordering::Acquire) == 0
            && self.shared.echo_until.load(Ordering::Acquire) <= real
            && lock(&self.shared.followers).iter().all(|follower| follower.waits_at(now))
    }

    fn wake_driver(&self) {
        if let Some(driver) = &*lock(&self.shared.driver) {
            driver.unpark();
        }
    }
}

impl Follower {
    fn waits_at(&self, now: Duration) -> bool {
        u128::from(self.reached.load(Ordering::Acquire)) == now.as_nanos() && self.waits.load(Ordering::Acquire)
    }
}

/// Moves the clock of a runtime to the virtual time.
async fn follow(mut now: watch::Receiver<Duration>, follower: Arc<Follower>) {
    let mut reached = Duration::ZERO;
    while now.changed().await.is_ok() {
        let target = *now.borrow_and_update();
        tokio::time::advance(target.saturating_sub(reached)).await;
        reached = target;
        follower.reached.store(u64::try_from(reached.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let shared = &self.time.shared;
        if self.has_echo {
            let until = shared.started_at.elapsed() + ECHO;
            shared.echo_until.fetch_max(u64::try_from(until.as_micros()).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
        shared.holds.fetch_sub(1, Ordering::AcqRel);
        self.time.wake_driver();
    }
}

/// The processor time of one thread of this process.
#[derive(Clone, Debug)]
pub struct ThreadClock {
    path: String,
}

impl ThreadClock {
    /// The clock of the calling thread.
    ///
    /// # Errors
    /// If the system has no `/proc`.
    pub fn of_this_thread() -> io::Result<Self> {
        let thread = fs::read_link("/proc/thread-self")?;
        Ok(Self { path: format!("/proc/{}/schedstat", thread.display()) })
    }

    /// The processor time that the thread has used so far.
    ///
    /// # Errors
    /// If the thread has ended, or the kernel does not report the time.
    pub fn used(&self) -> io::Result<Duration> {
        let text = fs::read_to_string(&self.path)?;
        let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
        nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other("schedstat cannot be read"))
    }
}

/// A poisoned lock is ignored: each change is one assignment, so a panic cannot leave the data incomplete.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
