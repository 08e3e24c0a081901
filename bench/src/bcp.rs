//! The cryptosystem against num-bigint used the straight way, on one core.

use crate::figure::Figure;
use crate::measure::{Pair, compare, median, on_one_core, seconds};
use crate::{Bench, Done, Show};
use dyad_bcp::{
    Backend, Ciphertext, KeySize, MasterKey, ParaGen, Plaintext, PublicKey, PublicParams,
    SecretKey, UnifiedKey, fermat_many,
};
use num_bigint::BigUint;
use rand::TryRng;
use rand::rngs::SysRng;
use std::error::Error;
use std::hint::black_box;

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "bcp.modexp", about: "powers modulo N² with exponents of |N| bits", run: modexp
    },
    Bench {
        name: "bcp.modexp.portable",
        about: "the same without vector instructions",
        run: modexp_portable,
    },
    Bench { name: "bcp.encrypt", about: "encryption with cached tables", run: encrypt },
    Bench { name: "bcp.decrypt.user", about: "decryption by the owner", run: decrypt_user },
    Bench {
        name: "bcp.decrypt.master",
        about: "decryption with the master key, key known",
        run: decrypt_master,
    },
    Bench { name: "bcp.partial", about: "an owner's part of a joint decryption", run: partial },
    Bench {
        name: "bcp.paragen",
        about: "parameter generation on all cores; ratio: tests of one list of composite candidates",
        run: paragen,
    },
];

const SIZES: [KeySize; 2] = [KeySize::Bits2048, KeySize::Bits3072];
/// Items in a batch of ours, and in one of the baseline, which takes them one by one anyway.
const BATCH: usize = 64;
const BASELINE_BATCH: usize = 4;

/// Everything the benchmarks need at one size.
struct World {
    params: PublicParams,
    master: MasterKey,
    secret: SecretKey,
    n_squared: BigUint,
}

impl World {
    fn new(size: KeySize) -> Result<Self, Box<dyn Error>> {
        let (params, master) = ParaGen::new(size).run()?;
        let secret = SecretKey::generate(&params)?;
        Ok(Self { n_squared: params.n_squared().clone(), params, master, secret })
    }

    fn key(&self) -> &PublicKey {
        self.secret.public()
    }

    fn plaintexts(&self) -> Result<Vec<Plaintext>, dyad_bcp::Error> {
        (0..BATCH).map(|_| Plaintext::random(&self.params)).collect()
    }

    /// Random numbers of `bits` bits.
    fn numbers(bits: usize) -> Result<Vec<BigUint>, Box<dyn Error>> {
        (0..BATCH)
            .map(|_| {
                let mut bytes = vec![0; bits / 8];
                SysRng.try_fill_bytes(&mut bytes)?;
                bytes[0] |= 0x80;
                Ok(BigUint::from_bytes_be(&bytes))
            })
            .collect()
    }
}

fn figure(bench: &'static str, params: String, pair: &Pair, baseline: &'static str) -> Figure {
    Figure {
        bench,
        params,
        value: pair.ours * 1e3,
        unit: "ms",
        baseline: Some(baseline),
        ratio: Some(pair.ratio()),
        ..Figure::default()
    }
}

fn describe(size: KeySize, backend: Backend) -> String {
    format!("{} bits, {backend:?}, batch {BATCH}", size.bits())
}

fn modexp(show: Show<'_>) -> Done {
    modexp_on("bcp.modexp", Backend::detect(), show)
}

fn modexp_portable(show: Show<'_>) -> Done {
    modexp_on("bcp.modexp.portable", Backend::Portable, show)
}

fn modexp_on(name: &'static str, backend: Backend, show: Show<'_>) -> Done {
    for size in SIZES {
        let world = World::new(size)?;
        let (n, g) = (world.params.n().clone(), world.params.g().clone());
        let params = PublicParams::with_backend(size, n, g, backend)?;
        let bits = size.bits();
        let exponents = World::numbers(bits)?;
        let bases: Vec<_> =
            World::numbers(2 * bits)?.iter().map(|x| x % &world.n_squared).collect();
        // The portable backend works one by one: a smaller batch tells the same sooner.
        let batch = if backend == Backend::Portable { 2 * BASELINE_BATCH } else { BATCH };
        let pair = on_one_core(|| {
            compare(
                batch,
                || drop(black_box(params.pow_many(&bases[..batch], &exponents[..batch], bits))),
                BASELINE_BATCH,
                || {
                    for (x, e) in bases.iter().zip(&exponents).take(BASELINE_BATCH) {
                        black_box(x.modpow(e, &world.n_squared));
                    }
                },
            )
        })?;
        let described = format!("{bits} bits, {backend:?}, batch {batch}");
        show(figure(name, described, &pair, "num-bigint modpow"))?;
    }
    Ok(())
}

fn encrypt(show: Show<'_>) -> Done {
    for size in SIZES {
        let world = World::new(size)?;
        let plaintexts = world.plaintexts()?;
        let (g, h) = (world.params.g(), world.key().h());
        let r: Vec<_> =
            World::numbers(2 * size.bits())?.iter().map(|r| r % (&world.n_squared >> 1)).collect();
        let pair = on_one_core(|| {
            compare(
                BATCH,
                || drop(black_box(world.key().encrypt_many(&plaintexts))),
                1,
                || {
                    black_box(g.modpow(&r[0], &world.n_squared));
                    black_box(h.modpow(&r[0], &world.n_squared));
                },
            )
        })?;
        show(figure(
            "bcp.encrypt",
            describe(size, Backend::detect()),
            &pair,
            "num-bigint modpow, two",
        ))?;
    }
    Ok(())
}

/// What is one power of A with the owner's secret as exponent, beside that power.
fn power_of_secret(
    bench: &'static str,
    world: &World,
    size: KeySize,
    ciphertext: &Ciphertext,
    ours: impl FnMut() + Send,
) -> Result<Figure, Box<dyn Error>> {
    // Any exponent of the same length costs the same.
    let sk = World::numbers(2 * size.bits() - 8)?.swap_remove(0);
    let baseline = || drop(black_box(ciphertext.a().modpow(&sk, &world.n_squared)));
    let pair = on_one_core(|| compare(BATCH, ours, 1, baseline))?;
    Ok(figure(bench, describe(size, Backend::detect()), &pair, "num-bigint modpow, one"))
}

fn decrypt_user(show: Show<'_>) -> Done {
    for size in SIZES {
        let world = World::new(size)?;
        let ciphertexts = world.key().encrypt_many(&world.plaintexts()?)?;
        let ours = || drop(black_box(world.secret.decrypt_many(&ciphertexts)));
        show(power_of_secret("bcp.decrypt.user", &world, size, &ciphertexts[0], ours)?)?;
    }
    Ok(())
}

fn decrypt_master(show: Show<'_>) -> Done {
    for size in SIZES {
        let world = World::new(size)?;
        let ciphertexts = world.key().encrypt_many(&world.plaintexts()?)?;
        let known = world.master.know(world.key())?;
        // p'q' has |N| - 2 bits; tau = ar mod N has |N|.
        let e = World::numbers(size.bits())?;
        let (half, tau) = (&e[0] >> 2u8, &e[1]);
        let pair = on_one_core(|| {
            compare(
                BATCH,
                || drop(black_box(world.master.decrypt_many(&known, &ciphertexts))),
                1,
                || {
                    black_box(ciphertexts[0].a().modpow(&half, &world.n_squared));
                    black_box(world.params.g().modpow(tau, &world.n_squared));
                    black_box(ciphertexts[0].b().modpow(&half, &world.n_squared));
                },
            )
        })?;
        show(figure(
            "bcp.decrypt.master",
            describe(size, Backend::detect()),
            &pair,
            "num-bigint modpow, three",
        ))?;
    }
    Ok(())
}

fn partial(show: Show<'_>) -> Done {
    for size in SIZES {
        let world = World::new(size)?;
        let other = SecretKey::generate(&world.params)?;
        let unified = UnifiedKey::new(&[world.key().clone(), other.public().clone()])?;
        let ciphertexts = unified.key().encrypt_many(&world.plaintexts()?)?;
        let heads: Vec<_> = ciphertexts.iter().map(Ciphertext::head).collect();
        let ours = || drop(black_box(world.secret.partial_many(&unified, &heads)));
        show(power_of_secret("bcp.partial", &world, size, &ciphertexts[0], ours)?)?;
    }
    Ok(())
}

fn paragen(show: Show<'_>) -> Done {
    for size in SIZES {
        let mut times = (0..5)
            .map(|_| {
                let mut made = Ok(());
                let time = seconds(|| made = ParaGen::new(size).run().map(|_| ()));
                made.map(|()| time)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let candidates = sieved(size.bits() / 2 - 1)?;
        let pair = on_one_core(|| {
            compare(
                candidates.len(),
                || drop(black_box(fermat_many(&candidates, Backend::detect()))),
                candidates.len(),
                || {
                    for c in &candidates {
                        black_box(num_prime::nt_funcs::is_prime(c, None));
                    }
                },
            )
        })?;
        show(Figure {
            bench: "bcp.paragen",
            params: format!(
                "{} bits, {} cores, median of 5",
                size.bits(),
                rayon::current_num_threads()
            ),
            value: median(&mut times),
            unit: "s",
            baseline: Some("num-prime is_prime, candidates per second, one core"),
            ratio: Some(pair.ratio()),
            ..Figure::default()
        })?;
    }
    Ok(())
}

/// What a search spends its time on: random odd numbers without a factor below 1000 that are
/// composite. A prime takes num-prime many times as long, and whether one is among a few is chance.
fn sieved(bits: usize) -> Result<Vec<BigUint>, Box<dyn Error>> {
    let mut found = Vec::new();
    while found.len() < BATCH {
        let mut odd = World::numbers(bits + 8 - bits % 8)?;
        for c in &mut odd {
            *c >>= 8 - bits % 8;
            c.set_bit(0, true);
        }
        odd.retain(|c| (3u32..1000).step_by(2).all(|d| c % d != BigUint::ZERO));
        let prime = fermat_many(&odd, Backend::detect())?;
        found.extend(odd.into_iter().zip(prime).filter_map(|(c, prime)| (!prime).then_some(c)));
    }
    found.truncate(BATCH);
    Ok(found)
}
