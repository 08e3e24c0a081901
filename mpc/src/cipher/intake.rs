//! Ciphertexts that owners uploaded, one for each entry: of anything, and perhaps of nothing.
//!
//! ```text
//! C1 -> C0   [m + 2^64 + R], one by one, R uniform of 144 bits; C0 tests that they lie in G, and
//!            that what it opens is below 2^144 + 2^66
//! C0 -> C1   0, or the number of the first that does not
//! then       ring shares m + R at C0 and -R at C1, modulo 2^64, as from any other upload
//! ```
//!
//! Who learns what: of |m| <= 2^64, C0 sees m within 2^-80 of nothing. Who encrypts more than a value
//! shows C0 its own number and no other, for nothing else lies in the same ciphertext; modulo 2^64 is
//! what remains of it. C1 hears which entry is refused and not why: what does not lie in G and what is
//! too large are answered alike.

use super::int::{neg, power};
use super::moves::AT_ONCE;
use super::range::{BLIND_BITS, any_beyond};
use super::secret::{Secret, WIDTH};
use super::{Cipher, VALUE_BITS};
use crate::error::{Error, Op, Result};
use crate::tensor::Meta;
use dyad_bcp::{Ciphertext, Error as Refused};
use std::sync::Arc;
use zeroize::Zeroizing;

impl Cipher {
    /// A tensor of uploaded ciphertexts, for all of which it is known now what they hold.
    pub(super) fn of_ciphertexts(
        &mut self,
        op: Op,
        name: &str,
        meta: Meta,
        all: &[Ciphertext],
    ) -> Result<Secret> {
        let count = meta.shape.len();
        self.blind(op, count)?;
        let (share, bad) = if self.ground.holds {
            let blinds = self.blinded_apart(op, name, all)?;
            let bad = self.line.swap(op, &[], 1)?.first().copied().unwrap_or(1);
            // Of m + 2^64 + R, modulo 2^64.
            (blinds.iter().map(|r| neg(r)[0]).collect(), bad)
        } else {
            let (opened, bad) = self.opened_apart(op, count)?;
            self.line.swap(op, &[bad], 0)?;
            (opened, bad)
        };
        if bad == 0 {
            return self.of_shares(op, name, meta, &Zeroizing::new(share));
        }
        let at = (bad - 1) as usize;
        let (row, column) = (at / meta.shape.cols.max(1), at % meta.shape.cols.max(1));
        let what = format!(
            "entry {at} (row {row}, column {column}) is no ciphertext under the unified key, or of \
             more than 64 bits: its owner uploads it anew"
        );
        Err(Error::Input { op, name: name.to_owned(), what })
    }

    /// C1's part: its blinds.
    fn blinded_apart(
        &mut self,
        op: Op,
        name: &str,
        all: &[Ciphertext],
    ) -> Result<super::int::Ints> {
        let ground = Arc::clone(&self.ground);
        let blinds = Self::uniform(op, all.len(), BLIND_BITS, &power(VALUE_BITS + 1))?;
        let plain = ground.plaintexts(&vec![1; all.len()], &blinds);
        let wrong = |source: Refused| Error::Input {
            op,
            name: name.to_owned(),
            what: format!("its ciphertexts are of another key: {source}"),
        };
        self.send_blinded(op, all, &plain, wrong)?;
        Ok(blinds)
    }

    /// C0's part: what it opened modulo 2^64, and which it refuses, counted from 1.
    fn opened_apart(&mut self, op: Op, count: usize) -> Result<(Vec<u64>, u64)> {
        let (mut opened, mut bad) = (Vec::with_capacity(count), None);
        for at in (0..count).step_by(AT_ONCE) {
            // All are taken, also behind one that is refused.
            let ciphertexts = self.take(op, AT_ONCE.min(count - at))?;
            match self.opener()?.open(&ciphertexts) {
                Ok(some) => opened.extend(some),
                Err(Refused::Undecryptable { index }) => bad = bad.or(Some(at + index)),
                Err(error) => return Err(Self::failed(op)(error)),
            }
        }
        if let Some(bad) = bad {
            return Ok((vec![], bad as u64 + 1));
        }
        let limit = super::int::add(&power(BLIND_BITS), &power(VALUE_BITS + 3));
        let mut low = Vec::with_capacity(count);
        for (at, m) in opened.iter().enumerate() {
            match m.slots(WIDTH, 1).map(Zeroizing::new) {
                Ok(ints) if !any_beyond(&ints, &limit) => low.extend(ints.iter().map(|x| x[0])),
                _ => return Ok((vec![], at as u64 + 1)),
            }
        }
        Ok((low, 0))
    }
}
