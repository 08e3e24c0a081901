//! A link over a TCP socket: frames with their length before them (4 bytes, little-endian). For
//! benchmarks and tests on one machine; it is neither encrypted nor authenticated.
//!
//! A thread of its own takes in what comes, so that two parties that both send large frames at once
//! do not wait for each other for ever.

use super::memory::receive;
use super::{Link, LinkError, MAX_FRAME, check_length};
use bytes::Bytes;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// Frames that wait here to be taken; then the peer has to wait.
const WAITING_FRAMES: usize = 64;

/// A peer that takes nothing for so long is late.
const SEND_LIMIT: Duration = Duration::from_mins(1);

/// One end.
pub struct TcpLink {
    socket: TcpStream,
    frames: Receiver<Bytes>,
    /// Why the reading ended, if not because the peer hung up.
    failure: Receiver<LinkError>,
    reader: Option<JoinHandle<()>>,
}

impl TcpLink {
    /// Takes over a connected socket.
    pub fn new(socket: TcpStream) -> Result<Self, LinkError> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(SEND_LIMIT))?;
        let (frames_in, frames) = sync_channel(WAITING_FRAMES);
        let (failure_in, failure) = channel();
        let mut source = BufReader::with_capacity(1 << 16, socket.try_clone()?);
        let reader = spawn(move || {
            if let Err(error) = read_frames(&mut source, &frames_in) {
                // Nobody listens any more if the link was dropped: then nobody wants to know.
                drop(failure_in.send(error));
            }
        });
        Ok(Self { socket, frames, failure, reader: Some(reader) })
    }
}

/// Reads until the peer hangs up between two frames (fine), or something fails.
fn read_frames(source: &mut impl Read, frames: &SyncSender<Bytes>) -> Result<(), LinkError> {
    loop {
        let mut length = [0; 4];
        match source.read(&mut length[..1])? {
            0 => return Ok(()),
            _ => source.read_exact(&mut length[1..])?,
        }
        let length = u32::from_le_bytes(length) as usize;
        check_length(length)?;
        // Grows as bytes come, so that a length alone costs the peer's bytes, not our memory.
        let mut frame = Vec::with_capacity(length.min(2 << 20));
        source.take(length as u64).read_to_end(&mut frame)?;
        if frame.len() < length {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if frames.send(frame.into()).is_err() {
            return Ok(());
        }
    }
}

impl Link for TcpLink {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        check_length(frame.len())?;
        let length = (frame.len() as u32).to_le_bytes();
        let socket = &mut self.socket;
        socket.write_all(&length).and_then(|()| socket.write_all(&frame)).map_err(|error| {
            match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => LinkError::Late(SEND_LIMIT),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => LinkError::Closed,
                _ => error.into(),
            }
        })
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        receive(&self.frames, by).map_err(|error| match (error, self.failure.try_recv()) {
            (LinkError::Closed, Ok(failure)) => failure,
            (error, Ok(_) | Err(TryRecvError::Empty | TryRecvError::Disconnected)) => error,
        })
    }
}

impl Drop for TcpLink {
    fn drop(&mut self) {
        // The reader wakes from its read, or from waiting for room when the receiver goes; it is
        // not worth waiting for.
        drop(self.socket.shutdown(Shutdown::Both));
        drop(self.reader.take());
    }
}

const _: () = assert!(MAX_FRAME <= u32::MAX as usize);
