//! Links over gRPC: frames arrive once and in order, whatever happens to connections.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common;

use bytes::Bytes;
use common::{House, past};
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::link::{Link, LinkError, MAX_FRAME};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{self, Input, Lines, Program, Setup};
use dyad_mpc::{Session, Shift};
use dyad_net::link::{EARLY, WINDOW_BYTES};
use dyad_net::{ClientAuth, Expect, GrpcLink, LinkHub, Tls, Validity, dial, serve};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::service::Routes;

/// Passes bytes on, until it is told to cut.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    live: Arc<Mutex<Vec<TcpStream>>>,
    closed: Arc<Mutex<bool>>,
    /// After about so many bytes every connection is cut. 0: it is not.
    every: Arc<AtomicUsize>,
    /// Connections cut for that.
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    fn new(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self {
            address,
            target,
            live: Arc::default(),
            closed: Arc::default(),
            every: Arc::default(),
            cuts: Arc::default(),
        };
        let proxy = this.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if *proxy.closed.lock().unwrap() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(proxy.target) else { continue };
                // No two alike.
                let every = proxy.every.load(SeqCst);
                let part = every / 4 * (proxy.cuts.load(SeqCst) * 7 % 11) / 10;
                let left = if every == 0 { usize::MAX } else { every - part };
                let left = Arc::new(AtomicUsize::new(left));
                for (from, to) in [(&client, &server), (&server, &client)] {
                    from.set_nodelay(true).unwrap();
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (left, cuts) = (left.clone(), proxy.cuts.clone());
                    thread::spawn(move || pass(from, to, &left, &cuts));
                }
                proxy.live.lock().unwrap().extend([client, server]);
            }
        });
        this
    }

    /// Cuts what is connected now, in the middle of whatever it is.
    fn cut(&self) {
        for socket in self.live.lock().unwrap().drain(..) {
            socket.shutdown(Shutdown::Both).ok();
        }
    }

    /// Lets nobody through any more.
    fn close(&self) {
        *self.closed.lock().unwrap() = true;
        self.cut();
    }

    /// Cuts again and again while this runs; how often.
    fn cutting<T>(&self, every: Duration, run: impl FnOnce() -> T) -> (T, u32) {
        let stop = Arc::new(Mutex::new(false));
        let (proxy, stopped) = (self.clone(), stop.clone());
        let cutter = thread::spawn(move || {
            let mut cuts = 0;
            while !*stopped.lock().unwrap() {
                // No two alike.
                sleep(every + every * (cuts * 7 % 11) / 10);
                proxy.cut();
                cuts += 1;
            }
            cuts
        });
        let out = run();
        *stop.lock().unwrap() = true;
        (out, cutter.join().unwrap())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicUsize, cuts: &AtomicUsize) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let before = left.load(SeqCst);
        let passed = read.min(before);
        left.store(before - passed, SeqCst);
        if to.write_all(&buffer[..passed]).is_err() {
            break;
        }
        if passed < read {
            cuts.fetch_add(1, SeqCst);
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// A service of links at C1, and C0 who dials.
struct Field {
    house: House,
    zero: Tls,
    one: Tls,
    hub: LinkHub,
    proxy: Proxy,
    runtime: Runtime,
}

impl Field {
    fn new() -> Self {
        let house = House::new();
        let (zero, one) = (house.tls("c0 zero"), house.tls("c1 one"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let hub = LinkHub::new();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let proxy = Proxy::new(listener.local_addr().unwrap());
        let (tls, routes) = (one.clone(), Routes::new(hub.service()));
        runtime.spawn(async move {
            serve(listener, &tls, ClientAuth::Required, routes, std::future::pending()).await
        });
        Self { house, zero, one, hub, proxy, runtime }
    }

    fn dial_as(&self, tls: &Tls, session: [u8; 32]) -> GrpcLink {
        let address = self.proxy.address.to_string();
        let line = tls.line(&address, Expect::identity(self.one.identity())).unwrap();
        dial(self.runtime.handle(), line, session)
    }

    /// The acceptor's end, then the dialler's.
    fn pair(&self, session: u8) -> (GrpcLink, GrpcLink) {
        let acceptor = self.hub.expect([session; 32], self.zero.identity());
        (acceptor, self.dial_as(&self.zero, [session; 32]))
    }

    fn shared_pair(&self, session: u8) -> (GrpcLink, GrpcLink) {
        let acceptor = self.hub.expect([session; 32], self.zero.identity());
        let address = self.proxy.address.to_string();
        let runtime = self.runtime.enter();
        let channel = self.zero.channel(&address, Expect::identity(self.one.identity())).unwrap();
        drop(runtime);
        (acceptor, dial(self.runtime.handle(), channel, [session; 32]))
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A frame that says which it is; of very different lengths.
fn frame(number: u32) -> Bytes {
    let length = match number % 7 {
        0 => 4,
        1 => 900,
        2 => 1100,
        3 => 70_000,
        4 => 5,
        5 => 20_000,
        _ if number % 49 == 6 => MAX_FRAME,
        _ => 300,
    };
    let mut bytes = vec![number as u8; length];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes.into()
}

/// Sends and receives at once; all must come.
fn exchange(link: &mut GrpcLink, frames: u32) {
    for number in 0..frames {
        link.send(frame(number)).unwrap();
        if number % 3 == 2 {
            for back in number - 2..=number {
                assert_eq!(link.recv(soon()).unwrap(), frame(back), "{back}");
            }
        }
    }
}

fn both(pair: (GrpcLink, GrpcLink), frames: u32) -> (GrpcLink, GrpcLink) {
    let (mut one, mut other) = pair;
    let running = thread::spawn(move || {
        exchange(&mut other, frames);
        other
    });
    exchange(&mut one, frames);
    (one, running.join().unwrap())
}

#[test]
fn frames_go_both_ways_and_the_end_is_seen() {
    let field = Field::new();
    for pair in [field.pair(1), field.shared_pair(2)] {
        let (mut one, mut other) = both(pair, 300);
        assert_eq!(one.traffic(), other.traffic());
        assert_eq!(one.traffic().messages_sent, 300);
        assert_eq!(one.traffic().rounds, 100);
        other.send(Bytes::from_static(b"last words")).unwrap();
        drop(other);
        assert_eq!(one.recv(soon()).unwrap(), &b"last words"[..]);
        assert!(matches!(one.recv(soon()), Err(LinkError::Closed)));
        assert!(matches!(one.send(Bytes::new()), Err(LinkError::Closed)));
    }
    let (mut one, mut other) = field.pair(3);
    other.send(Bytes::from_static(b"last words")).unwrap();
    other.finish(soon()).unwrap();
    assert_eq!(one.recv(soon()).unwrap(), &b"last words"[..]);
    assert!(matches!(one.recv(soon()), Err(LinkError::Closed)));
}

#[test]
fn nothing_is_lost_or_doubled_when_connections_are_cut() {
    let field = Field::new();
    // More than the longest frame both ways: or it would never get through.
    field.proxy.every.store(4 << 20, SeqCst);
    for pair in [field.pair(1), field.shared_pair(2)] {
        let before = field.proxy.cuts.load(SeqCst);
        field.proxy.cutting(Duration::from_millis(50), || both(pair, 1500));
        let cuts = field.proxy.cuts.load(SeqCst) - before;
        assert!(cuts > 10, "{cuts}");
    }
}

#[test]
fn what_was_sent_arrives_though_the_sender_has_left() {
    let field = Field::new();
    let (mut one, mut other) = field.pair(1);
    let (sent, _) = field.proxy.cutting(Duration::from_millis(20), || {
        let sender = thread::spawn(move || {
            for number in 0..700 {
                other.send(frame(number)).unwrap();
            }
        });
        for number in 0..700 {
            assert_eq!(one.recv(soon()).unwrap(), frame(number), "{number}");
        }
        sender.join()
    });
    sent.unwrap();
    assert!(matches!(one.recv(soon()), Err(LinkError::Closed)));
}

#[test]
fn a_peer_that_is_gone_for_good_is_late() {
    let field = Field::new();
    let (mut one, mut other) = both(field.pair(1), 30);
    field.proxy.close();
    for link in [&mut one, &mut other] {
        let start = Instant::now();
        let outcome = link.recv(start + Duration::from_millis(500));
        assert!(matches!(outcome, Err(LinkError::Late(_))), "{outcome:?}");
        assert!(start.elapsed() < Duration::from_secs(2));
        // A deadline that is over already does not wait.
        let start = Instant::now();
        assert!(matches!(link.recv(start), Err(LinkError::Late(_))));
        assert!(start.elapsed() < Duration::from_millis(300));
    }
}

#[test]
fn sending_waits_for_a_full_window_and_no_longer() {
    let field = Field::new();
    let (one, mut other) = field.pair(1);
    other = other.waiting(Duration::from_millis(300));
    let piece = Bytes::from(vec![1; 1 << 20]);
    let mut sent = 0;
    let start = Instant::now();
    let outcome = loop {
        match other.send(piece.clone()) {
            Ok(()) => sent += piece.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(outcome, LinkError::Late(_)), "{outcome:?}");
    assert_eq!(sent, WINDOW_BYTES);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(matches!(other.send(Bytes::from(vec![0; MAX_FRAME + 1])), Err(LinkError::TooLong(_))));
    // When the peer takes some, there is room again.
    let mut one = one;
    for _ in 0..WINDOW_BYTES >> 20 {
        assert_eq!(one.recv(soon()).unwrap(), piece);
    }
    other.send(piece.clone()).unwrap();
    assert_eq!(one.recv(soon()).unwrap(), piece);
}

#[test]
fn strangers_do_not_get_a_link() {
    let field = Field::new();
    // The right session, another party.
    let mut acceptor = field.hub.expect([1; 32], field.zero.identity());
    let owner = field.house.tls("owner north");
    let mut foreign = field.dial_as(&owner, [1; 32]);
    match foreign.recv(soon()) {
        Err(LinkError::Io(error)) => {
            let told = error.to_string();
            assert!(told.contains("only c0 zero may"), "{told}");
        }
        outcome => panic!("{outcome:?}"),
    }
    assert!(matches!(foreign.recv(soon()), Err(LinkError::Closed)));
    let nothing = acceptor.recv(Instant::now() + Duration::from_millis(50));
    assert!(matches!(nothing, Err(LinkError::Late(_))));
    // The right party still gets it.
    let mut dialler = field.dial_as(&field.zero, [1; 32]);
    dialler.send(Bytes::from_static(b"me")).unwrap();
    assert_eq!(acceptor.recv(soon()).unwrap(), &b"me"[..]);
    // Another certificate authority, and one that has expired.
    let other = House::new().tls("c0 zero");
    let expired = field.house.tls_of(field.house.issue("c0 zero", past()).0, None);
    for tls in [other, expired] {
        let outcome = field.dial_as(&tls, [1; 32]).recv(soon());
        assert!(matches!(outcome, Err(LinkError::Io(_))), "{outcome:?}");
    }
}

#[test]
fn sessions_may_be_expected_late_but_not_never() {
    let field = Field::new();
    let mut early = field.dial_as(&field.zero, [1; 32]);
    let mut unknown = field.dial_as(&field.zero, [2; 32]);
    sleep(Duration::from_millis(300));
    let mut acceptor = field.hub.expect([1; 32], field.zero.identity());
    acceptor.send(Bytes::from_static(b"now")).unwrap();
    assert_eq!(early.recv(soon()).unwrap(), &b"now"[..]);
    let start = Instant::now();
    assert!(matches!(unknown.recv(soon()), Err(LinkError::Closed)));
    assert!(start.elapsed() < EARLY + Duration::from_secs(2));
    // A session that was expected twice belongs to the second.
    let mut first = field.hub.expect([3; 32], field.zero.identity());
    let mut second = field.hub.expect([3; 32], field.zero.identity());
    assert!(matches!(first.recv(soon()), Err(LinkError::Closed)));
    drop(first);
    let outcome = second.recv(Instant::now() + Duration::from_millis(100));
    assert!(matches!(outcome, Err(LinkError::Late(_))));
}

#[test]
fn a_link_ends_with_its_certificate_and_lives_with_a_new_one() {
    let field = Field::new();
    let (mut acceptor, mut dialler) = field.pair(1);
    dialler.send(Bytes::from_static(b"1")).unwrap();
    acceptor.recv(soon()).unwrap();
    let (renewed, _) = field.house.issue("c0 zero", Validity::days(9));
    let (again, issued) = field.house.issue("c0 zero", Validity::days(9));
    field.zero.replace_credentials(renewed).unwrap();
    field.proxy.cut();
    dialler.send(Bytes::from_static(b"2")).unwrap();
    assert_eq!(acceptor.recv(soon()).unwrap(), &b"2"[..]);

    field.zero.replace_credentials(again).unwrap();
    field.proxy.cut();
    dialler.send(Bytes::from_static(b"3")).unwrap();
    assert_eq!(acceptor.recv(soon()).unwrap(), &b"3"[..]);
    // The living connection is of a certificate that is revoked now.
    field.one.replace_crl(field.house.crl(1, &[issued.serial])).unwrap();
    match dialler.recv(soon()) {
        Err(LinkError::Io(error)) => assert!(error.to_string().contains("revoked"), "{error}"),
        outcome => panic!("{outcome:?}"),
    }
}

/// Products and comparisons, enough for many frames of many sizes.
struct Busy;

const WIDE: usize = 3000;

impl Program for Busy {
    fn run<E: Engine>(&self, session: &mut Session<E>) -> dyad_mpc::Result<Vec<E::Opened>> {
        let x = session.input("x", Meta::new(1, WIDE, 62, 61))?;
        let low = session.input("low", Meta::new(1, WIDE, 10, 20))?;
        let mut open = vec![];
        for shift in 1..62 {
            let (y, sign) = session.relu(&[(&x, Shift::nearest(shift))])?.pop().unwrap();
            open.push(y);
            open.push(session.number(&sign)?);
            let masked = session.mask_one(&low)?;
            open.push(session.multiply(&masked, &masked)?);
        }
        let open: Vec<_> = open.iter().collect();
        session.open(&open, Audience::All)
    }
}

fn words(seed: u64, shift: u32) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        state
    };
    (0..WIDE).map(|_| (next() as i64 >> shift) as u64).collect()
}

#[test]
fn the_clouds_compute_the_same_over_lines_that_are_cut() {
    let field = Field::new();
    field.proxy.every.store(4 << 20, SeqCst);
    let inputs = [
        Input::new("x", Meta::new(1, WIDE, 62, 61), words(7, 4)),
        Input::new("low", Meta::new(1, WIDE, 10, 20), words(8, 45)),
    ];
    let plain = together::clear(&Busy, &inputs).unwrap();
    let mut setup = Setup::new(&inputs, Lines::Memory).unwrap();
    let (one, zero) = field.pair(1);
    setup.clouds = (Box::new(zero), Box::new(one));
    let (there, here) = field.pair(2);
    setup.dealing = (Box::new(here), Box::new(there));
    let (_, trace) = together::cost(&Busy).unwrap();
    let outcomes = together::run(&Busy, trace, setup);
    let cuts = field.proxy.cuts.load(SeqCst);
    assert!(cuts > 3, "{cuts}");
    let [(zero, _), (one, _)] = outcomes.clouds.map(Result::unwrap);
    assert!(zero == plain && one == plain);
    outcomes.dealer.unwrap();
}
