//! What the clouds and the dealer must agree on before the first step, and how they make sure.

use crate::error::{Error, Op, Result, Who};
use crate::link::Link;
use crate::prg::{Attempt, Party as Side};
use crate::wire::{self, Header, Kind, VERSION};
use std::time::{Duration, Instant};

/// What both clouds and the dealer must agree on before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The attempt, and in it the job.
    pub attempt: Attempt,
    /// Hash of the program's operations: [`Cost`](crate::Cost) knows it.
    pub program: [u8; 32],
}

/// Who greets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Cloud(Side),
    Dealer,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Cloud(Side::Zero) => "C0",
            Self::Cloud(Side::One) => "C1",
            Self::Dealer => "the dealer",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Cloud(side) => side as u8,
            Self::Dealer => 2,
        }
    }
}

const OP: Op = Op { step: 0, number: 0, name: "greeting" };

/// The parts of a greeting, and what it means if one differs.
const PARTS: [(std::ops::Range<usize>, &str); 4] = [
    (0..8, "they do not take the sides they should"),
    (8..40, "they run different jobs"),
    (40..72, "they are in different attempts: start a new one on both"),
    (72..104, "their programs differ in an operation: install the same release on both"),
];

impl Contract {
    /// What one says of oneself: role, job, nonces, program.
    fn greeting(&self, role: Role) -> Vec<u8> {
        let Self { attempt: Attempt { job, nonces: [nonce_0, nonce_1] }, program } = self;
        let role = [role.number(), 0, 0, 0, 0, 0, 0, 0];
        [&role[..], job, nonce_0, nonce_1, program].concat()
    }

    /// Says who one is and holds what the other says against it.
    pub(crate) fn greet(
        &self,
        link: &mut impl Link,
        who: &Who,
        mine: Role,
        theirs: Role,
        limit: Duration,
    ) -> Result<()> {
        let peer = theirs.name();
        let failed = |source| Error::Link { who: who.clone(), op: OP, peer, source };
        let words = wire::all_words(&self.greeting(mine));
        let header = Header::new(Kind::Hello, OP, 0, 0).piece(0, words.len());
        link.send(header.frame(&words)).map_err(failed)?;
        let frame = link.recv(Instant::now() + limit).map_err(failed)?;
        let different = |what, got: String, own: String| Error::Different {
            who: who.clone(),
            peer,
            what,
            theirs: got.into(),
            ours: own.into(),
        };
        if let Some(got) = Header::read(&frame).filter(|got| got.version != VERSION) {
            let (theirs, ours) = (format!("version {}", got.version), format!("version {VERSION}"));
            return Err(different("install the same release on both", theirs, ours));
        }
        let got = header.open(&frame).map_err(|got| Error::Frame {
            who: who.clone(),
            op: OP,
            peer,
            got: got.into(),
            expected: header.to_string().into(),
        })?;
        let expected = self.greeting(theirs);
        for (part, what) in PARTS {
            let (got, own) = (&got[part.clone()], &expected[part]);
            if got != own {
                return Err(different(what, beginning(got), beginning(own)));
            }
        }
        Ok(())
    }
}

/// The first bytes, in hexadecimal digits.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    let first = bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("{first:016x}")
}
