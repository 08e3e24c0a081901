//! What ParaGen promises, at sizes where it takes no time.

use super::common::{big, plain};
use dyad_bcp::{
    Backend, Error, KeySize, MasterKey, ParaGen, ParamsFault, Progress, PublicParams, SecretKey,
};
use num_bigint::BigUint;
use num_integer::Integer;
use num_prime::nt_funcs::is_prime;
use num_traits::One;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// p and q, as the encoding spells them: after the head and the parameters' id.
fn primes(master: &MasterKey) -> [BigUint; 2] {
    let bytes = &master.to_bytes()[4 + 32..];
    let (p, q) = bytes.split_at(bytes.len() / 2);
    [p, q].map(BigUint::from_bytes_be)
}

fn check(params: &PublicParams, master: &MasterKey, bits: u64) {
    let (n, n_squared, g) = (params.n(), params.n_squared(), params.g());
    let [p, q] = primes(master);
    assert_eq!(n.bits(), bits);
    assert_eq!(*n, &p * &q);
    assert_ne!(p, q);
    let halves = [&p >> 1u8, &q >> 1u8];
    for x in [&p, &q].into_iter().chain(&halves) {
        assert!(is_prime(x, None).probably(), "{x} is prime");
    }
    assert!([&p, &q].iter().all(|p| p.bits() == bits / 2 && p.bit(0) && p.bit(1)));

    // g^{p'q'} = 1 + kN with k prime to N, so the order of g is N p'q': no proper part will do.
    let e = &halves[0] * &halves[1];
    let power = g.modpow(&e, n_squared);
    assert!((&power % n).is_one());
    assert!(((power - 1u8) / n).gcd(n).is_one());
    assert!(n.gcd(&e).is_one());
    let order = n * &e;
    assert!(g.modpow(&order, n_squared).is_one());
    for factor in [&p, &q, &halves[0], &halves[1]] {
        assert!(!g.modpow(&(&order / factor), n_squared).is_one());
    }
    // A square modulo both primes.
    for (p, half) in [&p, &q].into_iter().zip(&halves) {
        assert!(g.modpow(half, p).is_one());
    }
    // And what came out works.
    let owner = SecretKey::generate(params).expect("a key");
    let c = owner.public().encrypt(&plain(params, 4711)).expect("encryption");
    let known = master.know(owner.public()).expect("a key in G");
    assert_eq!(owner.decrypt(&c).expect("uDec"), plain(params, 4711));
    assert_eq!(master.decrypt(&known, &c).expect("mDec"), plain(params, 4711));
}

fn size(bits: usize) -> KeySize {
    KeySize::insecure_from_bits(bits).expect("a size for tests")
}

#[test]
fn parameters_are_what_they_should_be() {
    for backend in Backend::available() {
        for bits in [32, 34, 40, 48, 62, 64, 66, 96, 126, 128, 130, 192, 256] {
            let generated = ParaGen::new(size(bits)).backend(backend).run();
            let (params, master) = generated.expect("parameters");
            assert_eq!(params.backend(), backend);
            check(&params, &master, bits as u64);
        }
    }
}

#[test]
fn no_two_generations_agree() {
    let run = || ParaGen::new(size(128)).run().expect("parameters").0;
    let (x, y) = (run(), run());
    assert_ne!(x.id(), y.id());
    assert!(x.n().gcd(y.n()).is_one(), "not even one prime twice");
    assert_ne!(x.g() % x.n(), big(4), "g is drawn");
}

#[test]
fn sizes_without_two_equal_halves_are_refused() {
    for bits in [8, 30, 31, 33, 127] {
        let refused = ParaGen::new(size(bits)).run().map(|_| ());
        assert_eq!(refused, Err(Error::Params(ParamsFault::Size)), "{bits} bits");
    }
}

#[test]
fn progress_is_told_and_grows() {
    let told: Mutex<Vec<Progress>> = Mutex::new(Vec::new());
    let tell = |p: Progress| told.lock().expect("no panic").push(p);
    // One thread: then the reports come in order.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    pool.install(|| ParaGen::new(size(256)).progress(&tell).run()).expect("parameters");
    let told = told.into_inner().expect("no panic");
    assert!(!told.is_empty());
    assert!(told.iter().all(|p| p.tested > 0 && p.expected > 0 && p.found <= 2));
    assert!(told.is_sorted_by_key(|p| (p.tested, p.found)));
    assert!(told[0].expected == told[told.len() - 1].expected);
}

/// What `run` gives, unless it takes longer than a search of toy primes ever should.
fn in_time<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(send.send(run())));
    receive.recv_timeout(Duration::from_mins(1)).expect("the search hangs")
}

fn threads(count: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("a pool")
}

#[test]
fn progress_may_let_other_work_run() {
    // A thread that is busy elsewhere leaves its walker to whoever yields: to the same thread, in
    // the midst of the callback.
    in_time(|| {
        let pool = threads(2);
        let (busy, free) = std::sync::mpsc::channel::<()>();
        pool.spawn(move || assert!(free.recv().is_err(), "until the sender is dropped"));
        let yields = |_: Progress| {
            rayon::yield_now();
        };
        pool.install(|| ParaGen::new(size(512)).progress(&yields).run()).expect("parameters");
        drop(busy);
    });
    in_time(|| {
        let joins = |_: Progress| {
            rayon::join(rayon::yield_now, rayon::yield_now);
        };
        threads(4).install(|| ParaGen::new(size(512)).progress(&joins).run()).expect("parameters");
    });
}

/// A search of eight threads whose progress is slow, cancelled when it has been told nine times.
/// Gives the most callbacks at once and how long cancelling took, or nothing if the search was
/// lucky and over before.
fn cancelled_while_slow() -> Option<(usize, Duration)> {
    let (at_once, most, told) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let (cancel, at) = (AtomicBool::new(false), Mutex::new(None));
    let slow = |_: Progress| {
        most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        at_once.fetch_sub(1, Ordering::SeqCst);
        if told.fetch_add(1, Ordering::SeqCst) >= 8 {
            cancel.store(true, Ordering::SeqCst);
            at.lock().expect("no panic").get_or_insert_with(Instant::now);
        }
    };
    let search = ParaGen::new(KeySize::Bits3072).progress(&slow).cancel(&cancel);
    match threads(8).install(|| search.run().map(|_| ())) {
        Ok(()) => None,
        Err(error) => {
            assert_eq!(error, Error::Cancelled);
            let at = at.into_inner().expect("no panic").expect("told often enough");
            Some((most.load(Ordering::SeqCst), at.elapsed()))
        }
    }
}

#[test]
fn slow_progress_holds_up_its_own_thread_alone() {
    let cancelled = std::iter::repeat_with(cancelled_while_slow).take(40).flatten().next();
    let (most, took) = cancelled.expect("not every search is that lucky");
    assert!(most > 1, "one callback at a time");
    // One after the other, eight of them would take 2.4 s longer than what is under way.
    assert!(took < Duration::from_millis(2300), "{took:?}");
}

#[test]
fn a_search_that_is_cancelled_before_it_starts_finds_nothing() {
    let cancel = AtomicBool::new(true);
    let cancelled = ParaGen::new(KeySize::Bits4096).cancel(&cancel).run().map(|_| ());
    assert_eq!(cancelled, Err(Error::Cancelled));
}

#[test]
fn a_search_ends_soon_after_it_is_cancelled() {
    let (cancel, at) = (AtomicBool::new(false), Mutex::new(None));
    let tell = |_: Progress| {
        cancel.store(true, Ordering::Relaxed);
        at.lock().expect("no panic").get_or_insert_with(Instant::now);
    };
    let search = ParaGen::new(KeySize::Bits3072).progress(&tell).cancel(&cancel);
    assert_eq!(search.run().map(|_| ()), Err(Error::Cancelled));
    let at = at.into_inner().expect("no panic").expect("told at least once");
    assert!(at.elapsed() < Duration::from_secs(3), "{:?}", at.elapsed());
}
