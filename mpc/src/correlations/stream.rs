//! Correlations over a link between the dealer and C1.

use super::{Correlations, Sink, told};
use crate::contract::{Contract, Role, same_trace};
use crate::error::{Error, Op, Result, Who};
use crate::link::{Link, LinkError, after};
use crate::prg::Party;
use crate::wire::{self, Header, Kind, piece_words, pieces};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// C1's end.
pub struct LinkSource {
    link: Box<dyn Link>,
    who: Who,
    limit: Duration,
    ahead: u64,
    /// Up to and including this step.
    granted: Option<u64>,
}

impl LinkSource {
    /// Grants the dealer `ahead` steps; waits for it at most `limit` at a time.
    #[must_use]
    pub fn new(link: Box<dyn Link>, job: &[u8; 32], ahead: u64, limit: Duration) -> Self {
        Self { link, who: Who::new("C1", job), limit, ahead, granted: None }
    }

    fn failed(&self, op: Op, source: LinkError) -> Error {
        Error::Link { who: self.who.clone(), op, peer: "the dealer", source }
    }

    /// The next frame, which is this one.
    fn frame(&mut self, op: Op, expected: Header) -> Result<Bytes> {
        let frame = self.link.recv(after(self.limit));
        let frame = frame.map_err(|source| self.failed(op, source))?;
        let opened = expected.open(&frame);
        opened.map_err(|got| Error::frame(&self.who, op, "the dealer", got, expected))
    }
}

impl Correlations for LinkSource {
    fn greet(&mut self, contract: &Contract) -> Result<()> {
        let (mine, theirs) = (Role::Cloud(Party::One), Role::Dealer);
        contract.greet(&mut self.link, &self.who, mine, theirs, false, self.limit)
    }

    fn step(&mut self, op: Op) -> Result<()> {
        let upto = op.step.saturating_add(self.ahead);
        if self.granted.is_some_and(|granted| upto <= granted) {
            return Ok(());
        }
        self.granted = Some(upto);
        let credit = Header::new(Kind::Credit, op, 0, 0).piece(0, 1).frame(&[upto]);
        // A dealer that has dealt all is gone and needs no credit; one that died is noticed when
        // what it owes does not come.
        drop(self.link.send(credit));
        Ok(())
    }

    fn take(&mut self, op: Op, shape: u32, words: usize) -> Result<Vec<Bytes>> {
        let header = Header::new(Kind::Dealt, op, shape, 0);
        let one = |piece| self.frame(op, header.piece(piece, piece_words(words, piece)));
        (0..pieces(words)).map(one).collect()
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        let (header, mine) = told(op, &trace);
        // As with a credit; and first, so that the dealer hears of it whatever comes of it here.
        drop(self.link.send(header.frame(&mine)));
        let theirs = wire::all_words(&self.frame(op, header)?);
        same_trace(&self.who, op, "the dealer", &theirs, &mine)
    }
}

/// The dealer's end.
pub struct LinkSink {
    link: Box<dyn Link>,
    who: Who,
    limit: Duration,
    /// Steps up to and including this one may be dealt.
    granted: Option<u64>,
    /// Steps dealt that C1, as far as it has said, has not begun.
    owed: VecDeque<u64>,
    /// What C1 was told, and has not yet told of itself.
    told: VecDeque<(Op, [u8; 32])>,
    bytes: u64,
}

impl LinkSink {
    /// Waits for C1 at most `limit` at a time.
    #[must_use]
    pub fn new(link: Box<dyn Link>, job: &[u8; 32], limit: Duration) -> Self {
        Self {
            link,
            who: Who::new("dealer", job),
            limit,
            granted: None,
            owed: VecDeque::new(),
            told: VecDeque::new(),
            bytes: 0,
        }
    }

    fn failed(&self, op: Op, source: LinkError) -> Error {
        Error::Link { who: self.who.clone(), op, peer: "C1", source }
    }

    /// Takes what C1 says: a credit, or its trace.
    fn listen(&mut self, op: Op, by: Instant) -> Result<()> {
        let frame = self.link.recv(by).map_err(|source| self.failed(op, source))?;
        match Header::read(&frame) {
            Some(header) if header.kind == Kind::Trace as u8 => self.compare(op, &frame),
            _ => self.credit(op, &frame),
        }
    }

    /// Takes C1's trace: it did what was dealt for, up to where it was told the dealer's.
    fn compare(&mut self, op: Op, frame: &Bytes) -> Result<()> {
        let refused = |op, got, expected: &dyn std::fmt::Display| {
            Error::frame(&self.who, op, "C1", got, expected)
        };
        let Some((at, trace)) = self.told.pop_front() else {
            let got = "a trace where none is due".to_owned();
            return Err(refused(op, got, &"a credit for further steps"));
        };
        let (header, mine) = told(at, &trace);
        let theirs = header.open(frame).map_err(|got| refused(at, got, &header))?;
        same_trace(&self.who, at, "C1", &wire::all_words(&theirs), &mine)
    }

    /// Takes a credit. Each must grant more than the one before, so that C1 cannot keep the dealer
    /// busy with frames that say nothing.
    fn credit(&mut self, op: Op, frame: &Bytes) -> Result<()> {
        let refused =
            |got: String| Error::frame(&self.who, op, "C1", got, "a credit for further steps");
        let header = Header::read(frame).ok_or_else(|| refused("no frame".into()))?;
        let expected = Header::new(Kind::Credit, Op { step: header.step, ..op }, 0, 0).piece(0, 1);
        let expected = Header { operation: 0, ..expected };
        let payload = expected.open(frame).map_err(refused)?;
        let mut upto = [0];
        wire::words(&payload, 0, &mut upto);
        if self.granted.is_some_and(|granted| upto[0] <= granted) {
            return Err(refused(format!("a credit up to step {}, again", upto[0])));
        }
        self.granted = Some(upto[0]);
        while self.owed.front().is_some_and(|step| *step <= header.step) {
            self.owed.pop_front();
        }
        Ok(())
    }
}

impl Sink for LinkSink {
    fn greet(&mut self, contract: &Contract) -> Result<()> {
        let (mine, theirs) = (Role::Dealer, Role::Cloud(Party::One));
        contract.greet(&mut self.link, &self.who, mine, theirs, false, self.limit)
    }

    fn step(&mut self, op: Op) -> Result<()> {
        // One deadline: whatever C1 sends meanwhile does not move it.
        let by = after(self.limit);
        while self.granted.is_none_or(|upto| op.step > upto) {
            self.listen(op, by)?;
        }
        self.owed.push_back(op.step);
        Ok(())
    }

    fn put(&mut self, op: Op, frame: Bytes) -> Result<()> {
        self.bytes += frame.len() as u64;
        self.link.send(frame).map_err(|source| self.failed(op, source))
    }

    fn agree(&mut self, op: Op, trace: [u8; 32]) -> Result<()> {
        let (header, words) = told(op, &trace);
        self.told.push_back((op, trace));
        self.put(op, header.frame(&words))
    }

    /// Waits until C1 hangs up, so that nothing it has not read yet is lost: as long as it may take
    /// for the steps it has not begun and the rest of the one it is at, and no longer.
    fn finish(&mut self) -> Result<()> {
        let steps = u32::try_from(self.owed.len()).unwrap_or(u32::MAX).saturating_add(1);
        let by = after(self.limit.saturating_mul(steps));
        let step = self.owed.back().copied().unwrap_or(0);
        let op = Op { step, number: 0, name: "finish" };
        loop {
            match self.listen(op, by) {
                Ok(()) => {}
                Err(Error::Link { source: LinkError::Closed, .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}
