//! What runs, for those who watch; and the way to stop it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Steps of the jobs that run here.
#[derive(Default)]
pub struct Progress {
    jobs: Mutex<HashMap<[u8; 32], Arc<Running>>>,
}

/// An attempt that runs.
pub struct Running {
    from: u64,
    step: AtomicU64,
    called_off: AtomicBool,
    since: Instant,
}

impl Running {
    /// Steps done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// Steps in a second, of this attempt.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.since.elapsed().as_secs_f64();
        if seconds > 0.0 { (self.done() - self.from) as f64 / seconds } else { 0.0 }
    }
}

/// Held by the thread that runs an attempt: gone, the attempt runs no more.
pub struct Ticket<'p> {
    progress: &'p Progress,
    job: [u8; 32],
    running: Arc<Running>,
}

impl Ticket<'_> {
    /// A step is done.
    pub fn step(&self, step: u64) {
        self.running.step.store(step, Ordering::Relaxed);
    }

    /// Shall it end?
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.running.called_off.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut jobs = self.progress.all();
        // A newer attempt may have taken the place.
        if jobs.get(&self.job).is_some_and(|running| Arc::ptr_eq(running, &self.running)) {
            jobs.remove(&self.job);
        }
    }
}

impl Progress {
    /// An attempt begins; an older one at the same job is called off.
    pub fn begin(&self, job: [u8; 32], from: u64) -> Ticket<'_> {
        self.call_off(&job);
        let running = Arc::new(Running {
            from,
            step: AtomicU64::new(from),
            called_off: AtomicBool::new(false),
            since: Instant::now(),
        });
        self.all().insert(job, Arc::clone(&running));
        Ticket { progress: self, job, running }
    }

    /// What runs of this job shall end after its step.
    pub fn call_off(&self, job: &[u8; 32]) {
        if let Some(running) = self.all().get(job) {
            running.called_off.store(true, Ordering::Relaxed);
        }
    }

    /// Does it run?
    #[must_use]
    pub fn of(&self, job: &[u8; 32]) -> Option<Arc<Running>> {
        self.all().get(job).cloned()
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Running>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
