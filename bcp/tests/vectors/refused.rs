//! Makes the negative vectors: what every implementation must refuse, and how.

use super::build::Maker;
use super::format::{self, bytes, hex, hex_bytes, number, params_bytes, text};
use num_bigint::BigUint;
use num_traits::{One, Zero};
use serde_json::{Value, json};

/// The vectors of one set in the making.
struct Refused<'a> {
    set: &'a Value,
    maker: Maker,
    vectors: Vec<Value>,
}

/// All for a small and a large set, and those of the toy that need bits beyond a number's bound.
pub(crate) fn all(sets: &[Value]) -> Vec<Value> {
    let of = |name: &str| {
        let set = sets.iter().find(|s| s["name"] == name).expect("a set of this name");
        Refused { set, maker: Maker::new(name), vectors: Vec::new() }
    };
    let mut vectors = of("toy").beyond_the_bound();
    for name in ["256", "2048"] {
        let mut refused = of(name);
        refused.forms();
        refused.params();
        refused.keys();
        refused.ciphertexts();
        refused.decryptions();
        refused.joint();
        refused.numbers();
        vectors.extend(refused.vectors);
    }
    vectors
}

impl Refused<'_> {
    fn bytes(&mut self, kind: &str, what: &str, data: &[u8], error: &str) {
        self.vectors.push(json!({
            "bytes": hex_bytes(data), "error": error, "kind": kind, "set": self.set["name"],
            "what": what,
        }));
    }

    fn values(&mut self, kind: &str, what: &str, values: &Value, error: &str) {
        self.vectors.push(json!({
            "error": error, "kind": kind, "set": self.set["name"], "values": values, "what": what,
        }));
    }

    /// A good encoding of every kind.
    fn good(&self) -> [(&'static str, Vec<u8>); 8] {
        let of = |x: &Value| bytes(x);
        let (key, c) = (&self.set["keys"][0], &self.set["encryptions"][3]);
        [
            ("params", of(&self.set["params"]["bytes"])),
            ("claimed_key", of(&self.set["proof"]["bytes"])),
            ("public_key", of(&key["public_bytes"])),
            ("ciphertext", of(&c["bytes"])),
            ("secret_key", of(&key["secret_bytes"])),
            ("master_key", of(&self.set["master"]["bytes"])),
            ("partial", of(&self.set["unified"]["partials"][0]["bytes"])),
            ("head", of(&c["head_bytes"])),
        ]
    }

    fn forms(&mut self) {
        // The whole set of malformed bytes once: they are the same for every size.
        let every = text(&self.set["name"]) == "256";
        for (kind, good) in self.good() {
            let mut with = |what: &str, change: &dyn Fn(&mut Vec<u8>), error: &str| {
                let mut data = good.clone();
                change(&mut data);
                self.bytes(kind, what, &data, error);
            };
            with("one byte short", &|x| x.truncate(x.len() - 1), "Encoding/Length");
            if every {
                with("nothing", &Vec::clear, "Encoding/Length");
                with("a head and no body", &|x| x.truncate(4), "Encoding/Length");
                with("one byte too many", &|x| x.push(0), "Encoding/Length");
                with("kind 0", &|x| x[0] = 0, "Encoding/Kind");
                with("the next kind", &|x| x[0] = x[0] % 8 + 1, "Encoding/Kind");
                with("version 2", &|x| x[1] = 2, "Encoding/Version");
                with("a modulus of 7 bits", &|x| x[2..4].copy_from_slice(&[0, 7]), "Encoding/Size");
                // Parameters may have any size; what is under them has theirs.
                let fault = if kind == "params" { "Encoding/Length" } else { "Encoding/Size" };
                with("a modulus of 257 bits", &|x| x[3] ^= 1, fault);
            }
            if ["public_key", "secret_key", "master_key", "claimed_key"].contains(&kind) {
                with("the id of other parameters", &|x| x[4] ^= 1, "OtherParams");
            }
        }
    }

    /// With 11 bits, N leaves five bits of its two bytes zero; N², with 22, leaves two of three.
    fn beyond_the_bound(mut self) -> Vec<Value> {
        for (kind, good) in self.good() {
            let len = 3; // bytes of a residue modulo N²
            let number = match kind {
                "params" => 4,
                "secret_key" => 4 + 32 + 1,
                "partial" => 4 + 64,
                _ => 4 + 32,
            };
            let mut data = good.clone();
            data[number] |= 0x80;
            self.bytes(kind, "a bit beyond the first number's bound", &data, "Encoding/Range");
            if ["ciphertext", "partial", "claimed_key"].contains(&kind) {
                let mut data = good;
                data[number + len] |= 0x40;
                self.bytes(kind, "a bit beyond the second number's bound", &data, "Encoding/Range");
            }
        }
        self.vectors
    }

    fn params(&mut self) {
        let (bits, n, g) = (self.maker.bits, self.maker.n.clone(), self.maker.fixture.g.clone());
        let (p, n_squared) = (self.maker.fixture.p.clone(), self.maker.n_squared.clone());
        let triple = &n - &n % 3u8;
        let triple = if triple.bit(0) { triple } else { triple + 3u8 };
        let root = (&n >> 1u8).sqrt() | BigUint::one();
        let middle = n.sqrt() | BigUint::one();
        let moduli = [
            ("N one bit short", &n >> 1u8 | BigUint::one(), "Params/Size"),
            ("N = 0", BigUint::zero(), "Params/Size"),
            ("N even", &n - 1u8, "Params/Even"),
            ("N divisible by 3", triple, "Params/Modulus"),
            ("N = p^2", &p * &p, "Params/Modulus"),
            ("N = (a - 2) (a + 2), too close", &middle * &middle - 4u8, "Params/ClosePrimes"),
            ("N = p (2p + 1)", &root * (&root * 2u8 + 1u8), "Params/Modulus"),
        ];
        for (what, n, error) in moduli {
            self.bytes("params", what, &params_bytes(bits, &n, &g), error);
        }
        let square_mod_p = |x: &BigUint, p: &BigUint| x.modpow(&(p >> 1u8), p).is_one();
        let q = &self.maker.fixture.q;
        let symbol_is_minus_one = |x: &BigUint| square_mod_p(x, &p) != square_mod_p(x, q);
        let odd_one = (2u8..200).map(BigUint::from).find(symbol_is_minus_one).expect("half are");
        let generators = [
            ("g = 0", BigUint::zero()),
            ("g = 1", BigUint::one()),
            ("g = -1 modulo N", &n - 1u8),
            ("g = 1 modulo N", &n + 1u8),
            ("g = -1", &n_squared - 1u8),
            ("g = N^2, not below it", n_squared),
            ("g divisible by p", p.clone()),
            ("g with Jacobi symbol -1, so no square", odd_one),
        ];
        for (what, g) in generators {
            self.bytes("params", what, &params_bytes(bits, &n, &g), "Params/Generator");
        }
    }

    /// Numbers that are no units below N².
    fn no_residues(&self) -> [(&'static str, BigUint); 4] {
        let (p, n, n_squared) = (&self.maker.fixture.p, &self.maker.n, &self.maker.n_squared);
        [
            ("0", BigUint::zero()),
            ("p", p.clone()),
            ("N", n.clone()),
            ("N^2 + 1, a unit but not below N^2", n_squared + 1u8),
        ]
    }

    fn keys(&mut self) {
        let (n_squared, p) = (self.maker.n_squared.clone(), self.maker.fixture.p.clone());
        for (what, h) in self.no_residues() {
            let data = self.maker.public_key(&h);
            self.bytes("public_key", &format!("h = {what}"), &data, "NotAResidue");
        }
        // With h = 1, B is 1 + mN: everybody reads m.
        let (one, n) = (BigUint::one(), self.maker.n.clone());
        let trivial = [
            ("h = 1", one.clone()),
            ("h = 1 + N", &n + 1u8),
            ("h = -1", &n_squared - 1u8),
            ("h = -1 modulo N", n - 1u8),
        ];
        for (what, h) in trivial {
            let data = self.maker.public_key(&h);
            self.bytes("public_key", &format!("{what}, which hides nothing"), &data, "NotAResidue");
        }
        let g = self.maker.fixture.g.clone();
        let data = self.maker.under_params(2).residue(&one).residue(&g);
        let data = data.number(&one, 2 * self.maker.bits + 257).done();
        self.bytes("claimed_key", "y = 1, t = g, s = 1: true, but h = 1", &data, "BadProof");
        let sk = number(&self.set["keys"][0]["sk"]);
        let secrets = [
            ("sk = 0", 1, BigUint::zero()),
            ("sk = N^2, not below it", 0, n_squared),
            ("an odd sk of a local key", 1, &sk + 1u8),
            ("a kind of key that is neither 0 nor 1", 2, sk),
        ];
        for (what, local, sk) in secrets {
            let data = self.maker.secret_key(local, &sk);
            self.bytes("secret_key", what, &data, "Encoding/Range");
        }
        let q = self.maker.fixture.q.clone();
        // The smaller prime comes first.
        let primes = [
            ("p and p", p.clone(), p.clone(), "Encoding/Range"),
            ("q and p", q.clone(), p.clone(), "Encoding/Range"),
            ("p and q + 2", p.clone(), &q + 2u8, "Params/Primes"),
            ("0 and q", BigUint::zero(), q, "Params/Primes"),
            ("1 and p", BigUint::one(), p, "Params/Primes"),
        ];
        for (what, p, q, expected) in primes {
            let data = self.maker.master_key(&p, &q);
            self.bytes("master_key", what, &data, expected);
        }
        // y, t and s of a proof: one bit of each, and numbers that are no units.
        let good = bytes(&self.set["proof"]["bytes"]);
        let len = (2 * self.maker.bits).div_ceil(8);
        for (what, at) in [("y", 36 + len - 1), ("t", 36 + 2 * len - 1), ("s", good.len() - 1)] {
            let mut data = good.clone();
            data[at] ^= 1;
            self.bytes("claimed_key", &format!("{what} with one bit changed"), &data, "BadProof");
        }
        for (what, at) in [("y = 0", 36), ("t = 0", 36 + len)] {
            let mut data = good.clone();
            data[at..at + len].fill(0);
            self.bytes("claimed_key", what, &data, "BadProof");
        }
    }

    fn ciphertexts(&mut self) {
        let c = &self.set["encryptions"][3];
        let (a, b) = (number(&c["a"]), number(&c["b"]));
        let (key, other) = (bytes(&self.set["keys"][0]["id"]), bytes(&self.set["keys"][1]["id"]));
        let data = self.maker.ciphertext(&other, &(a.clone(), b.clone()));
        self.bytes("ciphertext", "under key 1", &data, "OtherKey");
        for (what, x) in self.no_residues() {
            let data = self.maker.ciphertext(&key, &(x.clone(), b.clone()));
            self.bytes("ciphertext", &format!("A = {what}"), &data, "NotAResidue");
            let data = self.maker.ciphertext(&key, &(a.clone(), x.clone()));
            self.bytes("ciphertext", &format!("B = {what}"), &data, "NotAResidue");
            let data = self.maker.head(&key, &x);
            self.bytes("head", &format!("A = {what}"), &data, "NotAResidue");
            let data = self.maker.partial(&key, &other, &a, &x);
            self.bytes("partial", &format!("P = {what}"), &data, "NotAResidue");
            let data = self.maker.partial(&key, &other, &x, &b);
            self.bytes("partial", &format!("A = {what}"), &data, "NotAResidue");
        }
    }

    /// Units all, but the owner finds no plaintext in them, or they lie outside G.
    fn decryptions(&mut self) {
        let n_squared = self.maker.n_squared.clone();
        let c = &self.set["encryptions"][3];
        let (a, b) = (number(&c["a"]), number(&c["b"]));
        let key = bytes(&self.set["keys"][0]["id"]);
        let (minus_a, minus_b) = (&n_squared - &a, &n_squared - &b);
        let (one, two) = (BigUint::one(), BigUint::from(2u8));
        let owner = [
            ("-B for B", (a.clone(), minus_b.clone())),
            ("2B for B", (a.clone(), &b * 2u8 % &n_squared)),
            ("B^2 for B", (a.clone(), &b * &b % &n_squared)),
            ("A = 1, B = 2", (one.clone(), two.clone())),
        ];
        for (what, c) in owner {
            let data = self.maker.ciphertext(&key, &c);
            self.bytes("decrypt", what, &data, "Undecryptable");
        }
        let minus_mod = |p: &BigUint, q: &BigUint| {
            let (p, q) = (p * p, q * q);
            // -1 modulo p², 1 modulo q²
            (q.modinv(&p).expect("different primes") * (&p - 2u8) % &p * &q + 1u8) % &n_squared
        };
        let (p, q) = (&self.maker.fixture.p, &self.maker.fixture.q);
        let [half, other] = [minus_mod(p, q), minus_mod(q, p)];
        let h = number(&self.set["keys"][0]["h"]);
        let times = |x: &BigUint, y: &BigUint| x * y % &n_squared;
        let keys =
            [("-h modulo p^2 alone", times(&h, &half)), ("-h modulo q^2 alone", times(&h, &other))];
        let master = [
            ("-A modulo p^2 alone", (times(&a, &half), b.clone())),
            ("-A modulo q^2 alone", (times(&a, &other), b.clone())),
            ("-B modulo p^2 alone", (a.clone(), times(&b, &half))),
            ("-B modulo q^2 alone", (a.clone(), times(&b, &other))),
            ("-A for A", (minus_a.clone(), b)),
            ("-B for B", (a, minus_b.clone())),
            ("-A and -B", (minus_a, minus_b)),
            ("A = -1, B = -1", (&n_squared - 1u8, &n_squared - 1u8)),
        ];
        for (what, c) in master {
            let data = self.maker.ciphertext(&key, &c);
            self.bytes("master_decrypt", &format!("{what}, outside G"), &data, "Undecryptable");
        }
        for (what, h) in keys {
            let (what, data) = (format!("{what}, of Jacobi symbol -1"), self.maker.public_key(&h));
            self.bytes("public_key", &what, &data, "NotAResidue");
        }
        let data = self.maker.public_key(&(&n_squared - &h));
        self.bytes("know", "-h for h, outside G", &data, "Undecryptable");
    }

    fn joint(&mut self) {
        let x = &self.set["unified"];
        let partials: Vec<&Value> =
            format::list(&x["partials"]).iter().map(|p| &p["bytes"]).collect();
        let (key, member) = (bytes(&x["id"]), bytes(&self.set["keys"][2]["id"]));
        // The third member's, for A^2 in place of A.
        let (a, p) = (number(&x["a"]), number(&x["partials"][2]["p"]));
        let (a, p) = (self.maker.pow(&a, &2u8.into()), self.maker.pow(&p, &2u8.into()));
        let stray = json!(hex_bytes(&self.maker.partial(&member, &key, &a, &p)));
        let opens = [
            ("two partials of three", vec![partials[0], partials[1]]),
            ("one member's twice", vec![partials[0], partials[1], partials[1]]),
            ("four partials of three", vec![partials[0], partials[1], partials[2], partials[2]]),
            ("a partial for another ciphertext", vec![partials[0], partials[1], &stray]),
            ("none at all", vec![]),
        ];
        let opens = opens.map(|(what, partials)| (what, json!({ "partials": partials })));
        for (what, values) in opens {
            self.values("open", what, &values, "Members");
        }
        self.values("unify", "no member", &json!({ "keys": [] }), "Members");
        self.values("unify", "a member twice", &json!({ "keys": [0, 1, 0] }), "Members");
    }

    fn numbers(&mut self) {
        let n = self.maker.n.clone();
        for (what, m) in [("m = N", n.clone()), ("m = N + 1", &n + 1u8)] {
            self.values("plaintext", what, &json!({ "m": hex(&m) }), "OutOfRange");
        }
        for (what, c, bits) in [("c of 9 bits", 256u64, 8), ("c of 64 bits", u64::MAX, 63)] {
            let values = json!({ "bits": bits, "c": hex(&c.into()) });
            self.values("scale_bounded", &format!("{what}, one too many"), &values, "OutOfRange");
        }
        let widths = [
            ("values of no bits", 0, 80),
            ("values of 67 bits", 67, 80),
            ("a blind of 129 bits more", 8, 129),
        ];
        for (what, l, sigma) in widths {
            let values = json!({ "blind_bits": sigma, "value_bits": l });
            self.values("layout", what, &values, "Packing");
        }
        for (what, x) in [("127 + 1 in 8 bits", "128"), ("-128 - 1 in 8 bits", "-129")] {
            let values = json!({ "blind_bits": 80, "value_bits": 8, "values": ["0", x] });
            self.values("offset", what, &values, "OutOfRange");
        }
        let beyond = BigUint::one() << 90u8;
        let mut values = json!({ "blind_bits": 80, "value_bits": 8, "count": 1 });
        values["plaintext"] = json!(hex(&beyond));
        self.values("unpack", "something beyond the only slot", &values, "OutOfRange");
    }
}
