//! Fixed parameters for tests, and small helpers.
#![allow(dead_code, unreachable_pub)] // each test file uses some

mod skipped;

use dyad_bcp::{Backend, KeySize, MasterKey, Plaintext, PublicParams};
use num_bigint::BigUint;
#[allow(unused_imports)]
pub use skipped::skipped;

/// Parameters whose factors are published in `testdata/parameters.json`: good for tests and nothing
/// else.
pub struct Fixture {
    pub name: String,
    pub size: KeySize,
    pub p: BigUint,
    pub q: BigUint,
    pub g: BigUint,
}

impl Fixture {
    pub fn params(&self) -> PublicParams {
        PublicParams::new(self.size, &self.p * &self.q, self.g.clone()).expect("fixture")
    }

    pub fn on(&self, backend: Backend) -> (PublicParams, MasterKey) {
        let params =
            PublicParams::with_backend(self.size, &self.p * &self.q, self.g.clone(), backend)
                .expect("fixture");
        let master = MasterKey::new(&params, &self.p, &self.q).expect("fixture");
        (params, master)
    }

    /// p'q'
    pub fn e(&self) -> BigUint {
        (&self.p >> 1u8) * (&self.q >> 1u8)
    }
}

pub fn fixtures() -> Vec<Fixture> {
    let text = include_str!("../../testdata/parameters.json");
    let all: serde_json::Value = serde_json::from_str(text).expect("parameters.json");
    let fixture = |x: &serde_json::Value| Fixture {
        name: x["name"].as_str().expect("name").to_owned(),
        size: KeySize::insecure_from_bits(x["bits"].as_u64().expect("bits") as usize)
            .expect("size"),
        p: hex(x["p"].as_str().expect("p")),
        q: hex(x["q"].as_str().expect("q")),
        g: hex(x["g"].as_str().expect("g")),
    };
    all.as_array().expect("a list").iter().map(fixture).collect()
}

pub fn fixture(name: &str) -> Fixture {
    fixtures().into_iter().find(|f| f.name == name).expect("a fixture of this name")
}

pub fn hex(digits: &str) -> BigUint {
    BigUint::parse_bytes(digits.as_bytes(), 16).expect("hexadecimal digits")
}

pub fn plain(params: &PublicParams, m: u64) -> Plaintext {
    Plaintext::from_u64(params, m)
}

pub fn big(m: u64) -> BigUint {
    BigUint::from(m)
}

/// x in `len` bytes, the most significant first.
pub fn padded(x: &BigUint, len: usize) -> Vec<u8> {
    let bytes = x.to_bytes_be();
    // BigUint writes zero in one byte.
    [vec![0; len.saturating_sub(bytes.len())], bytes].concat()
}

/// What every encoding begins with: kind (1 parameters, 2 claimed key, 3 public key), version 1,
/// bits of N.
pub fn header(params: &PublicParams, kind: u8) -> Vec<u8> {
    let [high, low] = (params.size().bits() as u16).to_be_bytes();
    vec![kind, 1, high, low]
}
