//! A unified key, and who opens what is under it: both clouds' part of the ciphertext engine.
#![allow(dead_code, clippy::unwrap_used)]

use dyad_bcp::master::{FreshMaker, KnownKey, MasterKey};
use dyad_bcp::{
    Ciphertext, Fresh, KeySize, Plaintext, PublicKey, PublicParams, SecretKey, UnifiedKey,
};
use dyad_mpc::cipher::Opener;
use num_bigint::BigUint;
use std::sync::Arc;

/// Parameters whose factors are published, two owners' keys, and C0's.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) key: PublicKey,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) known: Arc<KnownKey>,
    pub(crate) maker: Arc<FreshMaker>,
}

impl World {
    /// Of this many bits: insecure ones for tests that need no secrets.
    pub(crate) fn new(bits: u64) -> Self {
        let text = include_str!("../../../bcp/testdata/parameters.json");
        let all: serde_json::Value = serde_json::from_str(text).unwrap();
        let found = all.as_array().unwrap().iter().find(|x| x["bits"] == bits).unwrap();
        let number = |name: &str| {
            BigUint::parse_bytes(found[name].as_str().unwrap().as_bytes(), 16).unwrap()
        };
        let (p, q) = (number("p"), number("q"));
        let size = KeySize::insecure_from_bits(bits as usize).unwrap();
        let params = PublicParams::new(size, &p * &q, number("g")).unwrap();
        let master = MasterKey::new(&params, &p, &q).unwrap();
        let owners: Vec<PublicKey> =
            (0..2).map(|_| SecretKey::generate(&params).unwrap().public().clone()).collect();
        let key = UnifiedKey::new(&owners).unwrap().key().clone();
        let known = Arc::new(master.know(&key).unwrap());
        let maker = Arc::new(master.fresh_maker(&key).unwrap());
        Self { key, master: Arc::new(master), known, maker }
    }

    pub(crate) fn opener(&self) -> Box<dyn Opener> {
        Box::new(self.clone())
    }
}

impl Opener for World {
    fn open(&self, ciphertexts: &[Ciphertext]) -> dyad_bcp::Result<Vec<Plaintext>> {
        self.master.decrypt_many(&self.known, ciphertexts)
    }

    fn fresh(&self, count: usize) -> dyad_bcp::Result<Vec<Fresh>> {
        self.maker.many(count)
    }
}
