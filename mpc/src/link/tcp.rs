//! A link over a TCP socket: frames with their length before them (4 bytes, little-endian). For
//! benchmarks and tests on one machine; it is neither encrypted nor authenticated.
//!
//! The socket does not block. Where it takes nothing more, what has come in is taken first, so that
//! two parties that both send large frames at once do not wait for each other for ever; and no
//! thread stands between the socket and the party.

use super::{Link, LinkError, MAX_FRAME, WAITING_BYTES, WAITING_FRAMES, after, check_length};
use crate::LIMIT;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Bytes a second that a peer must take at least: 1 Mbit/s.
const SLOWEST: u32 = 1 << 17;

/// One end.
pub struct TcpLink {
    socket: TcpStream,
    frames: VecDeque<Bytes>,
    /// Bytes in `frames`.
    waiting: usize,
    partial: Partial,
    /// Nothing more comes, and why.
    ended: Option<LinkError>,
    limit: Duration,
    pub(super) slowest: u32,
}

/// A frame that has come in part.
#[derive(Default)]
struct Partial {
    length: [u8; 4],
    length_has: usize,
    frame: Vec<u8>,
    frame_has: usize,
}

impl TcpLink {
    /// Takes over a connected socket.
    pub fn new(socket: TcpStream) -> Result<Self, LinkError> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            frames: VecDeque::new(),
            waiting: 0,
            partial: Partial::default(),
            ended: None,
            limit: LIMIT,
            slowest: SLOWEST,
        })
    }

    /// A peer that takes a frame more slowly than 1 Mbit/s is late this long after.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How long a peer may take for a frame.
    fn allowed(&self, bytes: usize) -> Duration {
        self.limit.saturating_add(Duration::from_secs(bytes as u64) / self.slowest.max(1))
    }

    fn has_room(&self) -> bool {
        self.ended.is_none()
            && self.frames.len() < WAITING_FRAMES
            && self.waiting + MAX_FRAME <= WAITING_BYTES
    }

    /// Takes what has come, until there is no more, or enough frames wait.
    fn take(&mut self) {
        while self.has_room() {
            match self.partial.read(&mut self.socket) {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    self.waiting += frame.len();
                    self.frames.push_back(frame);
                }
                Err(LinkError::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(LinkError::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.ended = Some(error),
            }
        }
    }

    /// Waits until the socket is ready for one of these, or the time has come.
    fn wait(&self, flags: PollFlags, by: Instant) -> Result<PollFlags, LinkError> {
        let left = by.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut polled = [PollFd::new(&self.socket, flags)];
        match poll(&mut polled, Some(&left)) {
            Ok(_) => Ok(polled[0].revents()),
            Err(rustix::io::Errno::INTR) => Ok(PollFlags::empty()),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }
}

impl Partial {
    /// One read. A whole frame, if that was its last part.
    fn read(&mut self, source: &mut impl Read) -> Result<Option<Bytes>, LinkError> {
        if self.length_has < self.length.len() {
            match source.read(&mut self.length[self.length_has..])? {
                0 if self.length_has == 0 => return Err(LinkError::Closed),
                0 => return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
                read => self.length_has += read,
            }
            if self.length_has < self.length.len() {
                return Ok(None);
            }
        }
        let length = u32::from_le_bytes(self.length) as usize;
        check_length(length)?;
        if self.frame_has < length {
            // A length alone costs no more than a frame may have.
            self.frame.resize(length, 0);
            match source.read(&mut self.frame[self.frame_has..])? {
                0 => return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
                read => self.frame_has += read,
            }
        }
        if self.frame_has < length {
            return Ok(None);
        }
        Ok(Some(std::mem::take(self).frame.into()))
    }
}

/// The frames in what a socket would give, and why there are no more: for tests of the decoding.
#[cfg(any(test, feature = "testkit"))]
pub fn frames(mut source: impl Read) -> (Vec<Bytes>, LinkError) {
    let (mut frames, mut partial) = (Vec::new(), Partial::default());
    loop {
        match partial.read(&mut source) {
            Ok(frame) => frames.extend(frame),
            Err(error) => return (frames, error),
        }
    }
}

impl Link for TcpLink {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        check_length(frame.len())?;
        let length = (frame.len() as u32).to_le_bytes();
        let all = length.len() + frame.len();
        // One deadline for all of the frame: a peer that takes a byte now and then moves nothing.
        let allowed = self.allowed(all);
        let (mut sent, by) = (0, after(allowed));
        while sent < all {
            let parts =
                [&length[sent.min(length.len())..], &frame[sent.saturating_sub(length.len())..]];
            match self.socket.write_vectored(&parts.map(IoSlice::new)) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(written) => {
                    sent += written;
                    if sent < all && Instant::now() >= by {
                        return Err(LinkError::Late(allowed));
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                        return Err(LinkError::Closed);
                    }
                    ErrorKind::WouldBlock if Instant::now() >= by => {
                        return Err(LinkError::Late(allowed));
                    }
                    ErrorKind::WouldBlock => {
                        // Nothing more is taken in once enough waits, or the peer has hung up.
                        let input =
                            if self.has_room() { PollFlags::IN } else { PollFlags::empty() };
                        if self.wait(PollFlags::OUT | input, by)?.contains(PollFlags::IN) {
                            self.take();
                        }
                    }
                    _ => return Err(error.into()),
                },
            }
        }
        Ok(())
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let start = Instant::now();
        loop {
            if let Some(frame) = self.frames.pop_front() {
                self.waiting -= frame.len();
                return Ok(frame);
            }
            match &self.ended {
                None => {}
                // Why it failed is said once; from then on it is closed.
                Some(LinkError::Closed) => return Err(LinkError::Closed),
                Some(_) => {
                    return Err(self.ended.replace(LinkError::Closed).unwrap_or(LinkError::Closed));
                }
            }
            self.take();
            if self.frames.is_empty() && self.ended.is_none() {
                self.wait(PollFlags::IN, by)?;
                if Instant::now() >= by {
                    self.take();
                    if self.frames.is_empty() && self.ended.is_none() {
                        return Err(LinkError::Late(by.saturating_duration_since(start)));
                    }
                }
            }
        }
    }
}

impl Drop for TcpLink {
    fn drop(&mut self) {
        // The peer learns at once; if it is gone already, nobody is left to be told.
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

const _: () = assert!(MAX_FRAME <= u32::MAX as usize);
