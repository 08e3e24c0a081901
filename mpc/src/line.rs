//! A link between the two clouds, and who speaks over it: what both engines of the clouds and the
//! transfers send and receive goes through here, in pieces, each frame named and checked.

use crate::contract::{Contract, Role};
use crate::error::{Error, Op, Result, Who};
use crate::link::{Link, LinkError, Metered, Traffic, after};
use crate::prg::{Attempt, Party as Side};
use crate::transfer::Refused;
use crate::wire::{self, Header, Kind, PIECE, WINDOW, piece_words, pieces};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// One end of the link between the clouds.
pub struct Line {
    side: Side,
    attempt: Attempt,
    who: Who,
    link: Metered<Box<dyn Link>>,
    limit: Duration,
    /// Names the next message of transfers: where the attempt has its numbers begin, and one more
    /// for each, so that none is taken twice, or in another attempt.
    next: u32,
}

/// Where the numbers of an attempt's messages of transfers begin.
fn first_of(Attempt { job, nonces: [nonce_0, nonce_1] }: &Attempt) -> u32 {
    let mut hash = Sha256::new();
    hash.update(b"dyad-mpc messages of transfers v1");
    for part in [&job[..], nonce_0, nonce_1] {
        hash.update(part);
    }
    let digest = hash.finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

impl Line {
    /// This side's end, for an attempt at a job.
    #[must_use]
    pub fn new(side: Side, attempt: &Attempt, link: Box<dyn Link>) -> Self {
        let name = if side == Side::Zero { "C0" } else { "C1" };
        let (who, link) = (Who::new(name, &attempt.job), Metered::new(link));
        Self { side, attempt: *attempt, who, link, limit: crate::LIMIT, next: first_of(attempt) }
    }

    /// Waits for the other at most this long at a time.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// What went over it so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    /// Whose end this is.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.side
    }

    pub(crate) const fn who(&self) -> &Who {
        &self.who
    }

    /// What runs over it.
    pub(crate) const fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Holds what both agreed on against what the other says of itself.
    pub(crate) fn greet(&mut self, contract: &Contract, offline: bool) -> Result<()> {
        self.greet_as(contract, offline, Role::Cloud)
    }

    /// The same, of clouds that compute on ciphertexts.
    pub(crate) fn greet_on_ciphertexts(&mut self, contract: &Contract) -> Result<()> {
        self.greet_as(contract, false, Role::OnCiphertexts)
    }

    fn greet_as(
        &mut self,
        contract: &Contract,
        offline: bool,
        role: fn(Side) -> Role,
    ) -> Result<()> {
        let (mine, theirs) = (role(self.side), role(self.side.peer()));
        contract.greet(&mut self.link, &self.who, mine, theirs, offline, self.limit)
    }

    pub(crate) const fn peer(&self) -> &'static str {
        match self.side {
            Side::Zero => "C1",
            Side::One => "C0",
        }
    }

    fn send(&mut self, op: Op, frame: Bytes) -> Result<()> {
        let sent = self.link.send(frame);
        sent.map_err(|source| self.failed(op, source))
    }

    fn recv(&mut self, op: Op) -> Result<Bytes> {
        let frame = self.link.recv(after(self.limit));
        frame.map_err(|source| self.failed(op, source))
    }

    fn failed(&self, op: Op, source: LinkError) -> Error {
        Error::Link { who: self.who.clone(), op, peer: self.peer(), source }
    }

    pub(crate) fn send_piece(
        &mut self,
        op: Op,
        header: Header,
        words: &[u64],
        piece: usize,
    ) -> Result<()> {
        let part = &words[piece * PIECE..words.len().min((piece + 1) * PIECE)];
        self.send(op, header.from(self.side).piece(piece, part.len()).frame(part))
    }

    /// The words of a piece of what the other sends, little-endian.
    pub(crate) fn recv_piece(
        &mut self,
        op: Op,
        header: Header,
        piece: usize,
        words: usize,
    ) -> Result<Bytes> {
        let expected = header.from(self.side.peer()).piece(piece, piece_words(words, piece));
        let frame = self.recv(op)?;
        let opened = expected.open(&frame);
        opened.map_err(|got| Error::frame(&self.who, op, self.peer(), got, expected))
    }

    /// Sends words and gives what the other sent: one round, or some more where they are many.
    pub(crate) fn exchange(
        &mut self,
        op: Op,
        shape: u32,
        round: usize,
        words: &[u64],
    ) -> Result<Vec<u64>> {
        let header = Header::new(Kind::Opening, op, shape, round as u8);
        let mut theirs = Vec::with_capacity(words.len());
        let mut mine = words;
        self.exchange_pieces(op, header, &mut mine, |_, _, piece| {
            wire::append(piece, &mut theirs);
        })?;
        Ok(theirs)
    }

    /// The same, taking each piece (from this word on) as it comes. What has come may be entered in
    /// what is sent: it has been sent by then.
    pub(crate) fn exchange_pieces<W: AsRef<[u64]>>(
        &mut self,
        op: Op,
        header: Header,
        words: &mut W,
        take: impl FnMut(&mut W, usize, &[u8]),
    ) -> Result<()> {
        let count = pieces(words.as_ref().len());
        self.cross(op, header, words, [count; 2], words.as_ref().len(), take)
    }

    /// Sends so many pieces, and takes so many of `theirs` words. A window ahead, so that the line
    /// is never idle and neither side has to hold many.
    fn cross<W: AsRef<[u64]>>(
        &mut self,
        op: Op,
        header: Header,
        words: &mut W,
        [sent, taken]: [usize; 2],
        theirs: usize,
        mut take: impl FnMut(&mut W, usize, &[u8]),
    ) -> Result<()> {
        // Who takes nothing has nothing to wait for.
        let ahead = if taken == 0 { sent } else { sent.min(WINDOW) };
        for piece in 0..ahead {
            self.send_piece(op, header, words.as_ref(), piece)?;
        }
        for piece in 0..taken.max(sent.saturating_sub(ahead)) {
            if piece < taken {
                let part = self.recv_piece(op, header, piece, theirs)?;
                take(words, piece * PIECE, &part);
            }
            if piece + ahead < sent {
                self.send_piece(op, header, words.as_ref(), piece + ahead)?;
            }
        }
        Ok(())
    }

    /// The other sent what cannot be, though its frame fits.
    pub(crate) fn bad(&self, op: Op, got: &Refused) -> Error {
        Error::frame(&self.who, op, self.peer(), got.to_string(), "a message of transfers")
    }

    /// A message of a transfer each way, of so many words; one of none is not sent. One round, or
    /// half of one if it goes one way only.
    pub(crate) fn swap(&mut self, op: Op, mine: &[u64], theirs: usize) -> Result<Vec<u64>> {
        // Numbers wrap after 2^32 messages; a step and an operation stand beside them.
        let header = Header::new(Kind::Transfer, op, self.next, 0);
        self.next = self.next.wrapping_add(1);
        let count = |words: usize| if words == 0 { 0 } else { pieces(words) };
        let mut taken = Vec::with_capacity(theirs);
        let (counts, mut mine) = ([count(mine.len()), count(theirs)], mine);
        self.cross(op, header, &mut mine, counts, theirs, |_, _, piece| {
            wire::append(piece, &mut taken);
        })?;
        Ok(taken)
    }
}
