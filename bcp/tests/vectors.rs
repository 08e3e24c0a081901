//! `testdata/vectors.json`: vectors with which any implementation can check itself.
//!
//! The file is made with num-bigint and SHA-256 alone (`vectors/build.rs`, `vectors/refused.rs`),
//! and every vector is then held against the crate. Run with `DYAD_REGENERATE=1`, these tests write
//! it anew.

#[path = "vectors/build.rs"]
mod build;
#[path = "vectors/check.rs"]
mod check;
mod common;
#[path = "vectors/format.rs"]
mod format;
#[path = "vectors/refused.rs"]
mod refused;

use dyad_bcp::Backend;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::LazyLock;

/// What the file says of itself.
const ABOUT: &str = "\
Test vectors of dyad-bcp. The factors of every modulus are published here: use none of it.
Numbers are lower-case hexadecimal without leading zeros. 'bytes', 'id' and names that end in
'bytes' are byte strings, two digits a byte. 'values' of packings are decimal. Indices start at 0.

Derivation. block(i) = SHA-256('dyad-bcp vectors v1' 00 name 00 label 00 i), the set's name, i in
4 bytes, big-endian. number(label, bound) = the first ceil(bits(bound) / 8) + 16 bytes of
block(0) block(1) ... as one big-endian number, modulo bound; bits(x) is x's length in binary.
exponent(label) = 1 + number(label, floor(N^2 / 2) - 1).
  keys[i]         sk = 2 exponent('key i')
  encryptions[i]  m = 0, 1, N - 1, number('m 3', N)
                  r = 1, exponent('r 1'), floor(N^2 / 2) - 1, exponent('r 3')
  operations      on the encryptions x; c = 0, 1, N - 1, number('c', N)
  unified         m = number('unified m', N), r = exponent('unified r')
  packings        min, max, 0, -1, and for i >= 4: number('value i', 2^l) - 2^(l - 1)
The set 'toy' ends its keys and encryptions with those of the example in docs/paper-map.md.

Formulas, modulo N^2. g^(p'q') = 1 + kN. h = g^sk. A = g^r, B = h^r (1 + mN). add: (AA', BB').
subtract: (A/A', B/B'). negate: (1/A, 1/B). scale: (A^c, B^c). add_plain: (A, B (1 + cN)).
sum: the product of all. log u = ((u^(p'q') - 1) / N) / (p'q') mod N, and
m = log B - log A log h / log g mod N.
Unified key: h = prod h_i. Partial decryption: P_i = A^sk_i. B / prod P_i = 1 + mN.
Packing: slots of w = value_bits + blind_bits + 2 bits, floor((bits - 1) / w) to a plaintext;
plaintext = sum u_j 2^(j w), u_j = x_j + 2^(value_bits - 1).

Encodings: kind (1 byte), version 1 (1 byte), bits of N (2 bytes), body. Numbers are big-endian:
N in ceil(bits / 8) bytes, what is below N^2 in ceil(2 bits / 8), p and q in
ceil(ceil(bits / 2) / 8), s in ceil((2 bits + 257) / 8).
  1 parameters    N, g
  2 claimed key   parameters' id, y, t, s
  3 public key    parameters' id, h
  4 ciphertext    key's id, A, B
  5 secret key    parameters' id, 1 if local (then sk is even) else 0 (1 byte), sk; sk is below
                  N^2 if local, else below N^2 / 4
  6 master key    parameters' id, p, q
  7 partial       member's id, unified key's id, A, P
  8 head          key's id, A
Parameters' id = SHA-256('dyad-bcp params v1' encoding).
Key's id = SHA-256('dyad-bcp key v1' parameters' id, 03 01 bits, h).

Proofs are random, hence stored and not derived. y = g^a with sk = 2a, h = y^2. g^s = t y^e, e the
first 16 bytes, as one big-endian number, of SHA-256('dyad-bcp proof of knowledge v1' parameters'
id, length of study (8 bytes), study, length of owner (8 bytes), owner, 02 01 bits, y, t).
A proof holds for its study and owner and for no other.

Negative vectors: 'kind' says what is tried with 'bytes' or 'values' under the set's parameters,
its key 0, its unified key, its proof's study and owner; 'error' is what must come of it.";

/// The sets of the file, small and large.
const SETS: [&str; 7] = ["toy", "64", "256", "512", "1024", "2048", "3072"];

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors.json")
}

/// The whole file but for the stored proofs, which are taken from `old` where they hold.
fn generate(old: &Value) -> String {
    let sets: Vec<Value> = SETS.iter().map(|name| build::set(name, old)).collect();
    let negative = refused::all(&sets);
    let file =
        json!({ "about": ABOUT.lines().collect::<Vec<_>>(), "negative": negative, "sets": sets });
    serde_json::to_string_pretty(&file).expect("JSON") + "\n"
}

/// The file's text, as it stands or as it has just been written.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    if std::env::var_os("DYAD_REGENERATE").is_some_and(|x| x == "1") {
        let text = generate(&serde_json::from_str(&text).unwrap_or_default());
        std::fs::write(path(), &text).expect("testdata is writable");
        return text;
    }
    text
});

static FILE: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&TEXT).expect("JSON"));

#[test]
fn every_vector_holds() {
    let sets = format::list(&FILE["sets"]);
    assert_eq!(sets.iter().map(|s| format::text(&s["name"])).collect::<Vec<_>>(), SETS);
    for set in sets {
        for backend in Backend::available() {
            check::set(set, backend);
        }
    }
}

#[test]
fn every_negative_vector_is_refused() {
    let negative = format::list(&FILE["negative"]);
    assert!(negative.len() > 100);
    for backend in Backend::available() {
        let sets: Vec<_> =
            format::list(&FILE["sets"]).iter().map(|s| check::Subject::new(s, backend)).collect();
        for vector in negative {
            let name = format::text(&vector["set"]);
            let subject = sets.iter().find(|s| s.name == name).expect("a set of this name");
            let found = check::error_of(subject, vector);
            assert_eq!(found, format::text(&vector["error"]), "{name}: {}", vector["what"]);
        }
    }
}

#[test]
fn the_file_is_what_is_generated() {
    // Not assert_eq: nobody wants to see half a million digits.
    let same = generate(&FILE) == *TEXT;
    assert!(same, "vectors.json is not what is generated: if that is meant, set DYAD_REGENERATE=1");
}
