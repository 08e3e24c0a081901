//! The parties of the demonstration, each with what it alone holds.
//!
//! This is the paper's set-up phase: every value x is split into m_0 = R and m_1 = u - R +
//! 2^{l+sigma} (u = x + 2^{l-1}), encrypted under the hospital's own key for the one cloud and the
//! other, and *transformed to the unified key*: C0, which holds the master key, re-encrypts m_0 and
//! C1's blinded m_1 + rho; C1 takes rho and the constants off, under encryption.
//!
//! In one process nothing is sealed and nothing is sent; the services will do both.

use dyad_bcp::master::{KnownKey, MasterKey};
use dyad_bcp::packing::{STATISTICAL_BITS, Slot, SlotLayout};
use dyad_bcp::{
    Ciphertext, ClaimedKey, Error, Plaintext, ProofContext, PublicKey, PublicParams, Result,
    SecretKey, UnifiedKey,
};

/// l: bits of a value.
const VALUE_BITS: usize = 16;
const STUDY: &[u8] = b"dyad-local";

fn layout(params: &PublicParams) -> Result<SlotLayout> {
    SlotLayout::new(params, VALUE_BITS, STATISTICAL_BITS)
}

/// An owner of data: its key and its column.
pub(crate) struct Hospital {
    name: &'static str,
    secret: SecretKey,
    column: Vec<i64>,
}

/// What a hospital sends: ciphertexts under its key for C0 and for C1.
pub(crate) struct Upload {
    key: PublicKey,
    for_c0: Vec<Ciphertext>,
    for_c1: Vec<Ciphertext>,
    rows: usize,
}

impl Upload {
    pub(crate) fn len(&self) -> usize {
        self.for_c0.len() + self.for_c1.len()
    }
}

/// A hospital's published key with its name.
pub(crate) struct Claim {
    name: &'static str,
    key: ClaimedKey,
}

impl Hospital {
    pub(crate) fn new(name: &'static str, params: &PublicParams, rows: usize) -> Result<Self> {
        // Made-up blood pressures that anybody can recompute.
        let seed = name.bytes().map(i64::from).sum::<i64>();
        let column = (0..rows as i64).map(|row| 90 + (row * 37 + seed * 13) % 90).collect();
        Ok(Self { name, secret: SecretKey::generate(params)?, column })
    }

    pub(crate) fn claim(&self) -> Result<Claim> {
        let context = ProofContext { study: STUDY, owner: self.name.as_bytes() };
        Ok(Claim { name: self.name, key: self.secret.prove(&context)? })
    }

    /// m_0 = R, m_1 = u - R + 2^{l+sigma}, each packed and encrypted.
    pub(crate) fn upload(&self) -> Result<Upload> {
        let layout = layout(self.secret.params())?;
        let u = layout.offset(&self.column)?;
        let r = u.iter().map(|_| layout.blind()).collect::<Result<Vec<_>>>()?;
        let top = layout.blind_bound();
        let m_1 =
            u.iter().zip(&r).map(|(u, r)| u.plus(&top).minus(r)).collect::<Option<Vec<Slot>>>();
        let m_1 = m_1.ok_or(Error::Packing("a blind exceeds its bound"))?;
        let key = self.secret.public().clone();
        let for_c0 = key.encrypt_many(&layout.pack(&r)?)?;
        let for_c1 = key.encrypt_many(&layout.pack(&m_1)?)?;
        Ok(Upload { key, for_c0, for_c1, rows: self.column.len() })
    }
}

/// C0: holds the master key, sees blinded values only.
pub(crate) struct AuxiliaryCloud<'a> {
    master: &'a MasterKey,
    unified: &'a PublicKey,
    known: Vec<(PublicKey, KnownKey)>,
}

impl<'a> AuxiliaryCloud<'a> {
    pub(crate) fn new(
        master: &'a MasterKey,
        unified: &'a UnifiedKey,
        members: &[PublicKey],
    ) -> Result<Self> {
        let known = members
            .iter()
            .map(|key| Ok((key.clone(), master.know(key)?)))
            .collect::<Result<_>>()?;
        Ok(Self { master, unified: unified.key(), known })
    }

    /// Opens what is a share or blinded, and encrypts it anew under the unified key.
    fn transform(&self, key: &PublicKey, ciphertexts: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        let known = self.known.iter().find(|(known, _)| known == key).map(|(_, known)| known);
        let known = known.ok_or(Error::Members("a key that no hospital of this study has"))?;
        self.unified.encrypt_many(&self.master.decrypt_many(known, ciphertexts)?)
    }
}

/// C1: holds ciphertexts, conducts most of the computation.
pub(crate) struct MainCloud {
    unified: UnifiedKey,
    members: Vec<PublicKey>,
}

/// Packed sums under the unified key, and how many offsets each slot carries.
pub(crate) struct Sums {
    ciphertexts: Vec<Ciphertext>,
    terms: u32,
}

impl MainCloud {
    /// Verifies each hospital's proof and unifies the keys.
    pub(crate) fn new(claims: &[Claim]) -> Result<Self> {
        let verify = |claim: &Claim| {
            claim.key.verify(&ProofContext { study: STUDY, owner: claim.name.as_bytes() })
        };
        let members = claims.iter().map(verify).collect::<Result<Vec<_>>>()?;
        Ok(Self { unified: UnifiedKey::new(&members)?, members })
    }

    pub(crate) fn unified(&self) -> &UnifiedKey {
        &self.unified
    }

    pub(crate) fn members(&self) -> &[PublicKey] {
        &self.members
    }

    /// Brings every upload under the unified key and adds them row by row.
    pub(crate) fn sum_with(
        &self,
        auxiliary: &AuxiliaryCloud<'_>,
        uploads: &[Upload],
    ) -> Result<Sums> {
        let key = self.unified.key();
        let mut sum: Option<Vec<Ciphertext>> = None;
        for upload in uploads {
            let unified = self.to_unified_key(auxiliary, upload)?;
            sum = Some(match sum {
                None => unified,
                Some(sum) => key.add_many(&sum, &unified)?,
            });
        }
        Ok(Sums { ciphertexts: sum.unwrap_or_default(), terms: uploads.len() as u32 })
    }

    /// `[u] = [m_0] + [m_1 + rho] - rho - 2^{l+sigma}`
    fn to_unified_key(
        &self,
        auxiliary: &AuxiliaryCloud<'_>,
        upload: &Upload,
    ) -> Result<Vec<Ciphertext>> {
        let key = self.unified.key();
        let layout = layout(key.params())?;
        let rho = (0..upload.rows).map(|_| layout.blind()).collect::<Result<Vec<_>>>()?;
        let rho_packed = layout.pack(&rho)?;
        let blinded = upload.key.add_plain_many(&upload.for_c1, &rho_packed)?;
        let blinded = upload.key.rerandomize_many(&blinded)?;
        let m_0 = auxiliary.transform(&upload.key, &upload.for_c0)?;
        let m_1 = auxiliary.transform(&upload.key, &blinded)?;
        let top = layout.blind_bound();
        let off: Vec<Slot> = rho.iter().map(|rho| rho.plus(&top)).collect();
        let off = key.encrypt_many(&layout.pack(&off)?)?;
        key.sub_many(&key.add_many(&m_0, &m_1)?, &off)
    }

    /// Hands each hospital the heads, joins their partial decryptions, reads the slots.
    pub(crate) fn open(&self, hospitals: &[Hospital], sums: &Sums) -> Result<Vec<i64>> {
        let layout = layout(self.unified.key().params())?;
        let heads: Vec<_> = sums.ciphertexts.iter().map(Ciphertext::head).collect();
        let partials = hospitals
            .iter()
            .map(|hospital| hospital.secret.partial_many(&self.unified, &heads))
            .collect::<Result<Vec<_>>>()?;
        let of_each: Vec<Vec<_>> =
            (0..heads.len()).map(|i| partials.iter().map(|p| p[i].clone()).collect()).collect();
        let opened: Vec<Plaintext> = self.unified.open_many(&sums.ciphertexts, &of_each)?;
        let rows = hospitals.first().map_or(0, |h| h.column.len());
        let slots = layout.unpack(&opened, rows)?;
        let values = slots.iter().map(|slot| layout.value(slot, sums.terms)).collect::<Option<_>>();
        values.ok_or(Error::Packing("a sum exceeds 64 bits"))
    }
}

/// What the sums should be.
pub(crate) fn sums_in_the_clear(hospitals: &[Hospital]) -> Vec<i64> {
    let rows = hospitals.first().map_or(0, |h| h.column.len());
    (0..rows).map(|row| hospitals.iter().map(|h| h.column[row]).sum()).collect()
}
