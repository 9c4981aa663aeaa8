//! Ctrl-C and SIGTERM. The first one stops the run in order, the second one ends the process at once.

use super::ending::Interruption;
use std::future::pending;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The first signal, once it has come.
#[derive(Clone)]
pub(super) struct Signals(watch::Receiver<Option<Interruption>>);

impl Signals {
    /// Receives the signals from now on.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn receive() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let interruption = tokio::select! {
                    _ = terminate.recv() => Interruption::Terminate,
                    _ = interrupt.recv() => Interruption::Interrupt,
                };
                if sender.borrow().is_some() {
                    // The journal is on the disk, so nothing is lost.
                    std::process::exit(interruption.exit_code().into());
                }
                sender.send_replace(Some(interruption));
            }
        });
        Ok(Self(receiver))
    }

    /// Waits for the first signal. Returns it again at each call after that.
    pub(super) async fn first(&mut self) -> Interruption {
        let first = self.0.wait_for(Option::is_some).await.ok().and_then(|first| *first);
        match first {
            Some(first) => first,
            None => pending().await,
        }
    }
}
