//! Ciphertexts times secret integers, packing, and randomness made in advance: against num-bigint,
//! on every backend.

mod common;

use common::{fixture, plain};
use dyad_bcp::matrix::{Int, SecretMatrix};
use dyad_bcp::{Backend, Ciphertext, MasterKey, Plaintext, Pool, PublicKey, SecretKey};
use num_bigint::{BigInt, BigUint, Sign};
use zeroize::Zeroizing;

struct World {
    master: MasterKey,
    key: PublicKey,
}

/// Numbers that are the same in every run.
struct Stream(u64);

impl Stream {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 ^ (self.0 >> 29)
    }

    /// Below 2^bits, and now and then at an edge of it; negative as well if signed.
    fn int(&mut self, bits: usize, signed: bool) -> BigInt {
        let top = BigInt::from(1) << bits;
        let x = match self.word() % 8 {
            0 => BigInt::from(0),
            1 => &top - 1,
            _ => {
                let digits: Vec<u32> = (0..8).map(|_| self.word() as u32).collect();
                BigInt::from(BigUint::new(digits)) % &top
            }
        };
        if signed && self.word().is_multiple_of(2) { -x } else { x }
    }
}

fn words(x: &BigInt) -> Int {
    let wrapped = if x.sign() == Sign::Minus { (BigInt::from(1) << 256) + x } else { x.clone() };
    let digits = wrapped.to_biguint().expect("not negative").to_u64_digits();
    core::array::from_fn(|i| digits.get(i).copied().unwrap_or(0))
}

impl World {
    fn new(name: &str, backend: Backend) -> Self {
        let (params, master) = fixture(name).on(backend);
        let key = SecretKey::generate(&params).expect("key").public().clone();
        Self { master, key }
    }

    fn residue(&self, x: &BigInt) -> BigUint {
        let n = BigInt::from(self.key.params().n().clone());
        (((x % &n) + &n) % &n).to_biguint().expect("not negative")
    }

    fn encrypt(&self, x: &[BigInt]) -> Vec<Ciphertext> {
        let m = |x| Plaintext::from_biguint(self.key.params(), &self.residue(x)).expect("below N");
        self.key.encrypt_many(&x.iter().map(m).collect::<Vec<_>>()).expect("encryption")
    }

    fn open(&self, x: &[Ciphertext]) -> Vec<BigUint> {
        let known = self.master.know(&self.key).expect("known");
        let opened = self.master.decrypt_many(&known, x).expect("decryption");
        opened.iter().map(Plaintext::to_biguint).collect()
    }
}

fn worlds() -> impl Iterator<Item = (&'static str, World)> {
    let sizes = ["256", "512", "2048"];
    let all = Backend::available().into_iter();
    all.flat_map(move |backend| sizes.map(|name| (name, World::new(name, backend))))
}

/// Rows, inner, columns, bits: fewer and more than lanes, windows and lots of tables.
const SHAPES: [(usize, usize, usize, usize); 9] = [
    (1, 1, 1, 1),
    (3, 2, 1, 9),
    (9, 7, 1, 116),
    (9, 13, 2, 80),
    (2, 9, 8, 117),
    (1, 45, 9, 33),
    (5, 3, 17, 254),
    (2, 83, 3, 20),
    (0, 4, 3, 20),
];

#[test]
fn a_product_with_a_secret_matrix_is_what_its_powers_are() {
    for (name, world) in worlds() {
        let mut stream = Stream(7);
        for (rows, inner, cols, bits) in SHAPES {
            if name == "2048" && rows * inner * cols > 100 {
                continue;
            }
            for signed in [false, true] {
                let x: Vec<BigInt> = (0..rows * inner).map(|_| stream.int(90, true)).collect();
                let s: Vec<BigInt> = (0..inner * cols).map(|_| stream.int(bits, signed)).collect();
                let c = world.encrypt(&x);
                let secret = s.iter().map(words).collect();
                let secret = SecretMatrix::new(inner, cols, secret, bits, signed).expect("fits");
                let z = world.key.times_matrix(&c, &secret).expect("a product");
                assert_eq!(z.len(), rows * cols);
                // The very group elements.
                let modulus = world.key.params().n_squared();
                for (at, z) in z.iter().enumerate().filter(|(at, _)| at % 5 == 0) {
                    let (m, j) = (at / cols, at % cols);
                    let power = |part: fn(&Ciphertext) -> &BigUint| {
                        (0..inner).fold(BigUint::from(1u8), |product, k| {
                            let s = &s[k * cols + j];
                            let base = part(&c[m * inner + k]);
                            let power = base.modpow(s.magnitude(), modulus);
                            let negative = s.sign() == Sign::Minus;
                            let inverse = || power.modinv(modulus).expect("a unit");
                            product * if negative { inverse() } else { power } % modulus
                        })
                    };
                    assert_eq!(*z.a(), power(Ciphertext::a), "{rows}x{inner}x{cols}, A {at}");
                    assert_eq!(*z.b(), power(Ciphertext::b), "{rows}x{inner}x{cols}, B {at}");
                }
                for (at, z) in world.open(&z).iter().enumerate() {
                    let (m, j) = (at / cols, at % cols);
                    let sum = (0..inner).map(|k| &x[m * inner + k] * &s[k * cols + j]).sum();
                    assert_eq!(*z, world.residue(&sum), "{name} {rows}x{inner}x{cols}, {at}");
                }
            }
        }
    }
}

#[test]
fn integers_beyond_what_is_declared_are_refused() {
    let one = |x: i64, bits, signed| {
        SecretMatrix::new(1, 1, vec![words(&BigInt::from(x))], bits, signed).is_ok()
    };
    assert!(one(15, 4, false) && !one(16, 4, false) && !one(-1, 4, false));
    assert!(one(15, 4, true) && one(-16, 4, true) && !one(16, 4, true) && !one(-17, 4, true));
    assert!(!one(0, 255, false) && SecretMatrix::new(2, 2, vec![[0; 4]], 3, false).is_err());
    let world = World::new("256", Backend::Portable);
    let c = world.encrypt(&[1, 2, 3].map(BigInt::from));
    let s = |rows| SecretMatrix::new(rows, 1, vec![[1, 0, 0, 0]; rows], 1, false).expect("ones");
    assert!(world.key.times_matrix(&c, &s(2)).is_err());
    assert!(world.key.times_matrix(&c, &s(3)).is_ok());
    assert!(world.key.combine_many(&c, 2, 9).is_err() && world.key.combine_many(&c, 0, 9).is_err());
}

#[test]
fn packing_and_public_factors_are_what_they_say() {
    for (_, world) in worlds() {
        let mut stream = Stream(3);
        let x: Vec<BigInt> = (0..30).map(|_| stream.int(40, true)).collect();
        let c = world.encrypt(&x);
        for (terms, width) in [(1, 50), (2, 1), (3, 70), (5, 45)] {
            let packed = world.open(&world.key.combine_many(&c, terms, width).expect("rows"));
            for (some, packed) in x.chunks(terms).zip(packed) {
                let sum: BigInt = some.iter().enumerate().map(|(j, x)| x << (j * width)).sum();
                assert_eq!(packed, world.residue(&sum));
            }
        }
        for k in [0i64, 1, -1, 2, -64, -77, i64::MAX, i64::MIN] {
            let scaled = world.key.scale_by_vartime(&c, k).expect("scaled");
            for (x, scaled) in x.iter().zip(world.open(&scaled)) {
                assert_eq!(scaled, world.residue(&(x * k)));
            }
        }
        for bits in [0, 1, 130] {
            let shifted = world.open(&world.key.shift_many(&c, bits).expect("shifted"));
            assert!(x.iter().zip(shifted).all(|(x, y)| y == world.residue(&(x << bits))));
        }
        // Wide numbers in two's complement.
        let wide: Vec<BigInt> = (0..9).map(|i| stream.int(250, true) << (300 * i)).collect();
        let limbs = |x: &BigInt| {
            let wrapped: BigInt = (BigInt::from(1) << 3200) + x;
            let mut digits = wrapped.to_biguint().expect("not negative").to_u64_digits();
            digits.resize(50, 0);
            Zeroizing::new(digits)
        };
        let reduced = world.key.reduce_many(&wide.iter().map(limbs).collect::<Vec<_>>());
        for (x, m) in wide.iter().zip(&reduced) {
            assert_eq!(m.to_biguint(), world.residue(x));
        }
        let trivial = world.key.trivial(&reduced[1]);
        assert_eq!(world.open(&[trivial]), [reduced[1].to_biguint()]);
    }
}

#[test]
fn randomness_made_in_advance_encrypts_and_is_used_once() {
    for (_, world) in worlds() {
        let params = world.key.params();
        let m: Vec<Plaintext> = (0..5).map(|i| plain(params, 1000 + i)).collect();
        let mut pool = Pool::new(&world.key);
        pool.fill(3).expect("made");
        assert_eq!(pool.len(), 3);
        let c = world.key.encrypt_with(&m, pool.take(5).expect("made")).expect("encrypted");
        assert!(pool.is_empty());
        assert_eq!(world.open(&c), m.iter().map(Plaintext::to_biguint).collect::<Vec<_>>());
        // No A comes twice, nor after blinding.
        let zeros = vec![plain(params, 0); 5];
        let other = world.key.blind_with(&c, &zeros, pool.take(5).expect("made")).expect("blind");
        let mut heads: Vec<_> = c.iter().chain(&other).map(|c| c.a().clone()).collect();
        heads.sort();
        heads.dedup();
        assert_eq!(heads.len(), 10);
        assert_eq!(world.open(&other), world.open(&c));
        assert!(world.key.encrypt_with(&m, pool.take(4).expect("made")).is_err());
        // Another key's is refused.
        let stranger = SecretKey::generate(params).expect("key");
        let fresh = stranger.public().fresh_many(1).expect("made");
        assert!(format!("{fresh:?}").contains("redacted"));
        assert!(world.key.encrypt_with(&m[..1], fresh).is_err());
        let fresh = stranger.public().fresh_many(1).expect("made");
        assert!(pool.put(fresh).is_err());
    }
}

#[test]
fn signed_numbers_wider_than_their_slots_are_packed() {
    for (_, world) in worlds() {
        let mut stream = Stream(11);
        for (count, width) in [(1usize, 145usize), (3, 60), (2, 130), (0, 9), (5, 64)] {
            let x: Vec<BigInt> = (0..count).map(|_| stream.int(200, true)).collect();
            let ints: Vec<Int> = x.iter().map(words).collect();
            let packed = world.key.pack_ints([&ints[..], &ints[..]], width);
            let sum: BigInt = x.iter().enumerate().map(|(j, x)| x << (j * width)).sum();
            assert_eq!(packed[0].to_biguint(), world.residue(&sum), "{count} of {width}");
            assert_eq!(packed[0], packed[1]);
        }
        // Slots hold what was put in, and nothing may lie beyond.
        let bits = world.key.params().n().bits() as usize - 1;
        for width in [1usize, 31, 64, 101, 145] {
            let count = bits / width;
            let x: Vec<BigInt> = (0..count).map(|_| stream.int(width, false)).collect();
            let ints: Vec<Int> = x.iter().map(words).collect();
            let m = &world.key.pack_ints([&ints[..]], width)[0];
            assert_eq!(m.slots(width, count).expect("slots"), ints);
            let last = x.iter().rposition(|x| *x != BigInt::from(0)).expect("not all zero");
            assert!(m.slots(width, last).is_err());
        }
    }
}

#[test]
fn words_are_admitted_if_they_are_ciphertexts() {
    let world = World::new("512", Backend::Portable);
    let c = world.encrypt(&[1, 2, 3].map(BigInt::from));
    let words = world.key.to_words(&c).expect("words");
    assert_eq!(words.len(), 3 * world.key.words());
    assert_eq!(world.key.admit_words(&words).expect("admitted"), c);
    assert!(world.key.admit_words(&words[1..]).is_err());
    let zero = [&words[..2 * world.key.words()], &vec![0; world.key.words()]].concat();
    let refused = world.key.admit_words(&zero).expect_err("zero is no unit");
    assert_eq!(refused, dyad_bcp::Error::NotAResidue { index: 2 });
    assert!(world.key.admit_words(&vec![u64::MAX; world.key.words()]).is_err());
}

/// The holder of the primes makes randomness with a quarter of the work: as good as any.
#[test]
fn randomness_of_who_knows_the_primes_encrypts_alike() {
    for (_, world) in worlds() {
        let maker = world.master.fresh_maker(&world.key).expect("a key in G");
        assert!(format!("{maker:?}").contains("redacted"));
        let params = world.key.params();
        let m: Vec<Plaintext> = (0..19).map(|i| plain(params, 7000 + i)).collect();
        let fresh = maker.many(m.len()).expect("made");
        let c = world.key.encrypt_with(&m, fresh).expect("encrypted");
        assert_eq!(world.open(&c), m.iter().map(Plaintext::to_biguint).collect::<Vec<_>>());
        // In G, below N², and no two alike.
        let residues: Vec<&BigUint> = c.iter().flat_map(|c| [c.a(), c.b()]).collect();
        world.master.check_members(&residues).expect("members");
        let mut heads: Vec<_> = c.iter().map(Ciphertext::a).collect();
        heads.sort();
        heads.dedup();
        assert_eq!(heads.len(), m.len());
        assert!(maker.many(0).expect("nothing").is_empty());
    }
}

/// g^r and h^r belong together: the owner, who knows log h / log g and nothing of the primes, opens.
#[test]
fn the_owner_opens_what_was_made_with_the_primes() {
    for name in ["256", "512"] {
        let (params, master) = fixture(name).on(Backend::detect());
        let secret = SecretKey::generate(&params).expect("key");
        let maker = master.fresh_maker(secret.public()).expect("a key in G");
        let m = [plain(&params, 5), plain(&params, 77)];
        let c = secret.public().encrypt_with(&m, maker.many(2).expect("made")).expect("encrypted");
        assert_eq!(secret.decrypt_many(&c).expect("opened"), m);
        // Another key's maker is no use.
        let stranger = SecretKey::generate(&params).expect("key");
        assert!(stranger.public().encrypt_with(&m, maker.many(2).expect("made")).is_err());
    }
}
