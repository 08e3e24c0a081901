//! What each fuzz target does with its bytes: decode them, and if they are accepted, encode the
//! value again and see the same bytes. So a decoder neither panics nor knows two encodings of one
//! value. Files of owners have no one encoding: what is read of them is put to use.
//!
//! Every function returns whether the bytes were accepted.

mod lines;
pub mod training;
pub mod transfers;

use dyad_bcp::packing::SlotLayout;
use dyad_bcp::{
    ClaimedKey, Head, KeySize, MasterKey, Partial, Plaintext, ProofContext, PublicParams,
    RawCiphertext, SecretKey, UnifiedKey, UnprovedKey,
};
use dyad_data::{Limits, ReadOptions, Schema, Table};
use num_bigint::BigUint;
use std::sync::LazyLock;

/// Whom the seed of `claimed_key` was proved for.
pub const CONTEXT: ProofContext<'_> = ProofContext { study: b"study", owner: b"owner" };

/// Parameters so small that a decoder is quick, and keys that are the same in every run: a seed
/// names them by their ids.
pub struct World {
    pub params: PublicParams,
    pub master: MasterKey,
    pub owner: SecretKey,
    pub unified: UnifiedKey,
    /// For packing, which is more interesting in several limbs.
    pub larger: PublicParams,
}

pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (params, master) = fixture("64");
    let owner = SecretKey::insecure_from_exponent(&params, &BigUint::from(123_456_789_012u64))
        .expect("a key");
    let unified = UnifiedKey::new(&[owner.public().clone()]).expect("one member");
    World { params, master, owner, unified, larger: fixture("256").0 }
});

fn fixture(name: &str) -> (PublicParams, MasterKey) {
    let text = include_str!("../../bcp/testdata/parameters.json");
    let all: serde_json::Value = serde_json::from_str(text).expect("parameters.json");
    let all = all.as_array().expect("a list");
    let one = all.iter().find(|x| x["name"] == name).expect("a fixture of this name");
    let number = |field: &str| {
        let digits = one[field].as_str().expect("digits");
        BigUint::parse_bytes(digits.as_bytes(), 16).expect("hexadecimal digits")
    };
    let size = one["bits"].as_u64().and_then(|bits| KeySize::insecure_from_bits(bits as usize));
    let (p, q) = (number("p"), number("q"));
    let params = PublicParams::new(size.expect("a size"), &p * &q, number("g")).expect("fixture");
    let master = MasterKey::new(&params, &p, &q).expect("fixture");
    (params, master)
}

/// Makes the fuzzer's thread do all the work: numbers this small are not worth handing over.
pub fn init() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().expect("the first pool");
    LazyLock::force(&WORLD);
}

/// As [`init`], for a decoder that catches the panics of a library it uses. libFuzzer's hook ends
/// the process at any panic; without it, those that nobody catches still do.
pub fn init_caught() {
    init();
    std::panic::set_hook(Box::new(|panic| {
        let of_library = panic.location().is_some_and(|at| at.file().contains("/parquet-"));
        if !of_library {
            eprintln!("{panic}");
        }
    }));
}

/// Ends an execution. With `FUZZ_SEEDS` set all bytes must be accepted: a seed that no longer is
/// leads the fuzzer nowhere, and nobody would notice.
pub fn done(accepted: bool) {
    static SEEDS: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_SEEDS").is_some());
    assert!(accepted || !*SEEDS, "this seed is no valid encoding; make the seeds anew");
}

fn same(again: &[u8], bytes: &[u8]) -> bool {
    assert_eq!(again, bytes, "a second encoding of one value");
    true
}

pub fn public_params(bytes: &[u8]) -> bool {
    PublicParams::insecure_from_bytes(bytes).is_ok_and(|params| same(&params.to_bytes(), bytes))
}

pub fn claimed_key(bytes: &[u8]) -> bool {
    let Ok(claim) = ClaimedKey::from_bytes(&WORLD.params, bytes) else { return false };
    same(&claim.to_bytes(), bytes) && claim.verify(&CONTEXT).is_ok()
}

pub fn unproved_key(bytes: &[u8]) -> bool {
    let Ok(key) = UnprovedKey::from_bytes(&WORLD.params, bytes) else { return false };
    let key = key.assume_certified();
    same(&key.to_bytes(), bytes) && WORLD.master.know(&key).is_ok()
}

pub fn raw_ciphertext(bytes: &[u8]) -> bool {
    let Ok(raw) = RawCiphertext::from_bytes(&WORLD.params, bytes) else { return false };
    let Ok(c) = WORLD.owner.public().admit(raw) else { return false };
    same(&c.to_bytes(), bytes) && WORLD.owner.decrypt(&c).is_ok()
}

pub fn head(bytes: &[u8]) -> bool {
    let Ok(head) = Head::from_bytes(&WORLD.params, bytes) else { return false };
    same(&head.to_bytes(), bytes) && WORLD.owner.partial_many(&WORLD.unified, &[head]).is_ok()
}

pub fn partial(bytes: &[u8]) -> bool {
    let partial = Partial::from_bytes(&WORLD.params, bytes);
    partial.is_ok_and(|partial| same(&partial.to_bytes(), bytes))
}

pub fn secret_key(bytes: &[u8]) -> bool {
    SecretKey::from_bytes(&WORLD.params, bytes).is_ok_and(|key| same(&key.to_bytes(), bytes))
}

pub fn master_key(bytes: &[u8]) -> bool {
    MasterKey::from_bytes(&WORLD.params, bytes).is_ok_and(|key| same(&key.to_bytes(), bytes))
}

/// Bytes of a plaintext of the larger parameters.
const PLAINTEXT: usize = 32;

/// Value bits, blind bits, count, then plaintexts: what is unpacked packs to the same plaintexts.
pub fn slots(bytes: &[u8]) -> bool {
    let Some(([value_bits, blind_bits, count], rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let layout = SlotLayout::new(&WORLD.larger, (*value_bits).into(), (*blind_bits).into());
    let Ok(layout) = layout else { return false };
    let (plaintexts, rest) = rest.as_chunks::<PLAINTEXT>();
    let number = |x: &[u8; PLAINTEXT]| {
        Plaintext::from_biguint(&WORLD.larger, &BigUint::from_bytes_be(x)).ok()
    };
    let Some(plaintexts) = plaintexts.iter().map(number).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let Ok(slots) = layout.unpack(&plaintexts, (*count).into()) else { return false };
    assert_eq!(slots.len(), usize::from(*count));
    assert!(layout.pack(&slots) == Ok(plaintexts), "what was unpacked packs to something else");
    rest.is_empty()
}

/// Small, so that what is large is refused and not waited for.
const LIMITS: Limits =
    Limits { bytes: 1 << 20, rows: 1 << 12, columns: 1 << 8, cells: 1 << 14, bad_cells: 20 };

/// A file in the format that its name says: read, and encoded by the schema proposed for it.
pub fn table(name: &str, bytes: &[u8]) -> bool {
    let options = ReadOptions { limits: LIMITS, ..ReadOptions::default() };
    let Ok(table) = Table::from_bytes(name, bytes, &options) else { return false };
    if let Ok(schema) = Schema::suggest(&table, None).accept()
        && let Ok(encoded) = schema.encode(&table, &LIMITS)
    {
        assert!(encoded.rows() <= table.rows(), "records out of nothing");
    }
    true
}

/// A schema in TOML or JSON: what is written of it reads as the same.
pub fn schema(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(schema) = Schema::from_toml(text).or_else(|_| Schema::from_json(text)) else {
        return false;
    };
    let again = [Schema::from_toml(&schema.to_toml()), Schema::from_json(&schema.to_json(false))];
    for again in again {
        assert_eq!(again.expect("as written").digest(), schema.digest());
    }
    true
}
