//! A loop of tasks that is driven by whichever thread waits for what they do.
//!
//! A link's round trip is a few microseconds of work; every hop from one thread to another costs as
//! much again. So the thread that waits for a frame polls the link's socket and runs its tasks
//! itself, and nobody is woken. While nobody waits, a thread of the loop's own drives it, so that
//! the connection lives on and what was sent goes out.
//!
//! Tasks, sockets and pauses know by a thread-local whether they are polled here, and otherwise are
//! tokio's.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The own thread takes over when nobody has driven for so long; at the latest after twice that.
const LEASE: Duration = Duration::from_millis(1);

/// After watching another drive for so many leases it sleeps until it is woken.
const WATCHES: u32 = 16;

/// Tasks polled before the driver looks whether it has what it waits for.
const TURN: usize = 32;

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// The loop that this thread drives.
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// The loop that polls the caller, if one does.
pub(crate) fn current() -> Option<Steered> {
    CURRENT.with_borrow(Clone::clone).map(Steered)
}

/// A loop. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Steered(Arc<Shared>);

struct Shared {
    /// Whoever holds it drives.
    tasks: Mutex<Vec<Option<Spawned>>>,
    ready: Mutex<VecDeque<usize>>,
    /// Tasks that are new.
    inbox: Mutex<Vec<Task>>,
    watches: Mutex<Vec<Watch>>,
    pauses: Mutex<Vec<(u64, Instant, Waker)>>,
    pause_ids: AtomicU64,
    /// The driver sleeps, or is about to: ring.
    asleep: AtomicBool,
    bell: (UnixStream, UnixStream),
    /// What the driver waits for may have come.
    called: AtomicBool,
    /// Threads that want to drive.
    wanted: AtomicUsize,
    /// A waiting thread drives; how often one has.
    driving: AtomicBool,
    drives: AtomicU64,
    /// The own thread watches, asleep.
    dozing: AtomicBool,
    own: Mutex<Option<Thread>>,
    stop: AtomicBool,
    over: AtomicBool,
}

struct Spawned {
    task: Task,
    slot: Arc<Slot>,
    waker: Waker,
}

/// A socket that somebody waits for.
struct Watch {
    socket: Arc<TcpStream>,
    read: Option<Waker>,
    write: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes one task.
struct Slot {
    index: usize,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            lock(&self.shared.ready).push_back(self.index);
            self.shared.ring();
        }
    }
}

/// Wakes whoever drives.
impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, SeqCst);
        self.ring();
    }
}

/// Sets the loop this thread drives, for as long as it lives.
struct Driving;

impl Driving {
    fn new(shared: &Arc<Shared>) -> Self {
        CURRENT.set(Some(shared.clone()));
        Self
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl Steered {
    /// A new loop. Its own thread ends after it has been [stopped](Self::stop) and done `last`.
    pub(crate) fn new(last: impl FnOnce(&Self) + Send + 'static) -> io::Result<Self> {
        let bell = UnixStream::pair()?;
        bell.0.set_nonblocking(true)?;
        bell.1.set_nonblocking(true)?;
        let this = Self(Arc::new(Shared {
            tasks: Mutex::default(),
            ready: Mutex::default(),
            inbox: Mutex::default(),
            watches: Mutex::default(),
            pauses: Mutex::default(),
            pause_ids: AtomicU64::default(),
            asleep: AtomicBool::default(),
            bell,
            called: AtomicBool::default(),
            wanted: AtomicUsize::default(),
            driving: AtomicBool::default(),
            drives: AtomicU64::default(),
            dozing: AtomicBool::default(),
            own: Mutex::default(),
            stop: AtomicBool::default(),
            over: AtomicBool::default(),
        }));
        let rested = this.clone();
        let own = thread::Builder::new().name("dyad-link".to_owned()).spawn(move || {
            rested.rest();
            last(&rested);
            rested.clear();
        })?;
        *lock(&this.0.own) = Some(own.thread().clone());
        Ok(this)
    }

    /// Runs a task here. After the end of the loop it is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if !self.0.over.load(SeqCst) {
            lock(&self.0.inbox).push(Box::pin(task));
            self.0.ring();
        }
    }

    /// Drives until this gives something, or the time has come. It is asked after every turn, and
    /// when the waker it is given is woken.
    pub(crate) fn drive<T>(
        &self,
        by: Option<Instant>,
        mut done: impl FnMut(&Waker) -> Option<T>,
    ) -> Option<T> {
        let shared = &*self.0;
        let waker = Waker::from(self.0.clone());
        shared.driving.store(true, SeqCst);
        shared.wanted.fetch_add(1, SeqCst);
        shared.ring();
        let mut tasks = lock(&shared.tasks);
        shared.wanted.fetch_sub(1, SeqCst);
        let current = Driving::new(&self.0);
        let out = loop {
            let idle = self.0.turn(&mut tasks);
            if let Some(out) = done(&waker) {
                break Some(out);
            }
            if idle {
                if by.is_some_and(|by| by <= Instant::now()) {
                    // What lies in the socket has come in time.
                    shared.wait(Some(Instant::now()), false);
                    self.0.turn(&mut tasks);
                    break done(&waker);
                }
                shared.wait(by, false);
            }
        };
        drop((current, tasks));
        shared.drives.fetch_add(1, SeqCst);
        shared.driving.store(false, SeqCst);
        if shared.dozing.swap(false, SeqCst) {
            self.wake_own();
        }
        out
    }

    /// Runs what is ready, if nobody else does. Whoever sends all the time keeps the own thread
    /// away, so that what a socket would not take before is tried again here.
    pub(crate) fn nudge(&self) {
        if let Ok(mut tasks) = self.0.tasks.try_lock() {
            let current = Driving::new(&self.0);
            self.0.turn(&mut tasks);
            if lock(&self.0.watches).iter().any(|watch| watch.write.is_some()) {
                self.0.wait(Some(Instant::now()), false);
                self.0.turn(&mut tasks);
            }
            drop((current, tasks));
            self.0.drives.fetch_add(1, SeqCst);
        }
    }

    /// Nobody will drive any more: the own thread does what is left, and ends.
    pub(crate) fn stop(&self) {
        self.0.stop.store(true, SeqCst);
        self.0.ring();
        self.wake_own();
    }

    fn wake_own(&self) {
        if let Some(own) = &*lock(&self.0.own) {
            own.unpark();
        }
    }

    /// What the own thread does.
    fn rest(&self) {
        let shared = &*self.0;
        let (mut seen, mut watches) = (u64::MAX, 0);
        while !shared.stop.load(SeqCst) {
            let drives = shared.drives.load(SeqCst);
            if shared.driving.load(SeqCst) {
                watches += 1;
                if watches < WATCHES {
                    thread::park_timeout(LEASE);
                } else {
                    shared.dozing.store(true, SeqCst);
                    // Whoever drives sees it when it is done; or is done by now.
                    if shared.driving.load(SeqCst) && !shared.stop.load(SeqCst) {
                        thread::park();
                    }
                    shared.dozing.store(false, SeqCst);
                }
            } else if drives != seen {
                // Driven a moment ago: it may go on.
                seen = drives;
                watches = 0;
                thread::park_timeout(LEASE);
            } else {
                watches = 0;
                let mut tasks = lock(&shared.tasks);
                let current = Driving::new(&self.0);
                while shared.wanted.load(SeqCst) == 0 && !shared.stop.load(SeqCst) {
                    if self.0.turn(&mut tasks) {
                        shared.wait(None, true);
                    }
                }
                drop((current, tasks));
            }
        }
    }

    /// Drops all tasks, and whatever they hold.
    fn clear(&self) {
        self.0.over.store(true, SeqCst);
        let tasks = std::mem::take(&mut *lock(&self.0.tasks));
        let inbox = std::mem::take(&mut *lock(&self.0.inbox));
        drop((tasks, inbox));
        lock(&self.0.watches).clear();
        lock(&self.0.pauses).clear();
    }

    /// Wakes when the socket can be read, or written.
    pub(crate) fn watch(&self, socket: &Arc<TcpStream>, waker: &Waker, write: bool) {
        let mut watches = lock(&self.0.watches);
        let known = watches.iter().position(|watch| Arc::ptr_eq(&watch.socket, socket));
        let index = known.unwrap_or_else(|| {
            watches.push(Watch { socket: socket.clone(), read: None, write: None });
            watches.len() - 1
        });
        let watch = &mut watches[index];
        let side = if write { &mut watch.write } else { &mut watch.read };
        match side {
            Some(old) => old.clone_from(waker),
            None => *side = Some(waker.clone()),
        }
    }

    /// Has nothing come since somebody began to wait for it?
    pub(crate) fn is_watched(&self, socket: &Arc<TcpStream>) -> bool {
        let watches = lock(&self.0.watches);
        watches.iter().any(|watch| Arc::ptr_eq(&watch.socket, socket) && watch.read.is_some())
    }

    /// Nobody waits for the socket any more.
    pub(crate) fn forget(&self, socket: &Arc<TcpStream>) {
        lock(&self.0.watches).retain(|watch| !Arc::ptr_eq(&watch.socket, socket));
    }

    fn pause(&self, id: Option<u64>, by: Instant, waker: &Waker) -> u64 {
        let mut pauses = lock(&self.0.pauses);
        let id = id.unwrap_or_else(|| self.0.pause_ids.fetch_add(1, SeqCst));
        pauses.retain(|(other, ..)| *other != id);
        pauses.push((id, by, waker.clone()));
        id
    }
}

impl Shared {
    /// Wakes the driver if it sleeps.
    fn ring(&self) {
        if self.asleep.swap(false, SeqCst) {
            // A bell that is full rings.
            drop((&self.bell.0).write(&[1]));
        }
    }

    /// Polls tasks that are ready. False: there may be more.
    fn turn(self: &Arc<Self>, tasks: &mut Vec<Option<Spawned>>) -> bool {
        for _ in 0..TURN {
            for task in std::mem::take(&mut *lock(&self.inbox)) {
                let free = tasks.iter().position(Option::is_none);
                let index = free.unwrap_or(tasks.len());
                if free.is_none() {
                    tasks.push(None);
                }
                let queued = AtomicBool::new(true);
                let slot = Arc::new(Slot { index, queued, shared: self.clone() });
                lock(&self.ready).push_back(index);
                tasks[index] = Some(Spawned { task, waker: slot.clone().into(), slot });
            }
            let Some(index) = lock(&self.ready).pop_front() else { return true };
            let Some(Some(spawned)) = tasks.get_mut(index) else { continue };
            spawned.slot.queued.store(false, SeqCst);
            let mut context = Context::from_waker(&spawned.waker);
            // A task that panics ends, as it would in tokio: the party that waits does not.
            let polled =
                catch_unwind(AssertUnwindSafe(|| spawned.task.as_mut().poll(&mut context)));
            if !matches!(polled, Ok(Poll::Pending)) {
                tasks[index] = None;
            }
        }
        false
    }

    /// Sleeps until something is ready, or the time has come; the own thread also until another
    /// wants to drive.
    fn wait(&self, by: Option<Instant>, own: bool) {
        let pause = lock(&self.pauses).iter().map(|(_, by, _)| *by).min();
        let by = [by, pause].into_iter().flatten().min();
        self.asleep.store(true, SeqCst);
        let left = own && (self.wanted.load(SeqCst) > 0 || self.stop.load(SeqCst));
        let called = self.called.swap(false, SeqCst);
        if left || called || !lock(&self.ready).is_empty() || !lock(&self.inbox).is_empty() {
            self.asleep.store(false, SeqCst);
            return;
        }
        self.poll(by);
        if pause.is_some() {
            let now = Instant::now();
            let mut due = vec![];
            lock(&self.pauses).retain(|(_, by, waker)| {
                let later = *by > now;
                if !later {
                    due.push(waker.clone());
                }
                later
            });
            due.into_iter().for_each(Waker::wake);
        }
    }

    /// Polls the bell and all sockets.
    fn poll(&self, by: Option<Instant>) {
        let left = by.map(|by| by.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut watches = lock(&self.watches);
        let mut polled = Vec::with_capacity(1 + watches.len());
        polled.push(PollFd::new(&self.bell.1, PollFlags::IN));
        for watch in &*watches {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, watch.read.is_some());
            flags.set(PollFlags::OUT, watch.write.is_some());
            polled.push(PollFd::new(&*watch.socket, flags));
        }
        // An interrupted poll is one in which nothing happened.
        let happened = poll(&mut polled, left.as_ref()).is_ok();
        self.asleep.store(false, SeqCst);
        if !happened {
            return;
        }
        let happened: Vec<_> = polled.iter().map(PollFd::revents).collect();
        if !happened[0].is_empty() {
            let mut rings = [0; 64];
            while matches!((&self.bell.1).read(&mut rings), Ok(read) if read == rings.len()) {}
        }
        let mut woken = vec![];
        for (watch, flags) in watches.iter_mut().zip(&happened[1..]) {
            // Whatever is not about one side is about both: errors, the end.
            let other = !(PollFlags::IN | PollFlags::OUT).contains(*flags);
            if other || flags.contains(PollFlags::IN) {
                woken.extend(watch.read.take());
            }
            if other || flags.contains(PollFlags::OUT) {
                woken.extend(watch.write.take());
            }
        }
        drop(watches);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// A wait, here or in tokio's runtime, wherever it is polled.
pub(crate) struct Pause {
    by: Instant,
    here: Option<(Steered, u64)>,
    there: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Pause {
    pub(crate) fn until(by: Instant) -> Self {
        Self { by, here: None, there: None }
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.by <= Instant::now() {
            return Poll::Ready(());
        }
        if let Some(steered) = current() {
            let known = this.here.as_ref().map(|(_, id)| *id);
            let id = steered.pause(known, this.by, context.waker());
            this.here.get_or_insert((steered, id));
            this.there = None;
            return Poll::Pending;
        }
        let by = this.by.into();
        let sleep = this.there.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(by)));
        sleep.as_mut().poll(context)
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some((steered, id)) = &self.here {
            lock(&steered.0.pauses).retain(|(other, ..)| other != id);
        }
    }
}

/// HTTP/2's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock;

impl hyper::rt::Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Pause::until(deadline))
    }
}

impl hyper::rt::Sleep for Pause {}
