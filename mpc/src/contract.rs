//! What the clouds and the dealer must agree on before the first step, and how they make sure.

use crate::error::{Error, Op, Result, Who};
use crate::link::{Link, after};
use crate::prg::{Attempt, Party as Side, Seed};
use crate::wire::{self, Header, Kind, VERSION};
use std::time::Duration;

/// What both clouds and the dealer must agree on before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The attempt, and in it the job.
    pub attempt: Attempt,
    /// Hash of the program's operations: [`Cost`](crate::Cost) knows it.
    pub program: [u8; 32],
    /// Which seeds C0 and C1 were dealt: their check values ([`Seed::check`]).
    pub seeds: [[u8; 16]; 2],
}

/// Who greets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A cloud that computes on shares.
    Cloud(Side),
    OnCiphertexts(Side),
    Dealer,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Cloud(Side::Zero) | Self::OnCiphertexts(Side::Zero) => "C0",
            Self::Cloud(Side::One) | Self::OnCiphertexts(Side::One) => "C1",
            Self::Dealer => "the dealer",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Cloud(side) | Self::OnCiphertexts(side) => side as u8,
            Self::Dealer => 2,
        }
    }

    /// Which engine runs at it.
    const fn engine(self) -> u8 {
        matches!(self, Self::OnCiphertexts(_)) as u8
    }
}

const OP: Op = Op { step: 0, number: 0, name: "greeting" };

/// The parts of a greeting, and what it means if one differs.
const PARTS: [(std::ops::Range<usize>, &str); 10] = [
    (0..1, "they do not take the sides they should"),
    (3..4, "one computes on shares, the other on ciphertexts: give both the same engine"),
    (2..3, "one is dealt randomness, the other makes it: give both the same source"),
    (1..2, "one takes correlations from a file, the other marks no attempt as used"),
    (4..8, "one says what the other does not know: install the same release on both"),
    (8..40, "they run different jobs"),
    (40..72, "they are in different attempts: start a new one on both"),
    (72..104, "their programs differ in an operation: install the same release on both"),
    (104..120, "the seed of C0 is not the one the dealer deals with: have it sent anew"),
    (120..136, "the seed of C1 is not the one the dealer deals with: have it sent anew"),
];

impl Contract {
    /// Of these two clouds' seeds.
    #[must_use]
    pub fn new(attempt: Attempt, program: [u8; 32], seeds: [&Seed; 2]) -> Self {
        Self { attempt, program, seeds: seeds.map(Seed::check) }
    }

    /// Of two clouds without a dealer: neither knows, nor may know, the other's seed.
    #[must_use]
    pub const fn pairwise(attempt: Attempt, program: [u8; 32]) -> Self {
        Self { attempt, program, seeds: [[0; 16]; 2] }
    }

    /// Is it one without a dealer?
    fn is_pairwise(&self) -> bool {
        self.seeds == [[0; 16]; 2]
    }

    /// A cloud that is dealt nothing takes no contract with a dealer.
    pub(crate) fn check_pairwise(&self, who: &Who) -> Result<()> {
        if self.is_pairwise() {
            return Ok(());
        }
        Err(Error::Different {
            who: who.clone(),
            step: OP.step,
            peer: "the contract",
            what: "it names a dealer's seeds: give both clouds the same source of randomness",
            theirs: "dealt randomness".into(),
            ours: "pairwise randomness".into(),
        })
    }

    /// What one says of oneself: role, source of correlations, engine, job, nonces, program, seeds.
    fn greeting(&self, role: Role, offline: bool) -> Vec<u8> {
        let Self { attempt: Attempt { job, nonces: [nonce_0, nonce_1] }, program, seeds } = self;
        let pairwise = self.is_pairwise().into();
        let role = [role.number(), offline.into(), pairwise, role.engine(), 0, 0, 0, 0];
        let [seed_0, seed_1] = seeds;
        [&role[..], job, nonce_0, nonce_1, program, seed_0, seed_1].concat()
    }

    /// Holds a seed against the one the contract names.
    pub(crate) fn check_seed(&self, who: &Who, side: Side, check: [u8; 16]) -> Result<()> {
        let named = self.seeds[side.index()];
        if check == named {
            return Ok(());
        }
        Err(Error::Different {
            who: who.clone(),
            step: OP.step,
            peer: "the contract",
            what: "the seed here is not the one it names: have it sent anew",
            theirs: beginning(&named).into(),
            ours: beginning(&check).into(),
        })
    }

    /// Says who one is and holds what the other says against it. `offline`: correlations come from
    /// a file.
    pub(crate) fn greet(
        &self,
        link: &mut impl Link,
        who: &Who,
        mine: Role,
        theirs: Role,
        offline: bool,
        limit: Duration,
    ) -> Result<()> {
        let peer = theirs.name();
        let failed = |source| Error::Link { who: who.clone(), op: OP, peer, source };
        let words = wire::all_words(&self.greeting(mine, offline));
        let header = Header::new(Kind::Hello, OP, 0, 0).piece(0, words.len());
        link.send(header.frame(&words)).map_err(failed)?;
        let frame = link.recv(after(limit)).map_err(failed)?;
        let different = |what, got: String, own: String| Error::Different {
            who: who.clone(),
            step: OP.step,
            peer,
            what,
            theirs: got.into(),
            ours: own.into(),
        };
        if let Some(got) = Header::read(&frame).filter(|got| got.version != VERSION) {
            let (theirs, ours) = (format!("version {}", got.version), format!("version {VERSION}"));
            return Err(different("install the same release on both", theirs, ours));
        }
        let got = header.open(&frame).map_err(|got| Error::frame(who, OP, peer, got, header))?;
        let expected = self.greeting(theirs, offline);
        for (part, what) in PARTS {
            let (got, own) = (&got[part.clone()], &expected[part]);
            if got != own {
                return Err(different(what, beginning(got), beginning(own)));
            }
        }
        Ok(())
    }
}

/// Did both do the same so far?
pub(crate) fn same_trace(
    who: &Who,
    op: Op,
    peer: &'static str,
    theirs: &[u64],
    ours: &[u64],
) -> Result<()> {
    if theirs == ours {
        return Ok(());
    }
    let hex = |words: &[u64]| {
        format!("trace {:016x}", words.first().copied().unwrap_or(0).swap_bytes()).into()
    };
    Err(Error::Different {
        who: who.clone(),
        step: op.step,
        peer,
        what: "they did different operations: install the same release on both",
        theirs: hex(theirs),
        ours: hex(ours),
    })
}

/// The first bytes, in hexadecimal digits.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    let first = bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("{first:016x}")
}
