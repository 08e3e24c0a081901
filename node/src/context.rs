//! What a service is given to run with.

use crate::clock::{Clock, SystemClock};
use crate::health::Health;
use crate::meters::Metrics;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// A service that runs until its context says stop. In a box, so that its code is made once, where it
/// stands, and not again in every program that awaits it.
pub type Serving = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// What `service_main` hands to a service; several services in one process have one each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {
    /// When to stop.
    pub stop: Stop,
    /// What to say about being ready.
    pub health: Health,
    /// What to count.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Context {
    /// For service `name`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            stop: Stop::new(),
            health: Health::new(),
            metrics: Metrics::new(name),
            clock: Arc::new(SystemClock),
        }
    }

    /// For tests and for services inside another program: bound to no signal and no endpoint.
    #[must_use]
    pub fn detached() -> Self {
        Self::new("detached")
    }

    /// With this clock instead of the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

/// The wish that a service ends in good order. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop {
    wish: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Nobody wishes it yet.
    #[must_use]
    pub fn new() -> Self {
        Self { wish: Arc::new(watch::Sender::new(false)) }
    }

    /// Wishes it, once and for all.
    pub fn stop(&self) {
        self.wish.send_replace(true);
    }

    /// Whether it is wished.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.wish.borrow()
    }

    /// Waits until it is wished.
    pub async fn stopped(&self) {
        let mut wish = self.wish.subscribe();
        // The sender is ours, so waiting cannot fail; if it did, that would be an end as well.
        drop(wish.wait_for(|wished| *wished).await);
    }

    /// Runs `work` until it is done (`Some`) or the wish comes first (`None`; `work` is dropped).
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            done = work => Some(done),
        }
    }
}
