//! Virtual time, which passes as real time does while anything happens, and jumps while nothing does.
//!
//! The operator and the platform each run on a thread of their own, whose runtime's clock stands still but for what
//! [`Time`] adds to it. While a request is on its way or a thread computes, it adds what really passes: nothing is
//! measured as quicker or slower than it is. While everybody waits, it adds a step at once: an hour of a fleet takes
//! minutes, and no latency is stretched by that.

use std::fs;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is added while everybody waits: the precision of every timer.
const STEP: Duration = Duration::from_millis(20);
/// How often real time is added while something happens.
const TICK: Duration = Duration::from_millis(1);
/// How long nothing jumps after a call of Kubernetes: what was written comes back through a watch.
const ECHO: Duration = Duration::from_millis(5);

/// Virtual time, shared by all who live in it. It stands still until it is started.
#[derive(Clone)]
pub struct Time {
    shared: Arc<Shared>,
}

struct Shared {
    /// The time since the start; threads follow it.
    now: watch::Sender<Duration>,
    is_over: AtomicBool,
    holds: AtomicUsize,
    /// Until when an echo may come, in microseconds of real time since `began`.
    echo_until: AtomicU64,
    began: Instant,
    followers: Mutex<Vec<Arc<Follower>>>,
    driver: Mutex<Option<Thread>>,
}

/// A thread that lives in virtual time.
#[derive(Default)]
struct Follower {
    /// How far its clock has come, in nanoseconds.
    reached: AtomicU64,
    waits: AtomicBool,
}

/// Something is under way: time does not jump until this is dropped.
pub struct Hold {
    time: Time,
    /// Whether it may come back through a watch.
    has_echo: bool,
}

impl Time {
    /// Time that stands still.
    pub fn new() -> Self {
        let shared = Shared {
            now: watch::channel(Duration::ZERO).0,
            is_over: AtomicBool::new(false),
            holds: AtomicUsize::new(0),
            echo_until: AtomicU64::new(0),
            began: Instant::now(),
            followers: Mutex::default(),
            driver: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lets time pass, until [`end`](Self::end).
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(&self) -> io::Result<()> {
        let time = self.clone();
        let driver = thread::Builder::new().name("time".to_owned()).spawn(move || time.pass())?;
        *lock(&self.shared.driver) = Some(driver.thread().clone());
        Ok(())
    }

    /// Time stands still from now on.
    pub fn end(&self) {
        self.shared.is_over.store(true, Ordering::Release);
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        *self.shared.now.borrow()
    }

    /// Waits for a moment, from a runtime in real time.
    pub async fn reach(&self, moment: Duration) {
        let mut now = self.shared.now.subscribe();
        // The sender lives as long as `self`.
        let _ = now.wait_for(|now| *now >= moment).await;
    }

    /// Keeps time from jumping.
    pub fn hold(&self) -> Hold {
        self.held(false)
    }

    /// Keeps time from jumping, until what is done has come back through a watch.
    pub fn hold_with_echo(&self) -> Hold {
        self.held(true)
    }

    fn held(&self, has_echo: bool) -> Hold {
        self.shared.holds.fetch_add(1, Ordering::AcqRel);
        Hold { time: self.clone(), has_echo }
    }

    /// Runs `main` on a thread whose runtime lives in this time.
    ///
    /// # Errors
    /// Where the thread or its runtime cannot be made.
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
                // A clock that stands still is moved on by tokio itself when a runtime has nothing to do, but not as long
                // as it has a blocking task.
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
            let began = Instant::now();
            let is_quiet = loop {
                if self.is_quiet() {
                    break true;
                }
                match TICK.checked_sub(began.elapsed()) {
                    Some(left) if !left.is_zero() => thread::park_timeout(left),
                    _ => break false,
                }
            };
            let passed = if is_quiet { STEP } else { began.elapsed() };
            self.shared.now.send_modify(|now| *now += passed);
        }
    }

    fn is_quiet(&self) -> bool {
        let now = self.now();
        let real = u64::try_from(self.shared.began.elapsed().as_micros()).unwrap_or(u64::MAX);
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

/// Moves a runtime's own clock on.
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
            let until = shared.began.elapsed() + ECHO;
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
    /// Of the thread that asks.
    ///
    /// # Errors
    /// Where the system has no `/proc`.
    pub fn of_this_thread() -> io::Result<Self> {
        let thread = fs::read_link("/proc/thread-self")?;
        Ok(Self { path: format!("/proc/{}/schedstat", thread.display()) })
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// Where the thread has ended, or the kernel does not tell.
    pub fn used(&self) -> io::Result<Duration> {
        let text = fs::read_to_string(&self.path)?;
        let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
        nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other("schedstat cannot be read"))
    }
}

/// A panic elsewhere leaves what is locked here whole: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
