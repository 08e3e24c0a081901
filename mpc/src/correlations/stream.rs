//! Correlations over a link between the dealer and C1.

use super::{Correlations, Sink};
use crate::contract::{Contract, Role};
use crate::error::{Error, Op, Result, Who};
use crate::link::{Link, LinkError};
use crate::prg::Party;
use crate::wire::{self, HEADER, Header, Kind, piece_words, pieces};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// C1's end.
pub struct LinkSource {
    link: Box<dyn Link>,
    who: Who,
    limit: Duration,
    ahead: u64,
}

impl LinkSource {
    /// Grants the dealer `ahead` steps; waits for it at most `limit` at a time.
    #[must_use]
    pub fn new(link: Box<dyn Link>, job: &[u8; 32], ahead: u64, limit: Duration) -> Self {
        Self { link, who: Who::new("C1", job), limit, ahead }
    }

    fn failed(&self, op: Op, source: LinkError) -> Error {
        Error::Link { who: self.who.clone(), op, peer: "the dealer", source }
    }
}

impl Correlations for LinkSource {
    fn greet(&mut self, contract: &Contract) -> Result<()> {
        let (mine, theirs) = (Role::Cloud(Party::One), Role::Dealer);
        contract.greet(&mut self.link, &self.who, mine, theirs, self.limit)
    }

    fn step(&mut self, op: Op) -> Result<()> {
        let upto = op.step.saturating_add(self.ahead);
        let credit = Header::new(Kind::Credit, op, 0, 0).piece(0, 1).frame(&[upto]);
        // A dealer that has dealt all is gone and needs no credit; one that died is noticed when
        // what it owes does not come.
        drop(self.link.send(credit));
        Ok(())
    }

    fn take(&mut self, op: Op, shape: u32, words: usize) -> Result<Vec<Bytes>> {
        let header = Header::new(Kind::Dealt, op, shape, 0);
        let mut one = |piece| {
            let by = Instant::now() + self.limit;
            let frame = self.link.recv(by);
            let frame = frame.map_err(|source| self.failed(op, source))?;
            let expected = header.piece(piece, piece_words(words, piece));
            expected.open(&frame).map_err(|got| Error::Frame {
                who: self.who.clone(),
                op,
                peer: "the dealer",
                got: got.into(),
                expected: expected.to_string().into(),
            })
        };
        (0..pieces(words)).map(&mut one).collect()
    }
}

/// The dealer's end.
pub struct LinkSink {
    link: Box<dyn Link>,
    who: Who,
    limit: Duration,
    /// Steps below this may be dealt.
    granted: Option<u64>,
    bytes: u64,
}

impl LinkSink {
    /// Waits for C1 at most `limit` at a time.
    #[must_use]
    pub fn new(link: Box<dyn Link>, job: &[u8; 32], limit: Duration) -> Self {
        Self { link, who: Who::new("dealer", job), limit, granted: None, bytes: 0 }
    }

    fn failed(&self, op: Op, source: LinkError) -> Error {
        Error::Link { who: self.who.clone(), op, peer: "C1", source }
    }
}

impl Sink for LinkSink {
    fn greet(&mut self, contract: &Contract) -> Result<()> {
        let (mine, theirs) = (Role::Dealer, Role::Cloud(Party::One));
        contract.greet(&mut self.link, &self.who, mine, theirs, self.limit)
    }

    fn step(&mut self, op: Op) -> Result<()> {
        while self.granted.is_none_or(|upto| op.step > upto) {
            let by = Instant::now() + self.limit;
            let frame = self.link.recv(by).map_err(|source| self.failed(op, source))?;
            let credit = Header::read(&frame)
                .filter(|header| header.kind == Kind::Credit as u8 && header.words == 1)
                .filter(|header| header.open(&frame).is_ok());
            let Some(credit) = credit else {
                return Err(Error::Frame {
                    who: self.who.clone(),
                    op,
                    peer: "C1",
                    got: Header::read(&frame).map_or("no frame".into(), |h| h.to_string().into()),
                    expected: "a credit".into(),
                });
            };
            let mut upto = [0];
            wire::words(&frame[HEADER..], 0, &mut upto);
            // Never less than was granted before, and never beyond what the step allows.
            self.granted = self.granted.max(Some(upto[0].max(credit.step)));
        }
        Ok(())
    }

    fn put(&mut self, op: Op, frame: Bytes) -> Result<()> {
        self.bytes += frame.len() as u64;
        self.link.send(frame).map_err(|source| self.failed(op, source))
    }

    /// Waits until C1 hangs up, so that nothing it has not read yet is lost.
    fn finish(&mut self) -> Result<()> {
        while self.link.recv(Instant::now() + self.limit).is_ok() {}
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}
