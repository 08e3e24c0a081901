//! Makes the sets of the file from the fixtures' factors and the stream, with num-bigint.

use super::common::{Fixture, big, fixture};
use super::format::{Encoding, Stream, hex, hex_bytes, key_id, params_bytes, params_id};
use super::{check, format};
use num_bigint::BigUint;
use num_traits::{One, Zero};
use serde_json::{Value, json};

/// A set in the making.
pub(crate) struct Maker {
    pub(crate) fixture: Fixture,
    pub(crate) bits: usize,
    pub(crate) n: BigUint,
    pub(crate) n_squared: BigUint,
    pub(crate) params_id: Vec<u8>,
}

/// A pair (A, B), or the formula's two results.
pub(crate) type Pair = (BigUint, BigUint);

impl Maker {
    pub(crate) fn new(name: &str) -> Self {
        let fixture = fixture(name);
        let (bits, n) = (fixture.size.bits(), &fixture.p * &fixture.q);
        let params_id = params_id(bits, &n, &fixture.g);
        Self { bits, n_squared: &n * &n, n, params_id, fixture }
    }

    pub(crate) fn pow(&self, x: &BigUint, e: &BigUint) -> BigUint {
        x.modpow(e, &self.n_squared)
    }

    fn mul(&self, x: &BigUint, y: &BigUint) -> BigUint {
        x * y % &self.n_squared
    }

    fn invert(&self, x: &BigUint) -> BigUint {
        x.modinv(&self.n_squared).expect("a unit")
    }

    /// 1 + mN
    fn one_plus(&self, m: &BigUint) -> BigUint {
        m * &self.n + 1u8
    }

    pub(crate) fn encrypt(&self, h: &BigUint, m: &BigUint, r: &BigUint) -> Pair {
        (self.pow(&self.fixture.g, r), self.mul(&self.pow(h, r), &self.one_plus(m)))
    }

    /// L(u^e)
    fn l_of_power(&self, u: &BigUint) -> BigUint {
        let power = self.pow(u, &self.fixture.e());
        assert!((&power % &self.n).is_one(), "in G");
        (power - 1u8) / &self.n
    }

    fn log(&self, u: &BigUint) -> BigUint {
        self.l_of_power(u) * self.fixture.e().modinv(&self.n).expect("a unit") % &self.n
    }

    pub(crate) fn key_id(&self, h: &BigUint) -> Vec<u8> {
        key_id(self.bits, &self.params_id, h)
    }

    /// An encoding that starts with the parameters' id.
    pub(crate) fn under_params(&self, kind: u8) -> Encoding {
        Encoding::new(kind, self.bits).bytes(&self.params_id)
    }

    pub(crate) fn public_key(&self, h: &BigUint) -> Vec<u8> {
        self.under_params(3).residue(h).done()
    }

    pub(crate) fn secret_key(&self, local: u8, sk: &BigUint) -> Vec<u8> {
        self.under_params(5).bytes(&[local]).residue(sk).done()
    }

    pub(crate) fn master_key(&self, p: &BigUint, q: &BigUint) -> Vec<u8> {
        let half = self.bits.div_ceil(2);
        self.under_params(6).number(p, half).number(q, half).done()
    }

    pub(crate) fn ciphertext(&self, key: &[u8], (a, b): &Pair) -> Vec<u8> {
        Encoding::new(4, self.bits).bytes(key).residue(a).residue(b).done()
    }

    pub(crate) fn partial(&self, member: &[u8], key: &[u8], a: &BigUint, p: &BigUint) -> Vec<u8> {
        Encoding::new(7, self.bits).bytes(member).bytes(key).residue(a).residue(p).done()
    }

    pub(crate) fn head(&self, key: &[u8], a: &BigUint) -> Vec<u8> {
        Encoding::new(8, self.bits).bytes(key).residue(a).done()
    }

    fn key(&self, sk: &BigUint) -> Value {
        let (h, local) = (self.pow(&self.fixture.g, sk), !sk.bit(0));
        json!({
            "h": hex(&h),
            "id": hex_bytes(&self.key_id(&h)),
            "local": local,
            "public_bytes": hex_bytes(&self.public_key(&h)),
            "secret_bytes": hex_bytes(&self.secret_key(local.into(), sk)),
            "sk": hex(sk),
        })
    }

    fn encryption(&self, key: usize, h: &BigUint, m: &BigUint, r: &BigUint) -> Value {
        let (id, c) = (self.key_id(h), self.encrypt(h, m, r));
        json!({
            "a": hex(&c.0),
            "b": hex(&c.1),
            "bytes": hex_bytes(&self.ciphertext(&id, &c)),
            "head_bytes": hex_bytes(&self.head(&id, &c.0)),
            "key": key,
            "m": hex(m),
            "r": hex(r),
        })
    }

    /// All operations on encryptions x, y (and all four) of the plaintexts m, m'.
    fn operations(&self, all: &[(BigUint, Pair)], stream: &Stream<'_>) -> Vec<Value> {
        let n = &self.n;
        let result = |op: &str, x: &[usize], c: Option<&BigUint>, m: BigUint, (a, b): Pair| {
            let mut vector = json!({
                "a": hex(&a), "b": hex(&b), "m": hex(&(m % n)), "op": op, "x": x,
            });
            if let Some(c) = c {
                vector["c"] = json!(hex(c));
            }
            vector
        };
        let product = |x: &Pair, y: &Pair| (self.mul(&x.0, &y.0), self.mul(&x.1, &y.1));
        let inverse = |x: &Pair| (self.invert(&x.0), self.invert(&x.1));
        let ((m, x), (m_, y)) = (&all[3], &all[2]);
        let one = (BigUint::zero(), (BigUint::one(), BigUint::one()));
        let (total, joined) = all.iter().fold(one, |(m, c), (m_, d)| (m + m_, product(&c, d)));
        let mut vectors = vec![
            result("add", &[3, 2], None, m + m_, product(x, y)),
            result("add", &[3, 3], None, m + m, product(x, x)),
            result("subtract", &[3, 2], None, m + n - m_, product(x, &inverse(y))),
            result("negate", &[3], None, n - m, inverse(x)),
            result("sum", &(0..all.len()).collect::<Vec<_>>(), None, total, joined),
        ];
        for c in [BigUint::zero(), BigUint::one(), n - 1u8, stream.number("c", n)] {
            let scaled = (self.pow(&x.0, &c), self.pow(&x.1, &c));
            vectors.push(result("scale", &[3], Some(&c), m * &c, scaled));
            let shifted = (x.0.clone(), self.mul(&x.1, &self.one_plus(&c)));
            vectors.push(result("add_plain", &[3], Some(&c), m + &c, shifted));
        }
        vectors
    }

    /// The logarithms of mDec for one encryption.
    fn master_decryption(&self, encryption: usize, h: &BigUint, m: &BigUint, c: &Pair) -> Value {
        json!({
            "encryption": encryption,
            "log_a": hex(&self.log(&c.0)),
            "log_b": hex(&self.log(&c.1)),
            "log_g": hex(&self.log(&self.fixture.g)),
            "log_h": hex(&self.log(h)),
            "m": hex(m),
        })
    }

    fn unified(&self, sks: &[BigUint], stream: &Stream<'_>) -> Value {
        let publics: Vec<BigUint> = sks.iter().map(|sk| self.pow(&self.fixture.g, sk)).collect();
        let h = publics.iter().fold(BigUint::one(), |h, h_i| self.mul(&h, h_i));
        let (m, r) = (stream.number("unified m", &self.n), stream.exponent("unified r", &self.n));
        let (id, c) = (self.key_id(&h), self.encrypt(&h, &m, &r));
        let partial = |(i, sk): (usize, &BigUint)| {
            let (member, p) = (self.key_id(&publics[i]), self.pow(&c.0, sk));
            let bytes = self.partial(&member, &id, &c.0, &p);
            json!({ "bytes": hex_bytes(&bytes), "member": i, "p": hex(&p) })
        };
        json!({
            "a": hex(&c.0),
            "b": hex(&c.1),
            "bytes": hex_bytes(&self.ciphertext(&id, &c)),
            "h": hex(&h),
            "id": hex_bytes(&id),
            "m": hex(&m),
            "members": (0..sks.len()).collect::<Vec<_>>(),
            "partials": sks.iter().enumerate().map(partial).collect::<Vec<_>>(),
            "r": hex(&r),
        })
    }

    fn packing(&self, l: usize, sigma: usize, stream: &Stream<'_>) -> Value {
        let width = l + sigma + 2;
        let slots = (self.bits - 1) / width;
        let (half, modulus) = (BigUint::one() << (l - 1), BigUint::one() << l);
        // u = x + 2^{l-1}: of the smallest, the largest, 0, -1; then of what the stream gives
        let mut u = vec![BigUint::zero(), &modulus - 1u8, half.clone(), &half - 1u8];
        // One plaintext full and one begun.
        let count = (slots + 1).max(u.len());
        u.extend((u.len()..count).map(|i| stream.number(&format!("value {i}"), &modulus)));
        let spell = |u: &[BigUint]| u.iter().rev().fold(BigUint::zero(), |m, u| (m << width) + u);
        let plaintexts: Vec<String> = u.chunks(slots).map(|u| hex(&spell(u))).collect();
        let value = |u: &BigUint| {
            if *u >= half { (u - &half).to_string() } else { format!("-{}", &half - u) }
        };
        json!({
            "blind_bits": sigma,
            "plaintexts": plaintexts,
            "slots": slots,
            "value_bits": l,
            "values": u.iter().map(value).collect::<Vec<_>>(),
            "width": width,
        })
    }
}

/// Layouts for N of so many bits.
fn layouts(bits: usize) -> &'static [(usize, usize)] {
    match bits {
        ..64 => &[(1, 0), (3, 2), (8, 0)],
        64..256 => &[(1, 0), (8, 8), (32, 29)],
        _ => &[(1, 40), (8, 80), (32, 80), (64, 80), (64, 128)],
    }
}

/// The set of this name; its proof comes from the old file if it holds.
pub(crate) fn set(name: &str, old: &Value) -> Value {
    let (maker, stream) = (Maker::new(name), Stream(name));
    let (n, f) = (&maker.n, &maker.fixture);
    let mut sks: Vec<BigUint> =
        (0..3).map(|i| stream.exponent(&format!("key {i}"), n) << 1u8).collect();
    let h = maker.pow(&f.g, &sks[0]);
    let ms = [big(0), big(1), n - 1u8, stream.number("m 3", n)];
    let largest = (&maker.n_squared >> 1u8) - 1u8;
    let rs = [big(1), stream.exponent("r 1", n), largest, stream.exponent("r 3", n)];
    let all: Vec<(BigUint, Pair)> =
        ms.iter().zip(&rs).map(|(m, r)| (m.clone(), maker.encrypt(&h, m, r))).collect();
    let mut encryptions: Vec<Value> =
        ms.iter().zip(&rs).map(|(m, r)| maker.encryption(0, &h, m, r)).collect();
    let unified = maker.unified(&sks, &stream);
    if name == "toy" {
        // The example in docs/paper-map.md.
        sks.push(big(123_457));
        let h = maker.pow(&f.g, &sks[3]);
        encryptions.push(maker.encryption(3, &h, &big(1000), &big(98_765)));
        encryptions.push(maker.encryption(3, &h, &big(700), &big(4321)));
    }
    let decryption = |i: usize| maker.master_decryption(i, &h, &all[i].0, &all[i].1);
    let mut set = json!({
        "bits": maker.bits,
        "encryptions": encryptions,
        "g": hex(&f.g),
        "k": hex(&maker.l_of_power(&f.g)),
        "keys": sks.iter().map(|sk| maker.key(sk)).collect::<Vec<_>>(),
        "master": { "bytes": hex_bytes(&maker.master_key(&f.p, &f.q)) },
        "master_decryptions": [decryption(2), decryption(3)],
        "n": hex(n),
        "name": name,
        "operations": maker.operations(&all, &stream),
        "p": hex(&f.p),
        "packings": layouts(maker.bits).iter().map(|(l, s)| maker.packing(*l, *s, &stream))
            .collect::<Vec<_>>(),
        "params": {
            "bytes": hex_bytes(&params_bytes(maker.bits, n, &f.g)),
            "id": hex_bytes(&maker.params_id),
        },
        "q": hex(&f.q),
        "unified": unified,
    });
    let stored = old["sets"].as_array().and_then(|sets| sets.iter().find(|s| s["name"] == name));
    let stored = stored.map(|set| &set["proof"]).filter(|proof| check::proof_holds(&set, proof));
    set["proof"] = stored.cloned().unwrap_or_else(|| proof(&set));
    set
}

/// A new proof for key 0. Random: the only part of the file that does not follow from the stream.
fn proof(set: &Value) -> Value {
    let subject = check::Subject::new(set, dyad_bcp::Backend::detect());
    let (study, owner) = ("dyad-bcp vectors", "owner of key 0");
    let context = dyad_bcp::ProofContext { study: study.as_bytes(), owner: owner.as_bytes() };
    let claim = subject.secrets[0].prove(&context).expect("a local key");
    let bytes = format::hex_bytes(&claim.to_bytes());
    json!({ "bytes": bytes, "key": 0, "owner": owner, "study": study })
}
