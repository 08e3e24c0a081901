//! Dealers: a thread for each attempt that is dealt, with threads of its own to work on.
//!
//! Who learns what: the dealer has the masks of both clouds and gets nothing but credits; see
//! `dyad_mpc`'s dealer. It holds seeds only as long as it deals.

use crate::attempts::Granted;
use crate::error::{Cause, Error, Result, refuse};
use crate::office::Office;
use bytes::Bytes;
use dyad_mpc::correlations::LinkSink;
use dyad_mpc::link::{Link, LinkError};
use dyad_mpc::prg::Attempt;
use dyad_mpc::together::Input;
use dyad_mpc::{Dealer, Session};
use dyad_net::Expect;
use dyad_net::link::{Event, LinkHub, Watched};
use dyad_node::{LineMeters, Metrics, series};
use dyad_protos::{Hex, digest};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Counts what goes over the line to C1.
fn watched<L: Link>(link: L, metrics: &Metrics) -> impl Link + use<L> {
    let meters = LineMeters::new(metrics, "c1");
    Watched::new(link, move |event| match event {
        Event::Sent(bytes) => meters.sent(bytes),
        Event::Received(bytes) => meters.received(bytes),
        Event::Waiting(begins) => meters.waiting(begins),
    })
}

/// What C1 dials.
pub(crate) fn session(attempt: &Attempt) -> [u8; 32] {
    let [zero, one] = &attempt.nonces;
    digest("link of dealer", &[&attempt.job, zero, one])
}

/// All that are at work.
pub(crate) struct Dealers {
    hub: LinkHub,
    metrics: Metrics,
    /// One for each job.
    running: Mutex<HashMap<[u8; 32], Running>>,
}

struct Running {
    attempt: Attempt,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    fn is_at_work(&self) -> bool {
        !self.thread.is_finished()
    }
}

/// How a dealer ended early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Engine(#[from] dyad_mpc::Error),
    #[error("{0}")]
    Centre(#[from] Error),
    #[error("no threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error("called off: the service stops, the job has ended, or a newer attempt has begun")]
    CalledOff,
    #[error("a mistake of the program: the dealer panicked")]
    Panic,
}

impl Dealers {
    pub(crate) fn new(hub: LinkHub, metrics: Metrics) -> Self {
        Self { hub, metrics, running: Mutex::default() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<[u8; 32], Running>> {
        // Entries are whole whatever happened elsewhere.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, running| running.is_at_work());
        running
    }

    /// Is there room for one more job? Asked before an attempt is granted.
    pub(crate) fn check_room(&self, job: &[u8; 32], most: usize) -> Result<()> {
        let running = self.running();
        let others = running.keys().filter(|other| *other != job).count();
        if others < most {
            return Ok(());
        }
        let text = format!("{others} jobs are dealt for already: wait until one has ended");
        refuse(Cause::Limit, text)
    }

    /// Another attempt at a job ends the older ones.
    pub(crate) fn only(&self, attempt: &Attempt) {
        if let Some(older) = self.running().get(&attempt.job)
            && older.attempt != *attempt
        {
            older.stop.store(true, Ordering::Relaxed);
        }
    }

    /// A job has ended.
    pub(crate) fn end(&self, job: &[u8; 32]) {
        if let Some(running) = self.running().get(job) {
            running.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for C1 and deals, on a thread. One that waits for the same attempt goes on waiting.
    pub(crate) fn start(&self, office: &Arc<Office>, c1: Expect, granted: Granted) -> Result<()> {
        let attempt = granted.attempt;
        let mut running = self.running();
        if let Some(before) = running.get(&attempt.job) {
            if before.attempt == attempt && !before.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            before.stop.store(true, Ordering::Relaxed);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let limits = &office.config.limits;
        let now = Instant::now();
        // Expected before C1 hears that it may connect.
        let link = Patient {
            link: watched(self.hub.expect(session(&attempt), c1), &self.metrics),
            stop: Arc::clone(&stop),
            came: false,
            connect: now + Duration::from_secs(limits.connect_seconds),
            end: now + Duration::from_secs(limits.attempt_hours * 3600),
        };
        let task = Task {
            office: Arc::clone(office),
            metrics: self.metrics.clone(),
            runtime: Handle::current(),
            stop: Arc::clone(&stop),
            granted,
        };
        let name = format!("dealer {:.8}", Hex(attempt.job));
        let thread = thread::Builder::new().name(name).spawn(move || task.run(link));
        let no_thread = |error| Error::Broken(format!("no thread for a dealer: {error}"));
        let thread = thread.map_err(no_thread)?;
        running.insert(attempt.job, Running { attempt, stop, thread });
        Ok(())
    }

    /// Ends all, and waits until they have, or for so long.
    pub(crate) async fn stop_all(&self, patience: Duration) {
        for running in self.running().values() {
            running.stop.store(true, Ordering::Relaxed);
        }
        let until = Instant::now() + patience;
        while !self.running().is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What a dealer's thread does.
struct Task {
    office: Arc<Office>,
    metrics: Metrics,
    runtime: Handle,
    stop: Arc<AtomicBool>,
    granted: Granted,
}

impl Task {
    fn run(self, link: impl Link + 'static) {
        let attempt = self.granted.attempt;
        let job = Hex(attempt.job);
        let mut begun = false;
        let dealt = catch_unwind(AssertUnwindSafe(|| self.deal(link, &mut begun)));
        let dealt = dealt.unwrap_or(Err(Failure::Panic));
        let outcome = match &dealt {
            Ok(bytes) => {
                tracing::info!(%job, bytes, "dealt");
                format!("{bytes} bytes dealt")
            }
            Err(Failure::CalledOff) => {
                tracing::info!(%job, "dealing was called off");
                "called off".to_owned()
            }
            Err(failure) => {
                tracing::warn!(%job, "dealing failed: {failure}");
                failure.to_string()
            }
        };
        let ended = match &dealt {
            Ok(_) => "done",
            Err(Failure::CalledOff) => "called_off",
            Err(_) => "failed",
        };
        self.metrics.counter(DEALT, &[("ended", ended)]).increment(1);
        // An attempt that C1 never came for may still be dealt, if it asks again.
        if begun {
            let said = self.runtime.block_on(self.office.end_dealing(&attempt, &outcome));
            if let Err(error) = said {
                tracing::warn!(%job, "how dealing ended is not written down: {error}");
            }
        }
    }

    fn deal(&self, link: impl Link + 'static, begun: &mut bool) -> Result<u64, Failure> {
        let limits = &self.office.config.limits;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(limits.dealer_threads).build()?;
        let limit = Duration::from_secs(limits.wait_seconds.max(limits.connect_seconds));
        let Granted { attempt, seeds, secret, contract, program, .. } = &self.granted;
        let sink = LinkSink::new(Box::new(link), &attempt.job, limit);
        let mut dealer = Dealer::new([&seeds[0], &seeds[1]], Box::new(sink));
        let steps = self.metrics.counter(series::STEPS, &[("kind", "dealt")]);
        let seconds = self.metrics.histogram(series::STEP_SECONDS, &[("kind", "dealt")]);
        let dealt = pool.install(|| {
            // Nothing is dealt before C1 has shown that it runs the same program.
            dealer.greet(contract)?;
            self.runtime.block_on(self.office.begin_dealing(attempt))?;
            *begun = true;
            // One that goes on has its weights from the clouds.
            if program.from == 0 {
                let plan = program.training.plan();
                for Input { name, meta, words } in plan.dealer_inputs(secret, &attempt.job) {
                    dealer.give(&name, meta, words);
                }
            }
            let mut session = Session::new(dealer);
            let mut since = Instant::now();
            program.training.run(program.from).each(&mut session, &mut |_| {
                steps.increment(1);
                seconds.record(since.elapsed());
                since = Instant::now();
                if self.stop.load(Ordering::Relaxed) { Err(Failure::CalledOff) } else { Ok(()) }
            })?;
            Ok(session.into_engine().finish()?)
        });
        // That the link broke off is what stopping it looks like from within.
        if self.stop.load(Ordering::Relaxed) && dealt.is_err() {
            return Err(Failure::CalledOff);
        }
        dealt
    }
}

/// Dealers that ended, by how (`done`, `called_off`, `failed`).
pub(crate) const DEALT: &str = "dyad_dealers_total";

/// How often a waiting dealer looks whether it should still wait.
const LOOK: Duration = Duration::from_millis(100);

/// A link that gives up when it is told to, when nobody connects in time, and when all of it takes
/// too long.
struct Patient<L> {
    link: L,
    stop: Arc<AtomicBool>,
    /// Somebody connected.
    came: bool,
    connect: Instant,
    end: Instant,
}

impl<L> Patient<L> {
    fn check(&self) -> Result<(), LinkError> {
        if self.stop.load(Ordering::Relaxed) || Instant::now() >= self.end {
            return Err(LinkError::Closed);
        }
        Ok(())
    }
}

impl<L: Link> Link for Patient<L> {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        self.check()?;
        self.link.send(frame)
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let start = Instant::now();
        let by = if self.came { by } else { self.connect };
        loop {
            self.check()?;
            match self.link.recv(by.min(Instant::now() + LOOK)) {
                Err(LinkError::Late(_)) if Instant::now() < by => {}
                Err(LinkError::Late(_)) => {
                    return Err(LinkError::Late(by.saturating_duration_since(start)));
                }
                other => {
                    self.came |= other.is_ok();
                    return other;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dyad_mpc::link::memory;

    #[test]
    fn a_patient_link_heeds_stop_and_deadlines() {
        let (mut far, near) = memory::pair();
        let stop = Arc::new(AtomicBool::new(false));
        let now = Instant::now();
        let mut link = Patient {
            link: near,
            stop: Arc::clone(&stop),
            came: false,
            connect: now + Duration::from_millis(250),
            end: now + Duration::from_mins(1),
        };
        // Nobody comes: the first wait ends when connecting should be over, not later.
        let late = link.recv(now + Duration::from_secs(30));
        assert!(matches!(late, Err(LinkError::Late(_))), "{late:?}");
        assert!(now.elapsed() < Duration::from_secs(5));
        far.send(Bytes::from_static(b"here")).unwrap();
        assert_eq!(link.recv(now).unwrap(), "here");
        let stopper = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            stop.store(true, Ordering::Relaxed);
        });
        let start = Instant::now();
        assert!(matches!(link.recv(start + Duration::from_secs(30)), Err(LinkError::Closed)));
        assert!(start.elapsed() < Duration::from_secs(5));
        stopper.join().unwrap();
    }
}
