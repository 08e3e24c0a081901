//! Connections that move from tokio's runtime to a loop that a link's own thread drives: see
//! [`steer`](crate::steer).
//!
//! Only after it has accepted a connection does a server learn that it carries a link, and which.
//! Then the connection's tasks and its socket move.

use crate::steer::{self, Steered, Task};
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream as StdStream;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Where a connection's tasks run: in tokio's runtime, until they are called elsewhere, once.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<OnceLock<Steered>>);

impl Home {
    /// For a connection that belongs there from the start.
    pub(crate) fn at(steered: Steered) -> Self {
        let home = Self::default();
        home.call_to(steered);
        home
    }

    /// Was it called?
    pub(super) fn is_called(&self) -> bool {
        self.0.get().is_some()
    }

    /// Calls all tasks of the connection there; each comes when it is next woken.
    pub(crate) fn call_to(&self, steered: Steered) {
        // A second call changes nothing: two links on one connection stay together.
        drop(self.0.set(steered));
    }
}

/// A task that moves when it is called.
pub(super) struct Movable {
    task: Option<Task>,
    home: Home,
}

impl Movable {
    pub(super) fn new(task: impl Future<Output = ()> + Send + 'static, home: Home) -> Self {
        Self { task: Some(Box::pin(task)), home }
    }
}

impl Future for Movable {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { task, home } = &mut *self;
        let Some(running) = task else { return Poll::Ready(()) };
        if let Some(steered) = home.0.get() {
            if let Some(task) = task.take() {
                steered.spawn(task);
            }
            return Poll::Ready(());
        }
        running.as_mut().poll(context)
    }
}

/// Spawns what HTTP/2 needs spawned, such that it moves along.
#[derive(Clone)]
pub(crate) struct Executor(pub(crate) Home);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        let task = async {
            future.await;
        };
        match self.0.0.get() {
            Some(steered) => steered.spawn(task),
            None => drop(tokio::spawn(Movable::new(task, self.0.clone()))),
        }
    }
}

/// What a loop reads from a socket at a time: TLS itself reads 4 KiB.
const READ: usize = 64 << 10;

/// A socket that moves along: whichever loop polls it watches it from then on.
pub(crate) enum Socket {
    Tokio(TcpStream),
    Steered(Watched),
    /// Moving it failed.
    Lost,
}

/// A socket of a loop.
pub(crate) struct Watched {
    socket: Arc<StdStream>,
    steered: Steered,
    /// What was read and not yet asked for.
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    reading: Reading,
}

/// What is known of a socket's input. A loop's poll goes by levels: what comes between a read and
/// the next poll is not missed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// There may be some.
    Open,
    /// The last read took all there was.
    Drained,
    /// The loop watches for more.
    Watched,
}

impl Socket {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self::Tokio(socket)
    }

    /// If it has not moved.
    pub(super) fn into_tokio(self) -> Option<TcpStream> {
        match self {
            Self::Tokio(socket) => Some(socket),
            _ => None,
        }
    }

    /// Moves, if it must.
    fn settle(&mut self) -> io::Result<()> {
        if let Self::Tokio(_) = self
            && let Some(steered) = steer::current()
            && let Self::Tokio(socket) = std::mem::replace(self, Self::Lost)
        {
            let socket = Arc::new(socket.into_std()?);
            let buffer = vec![0; READ].into();
            let (from, to, reading) = (0, 0, Reading::Open);
            *self = Self::Steered(Watched { socket, steered, buffer, from, to, reading });
        }
        Ok(())
    }
}

fn lost<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(ErrorKind::NotConnected.into()))
}

impl Watched {
    fn poll_read(&mut self, waker: &Waker, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.from == self.to {
            let quiet = match self.reading {
                Reading::Open => false,
                Reading::Drained => true,
                Reading::Watched => self.steered.is_watched(&self.socket),
            };
            if quiet {
                self.reading = Reading::Watched;
                self.steered.watch(&self.socket, waker, false);
                return Poll::Pending;
            }
            self.reading = Reading::Watched;
            let read = ready!(self.attempt(waker, false, |socket, buffer| socket.read(buffer)))?;
            (self.from, self.to) = (0, read);
            let all = read > 0 && read < self.buffer.len();
            self.reading = if all { Reading::Drained } else { Reading::Open };
        }
        let some = out.remaining().min(self.to - self.from);
        out.put_slice(&self.buffer[self.from..self.from + some]);
        self.from += some;
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, waker: &Waker, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.attempt(waker, true, |socket, _| socket.write_vectored(parts))
    }

    fn attempt<T>(
        &mut self,
        waker: &Waker,
        write: bool,
        mut act: impl FnMut(&mut &StdStream, &mut [u8]) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match act(&mut &*self.socket, &mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.steered.watch(&self.socket, waker, write);
                    return Poll::Pending;
                }
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.steered.forget(&self.socket);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.settle()?;
        match this {
            Self::Tokio(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Steered(watched) => watched.poll_read(context.waker(), buffer),
            Self::Lost => lost(),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.settle()?;
        match this {
            Self::Tokio(socket) => Pin::new(socket).poll_write_vectored(context, buffers),
            Self::Steered(watched) => watched.poll_write(context.waker(), buffers),
            Self::Lost => lost(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets keep nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tokio(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Steered(watched) => {
                Poll::Ready(watched.socket.shutdown(std::net::Shutdown::Write))
            }
            Self::Lost => lost(),
        }
    }
}
