//! The parties of the demonstration, each with what it alone holds.
//!
//! This is the paper's set-up phase: every value x is split into m_0 = R and m_1 = u - R +
//! 2^{l+sigma} (u = x + 2^{l-1}), encrypted under the hospital's own key for the one cloud and the
//! other, and *transformed to the unified key*: C0, which holds the master key, re-encrypts m_0 and
//! C1's blinded m_1 + rho; C1 takes rho and the constants off, under encryption.
//!
//! And it is the paper's end: C1 shows each hospital the heads A of the result, each hospital
//! answers with its partial decryptions, and every hospital joins B with the partials of all. C1
//! sees no partial: with all of them it would read the result. C0 sees no ciphertext of it.
//!
//! In one process nothing is sealed and nothing is sent; the services will do both.

use dyad_bcp::master::{KnownKey, MasterKey};
use dyad_bcp::packing::{STATISTICAL_BITS, Slot, SlotLayout};
use dyad_bcp::{
    Ciphertext, ClaimedKey, Error, Head, KeyId, Partial, Plaintext, ProofContext, PublicKey,
    PublicParams, Result, SecretKey, UnifiedKey,
};

/// l: bits of a value.
const VALUE_BITS: usize = 16;
const STUDY: &[u8] = b"dyad-local";

fn layout(params: &PublicParams) -> Result<SlotLayout> {
    SlotLayout::new(params, VALUE_BITS, STATISTICAL_BITS)
}

/// A hospital's published key with its name.
pub(crate) struct Claim {
    name: &'static str,
    key: ClaimedKey,
}

/// Verifies each hospital's proof and unifies the keys. Every party does this for itself: who lets
/// another do it takes whatever key the other likes.
fn verify(claims: &[Claim]) -> Result<(Vec<PublicKey>, UnifiedKey)> {
    let verify = |claim: &Claim| {
        claim.key.verify(&ProofContext { study: STUDY, owner: claim.name.as_bytes() })
    };
    let members = claims.iter().map(verify).collect::<Result<Vec<_>>>()?;
    let unified = UnifiedKey::new(&members)?;
    Ok((members, unified))
}

/// An owner of data: its key and its column.
pub(crate) struct Hospital {
    name: &'static str,
    secret: SecretKey,
    column: Vec<i64>,
}

/// A hospital's ciphertexts for one of the clouds, under the hospital's key.
pub(crate) struct Part {
    key: KeyId,
    ciphertexts: Vec<Ciphertext>,
    rows: usize,
}

impl Part {
    pub(crate) fn len(&self) -> usize {
        self.ciphertexts.len()
    }
}

/// What a hospital sends, to each cloud its part.
pub(crate) struct Upload {
    pub for_c0: Part,
    pub for_c1: Part,
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
        let key = self.secret.public();
        let part = |slots: &[Slot]| -> Result<Part> {
            let ciphertexts = key.encrypt_many(&layout.pack(slots)?)?;
            Ok(Part { key: key.id(), ciphertexts, rows: slots.len() })
        };
        Ok(Upload { for_c0: part(&r)?, for_c1: part(&m_1)? })
    }

    /// This hospital's part of the joint decryption. With a network it would first check that both
    /// clouds signed for these heads, and seal the partials to the hospitals.
    pub(crate) fn partials(&self, claims: &[Claim], heads: &[Head]) -> Result<Vec<Partial>> {
        let (_, unified) = verify(claims)?;
        self.secret.partial_many(&unified, heads)
    }

    /// Opens the sums with the partials of all hospitals, and reads the slots.
    pub(crate) fn open(
        &self,
        claims: &[Claim],
        sums: &Sums,
        partials: &[Vec<Partial>],
    ) -> Result<Vec<i64>> {
        let layout = layout(self.secret.params())?;
        let (_, unified) = verify(claims)?;
        let of_each: Vec<Vec<_>> = (0..sums.ciphertexts.len())
            .map(|i| partials.iter().filter_map(|p| p.get(i).cloned()).collect())
            .collect();
        let opened: Vec<Plaintext> = unified.open_many(&sums.ciphertexts, &of_each)?;
        let slots = layout.unpack(&opened, sums.rows)?;
        let values = slots.iter().map(|slot| layout.value(slot, sums.terms)).collect::<Option<_>>();
        values.ok_or(Error::Packing("a sum exceeds 64 bits"))
    }
}

/// C0: holds the master key and the hospitals' parts R, sees blinded values only.
pub(crate) struct AuxiliaryCloud {
    master: MasterKey,
    unified: UnifiedKey,
    known: Vec<(KeyId, KnownKey)>,
    parts: Vec<Part>,
}

/// What C0 makes of one hospital's data: under the unified key.
pub(crate) struct Transformed {
    m_0: Vec<Ciphertext>,
    blinded_m_1: Vec<Ciphertext>,
}

impl AuxiliaryCloud {
    pub(crate) fn new(master: MasterKey, claims: &[Claim]) -> Result<Self> {
        let (members, unified) = verify(claims)?;
        let known =
            members.iter().map(|key| Ok((key.id(), master.know(key)?))).collect::<Result<_>>()?;
        Ok(Self { master, unified, known, parts: Vec::new() })
    }

    pub(crate) fn receive(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Opens a hospital's R, which C0 has, and its blinded m_1, which C1 sends; encrypts both anew.
    fn transform(&self, hospital: KeyId, blinded_m_1: &[Ciphertext]) -> Result<Transformed> {
        let part = self.parts.iter().find(|part| part.key == hospital);
        let part = part.ok_or(Error::Members("C0 has no data of this hospital"))?;
        Ok(Transformed {
            m_0: self.under_unified_key(hospital, &part.ciphertexts)?,
            blinded_m_1: self.under_unified_key(hospital, blinded_m_1)?,
        })
    }

    fn under_unified_key(&self, key: KeyId, ciphertexts: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        let known = self.known.iter().find(|(known, _)| *known == key).map(|(_, known)| known);
        let known = known.ok_or(Error::Members("a key that no hospital of this study has"))?;
        self.unified.key().encrypt_many(&self.master.decrypt_many(known, ciphertexts)?)
    }
}

/// C1: holds ciphertexts, conducts most of the computation.
pub(crate) struct MainCloud {
    unified: UnifiedKey,
    members: Vec<PublicKey>,
    parts: Vec<Part>,
}

/// Packed sums under the unified key, and how many offsets each slot carries.
pub(crate) struct Sums {
    ciphertexts: Vec<Ciphertext>,
    rows: usize,
    terms: u32,
}

impl Sums {
    /// What hospitals get to answer to: A alone.
    pub(crate) fn heads(&self) -> Vec<Head> {
        self.ciphertexts.iter().map(Ciphertext::head).collect()
    }
}

impl MainCloud {
    pub(crate) fn new(claims: &[Claim]) -> Result<Self> {
        let (members, unified) = verify(claims)?;
        Ok(Self { unified, members, parts: Vec::new() })
    }

    pub(crate) fn receive(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Brings all data under the unified key and adds them row by row.
    pub(crate) fn sum_with(&self, auxiliary: &AuxiliaryCloud) -> Result<Sums> {
        let key = self.unified.key();
        let rows = self.parts.first().map_or(0, |part| part.rows);
        if self.parts.iter().any(|part| part.rows != rows) {
            return Err(Error::Members("the hospitals do not have the same rows"));
        }
        // Every value gets a blind of its own, and their statistical distances add up.
        let blinded = self.parts.iter().map(|part| part.rows as u64).sum();
        if !layout(key.params())?.allows(blinded) {
            return Err(Error::Packing("too many values for blinds of this length"));
        }
        let mut sum: Option<Vec<Ciphertext>> = None;
        for part in &self.parts {
            let unified = self.to_unified_key(auxiliary, part)?;
            sum = Some(match sum {
                None => unified,
                Some(sum) => key.add_many(&sum, &unified)?,
            });
        }
        let terms = self.parts.len() as u32;
        Ok(Sums { ciphertexts: sum.unwrap_or_default(), rows, terms })
    }

    /// `[u] = [m_0] + [m_1 + rho] - rho - 2^{l+sigma}`
    fn to_unified_key(&self, auxiliary: &AuxiliaryCloud, part: &Part) -> Result<Vec<Ciphertext>> {
        let owner = self.members.iter().find(|key| key.id() == part.key);
        let owner = owner.ok_or(Error::Members("a key that no hospital of this study has"))?;
        let key = self.unified.key();
        let layout = layout(key.params())?;
        let rho = (0..part.rows).map(|_| layout.blind()).collect::<Result<Vec<_>>>()?;
        let blinded = owner.add_plain_many(&part.ciphertexts, &layout.pack(&rho)?)?;
        let blinded = owner.rerandomize_many(&blinded)?;
        let Transformed { m_0, blinded_m_1 } = auxiliary.transform(part.key, &blinded)?;
        let top = layout.blind_bound();
        let off: Vec<Slot> = rho.iter().map(|rho| rho.plus(&top)).collect();
        let off = key.encrypt_many(&layout.pack(&off)?)?;
        key.sub_many(&key.add_many(&m_0, &blinded_m_1)?, &off)
    }
}

/// What the sums should be.
pub(crate) fn sums_in_the_clear(hospitals: &[Hospital]) -> Vec<i64> {
    let rows = hospitals.first().map_or(0, |h| h.column.len());
    (0..rows).map(|row| hospitals.iter().map(|h| h.column[row]).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dyad_bcp::{KeySize, ParaGen};

    struct Study {
        hospitals: Vec<Hospital>,
        claims: Vec<Claim>,
        auxiliary: AuxiliaryCloud,
        main: MainCloud,
    }

    fn study() -> Study {
        let (params, master) = ParaGen::new(KeySize::Bits2048).run().expect("parameters");
        let hospital = |name| Hospital::new(name, &params, 30).expect("a hospital");
        let hospitals: Vec<_> = ["North", "South"].map(hospital).into();
        let claims: Vec<_> = hospitals.iter().map(|h| h.claim().expect("a proof")).collect();
        let mut main = MainCloud::new(&claims).expect("proofs that hold");
        let mut auxiliary = AuxiliaryCloud::new(master, &claims).expect("proofs that hold");
        for hospital in &hospitals {
            let Upload { for_c0, for_c1 } = hospital.upload().expect("an upload");
            auxiliary.receive(for_c0);
            main.receive(for_c1);
        }
        Study { hospitals, claims, auxiliary, main }
    }

    #[test]
    fn hospitals_together_open_the_sums_and_none_alone() {
        let s = study();
        let sums = s.main.sum_with(&s.auxiliary).expect("sums");
        let partials: Vec<_> = s
            .hospitals
            .iter()
            .map(|h| h.partials(&s.claims, &sums.heads()).expect("a member"))
            .collect();
        for hospital in &s.hospitals {
            let opened = hospital.open(&s.claims, &sums, &partials).expect("all partials");
            assert_eq!(opened, sums_in_the_clear(&s.hospitals));
            let alone = hospital.open(&s.claims, &sums, &partials[..1]);
            assert!(matches!(alone, Err(Error::Members(_))), "opened without the other's part");
        }
    }

    #[test]
    fn every_party_refuses_a_proof_that_does_not_hold() {
        let mut s = study();
        let sums = s.main.sum_with(&s.auxiliary).expect("sums");
        // The proof is for another name.
        s.claims[1].name = "West";
        assert_eq!(MainCloud::new(&s.claims).map(|_| ()), Err(Error::BadProof));
        let c0 = AuxiliaryCloud::new(s.auxiliary.master, &s.claims);
        assert_eq!(c0.map(|_| ()), Err(Error::BadProof));
        let partials = s.hospitals[0].partials(&s.claims, &sums.heads());
        assert_eq!(partials.map(|_| ()), Err(Error::BadProof));
    }

    #[test]
    fn c1_alone_brings_nothing_under_the_unified_key() {
        let mut s = study();
        s.auxiliary.parts.clear();
        let sums = s.main.sum_with(&s.auxiliary).map(|_| ());
        assert!(matches!(sums, Err(Error::Members(_))));
    }
}
