//! A link whose traffic and waiting somebody counts.

use bytes::Bytes;
use dyad_mpc::link::{Link, LinkError};
use std::time::Instant;

/// What happens on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame of so many bytes was taken for sending.
    Sent(usize),
    /// A frame of so many bytes came.
    Received(usize),
    /// The party begins to wait for the other, or ends.
    Waiting(bool),
}

/// Tells of all that happens on a link, on the thread it happens on.
#[derive(Debug)]
pub struct Watched<L, F> {
    link: L,
    tell: F,
}

impl<L: Link, F: Fn(Event) + Send> Watched<L, F> {
    /// Watches this one.
    pub fn new(link: L, tell: F) -> Self {
        Self { link, tell }
    }

    fn waiting<T>(&mut self, work: impl FnOnce(&mut L) -> T) -> T {
        (self.tell)(Event::Waiting(true));
        let done = work(&mut self.link);
        (self.tell)(Event::Waiting(false));
        done
    }
}

impl<L: Link, F: Fn(Event) + Send> Link for Watched<L, F> {
    fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        let length = frame.len();
        self.link.send(frame)?;
        (self.tell)(Event::Sent(length));
        Ok(())
    }

    fn recv(&mut self, by: Instant) -> Result<Bytes, LinkError> {
        let frame = self.waiting(|link| link.recv(by))?;
        (self.tell)(Event::Received(frame.len()));
        Ok(frame)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dyad_mpc::link::memory;
    use std::sync::Mutex;

    #[test]
    fn all_that_happens_is_told() {
        let (mut far, near) = memory::pair();
        let told = Mutex::new(Vec::new());
        let mut near = Watched::new(near, |event| told.lock().unwrap().push(event));
        near.send(Bytes::from_static(b"abc")).unwrap();
        far.send(Bytes::from_static(b"de")).unwrap();
        near.recv(Instant::now()).unwrap();
        assert!(near.recv(Instant::now()).is_err());
        let [wait, go] = [Event::Waiting(true), Event::Waiting(false)];
        let expected = [Event::Sent(3), wait, go, Event::Received(2), wait, go];
        assert_eq!(*told.lock().unwrap(), expected);
    }
}
