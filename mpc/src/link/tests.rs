//! Every kind of link carries the same frames, and tells what goes wrong.

use super::faulty::{Fault, Faulty};
use super::shaped::{Shape, Shaped};
use super::tcp::TcpLink;
use super::*;
use crate::wire::WINDOW;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{scope, sleep};

fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    (here, listener.accept().expect("accepted").0)
}

fn tcp() -> (TcpLink, TcpLink) {
    let (a, b) = sockets();
    (TcpLink::new(a).expect("a link"), TcpLink::new(b).expect("a link"))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn at_once() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

fn far(bytes_per_second: f64) -> Shape {
    Shape { delay: Duration::from_millis(20), bytes_per_second }
}

/// Name and both ends of a link.
type Ends = (&'static str, Box<dyn Link>, Box<dyn Link>);

/// Each kind of link.
fn all() -> Vec<Ends> {
    fn both<L: Link + 'static>(name: &'static str, ends: (L, L)) -> Ends {
        (name, Box::new(ends.0), Box::new(ends.1))
    }
    let (a, b) = memory::pair();
    vec![
        both("memory", memory::pair()),
        both("tcp", tcp()),
        both("shaped", (Shaped::new(a, far(1e9)), Shaped::new(b, far(1e9)))),
    ]
}

fn frame(length: usize, seed: u8) -> Bytes {
    (0..length).map(|i| (i * 31 + i / 251) as u8 ^ seed).collect::<Vec<u8>>().into()
}

#[test]
fn frames_arrive_whole_once_and_in_order() {
    for (name, mut a, mut b) in all() {
        for (i, length) in [0, 1, 8, 65_535, 65_536, 65_537, MAX_FRAME - 8].into_iter().enumerate()
        {
            a.send(frame(length, i as u8)).expect(name);
        }
        for (i, length) in [0, 1, 8, 65_535, 65_536, 65_537, MAX_FRAME - 8].into_iter().enumerate()
        {
            assert_eq!(b.recv(soon()).expect(name), frame(length, i as u8), "{name}");
        }
        assert!(matches!(b.recv(at_once()), Err(LinkError::Late(_))), "{name}");
    }
}

/// A sender that runs away waits for the one who takes, and then is late: by number and by bytes.
#[test]
fn what_waits_in_memory_is_bounded() {
    for (length, held) in [(8, WAITING_FRAMES), (MAX_FRAME, 2 * WINDOW)] {
        let (a, mut b) = memory::pair();
        let mut a = a.waiting(Duration::from_millis(50));
        (0..held).for_each(|_| a.send(frame(length, 1)).expect("room"));
        assert!(matches!(a.send(frame(length, 1)), Err(LinkError::Late(_))));
        b.recv(soon()).expect("one");
        a.send(frame(length, 2)).expect("room again");
        // Whoever waits goes on as soon as there is room, and learns when nobody is left to take.
        let mut a = a.waiting(Duration::from_secs(10));
        let (told, sent) = std::sync::mpsc::channel();
        scope(|scope| {
            scope.spawn(move || {
                b.recv(soon()).expect("one");
                sent.recv().expect("told");
                sleep(Duration::from_millis(20));
                drop(b);
            });
            a.send(frame(length, 3)).expect("room again");
            told.send(()).expect("there");
            assert!(matches!(a.send(frame(length, 4)), Err(LinkError::Closed)));
        });
    }
}

#[test]
fn two_large_frames_at_once_do_not_block_each_other() {
    for (name, mut a, mut b) in all() {
        scope(|scope| {
            // As many as a party sends before it takes the first: more than sockets hold.
            let (big, count) = (MAX_FRAME - 8, WINDOW);
            let (ours, theirs) = (frame(big, 2), frame(big, 1));
            let both = [ours.clone(), theirs.clone()];
            let there = scope.spawn(move || {
                let [ours, theirs] = both;
                (0..count).for_each(|_| b.send(theirs.clone()).expect(name));
                (0..count).for_each(|_| assert!(b.recv(soon()).expect(name) == ours));
            });
            (0..count).for_each(|_| a.send(ours.clone()).expect(name));
            (0..count).for_each(|_| assert!(a.recv(soon()).expect(name) == theirs));
            there.join().expect(name);
        });
    }
}

#[test]
fn a_deadline_passes_without_a_frame_and_the_link_goes_on() {
    for (name, mut a, mut b) in all() {
        let start = Instant::now();
        assert!(matches!(b.recv(at_once()), Err(LinkError::Late(_))), "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}");
        a.send(frame(3, 0)).expect(name);
        assert_eq!(b.recv(soon()).expect(name), frame(3, 0));
    }
}

#[test]
fn a_peer_that_is_gone_is_noticed_before_the_deadline() {
    for (name, mut a, b) in all() {
        drop(b);
        let start = Instant::now();
        assert!(matches!(a.recv(soon()), Err(LinkError::Closed | LinkError::Io(_))), "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}");
    }
}

#[test]
fn what_was_sent_before_hanging_up_still_arrives() {
    for (name, mut a, mut b) in all() {
        a.send(frame(100_000, 3)).expect(name);
        drop(a);
        assert_eq!(b.recv(soon()).expect(name), frame(100_000, 3));
        assert!(b.recv(soon()).is_err(), "{name}");
    }
}

#[test]
fn a_declared_length_beyond_the_limit_is_refused_without_memory_for_it() {
    let (mut raw, b) = sockets();
    let mut b = TcpLink::new(b).expect("a link");
    raw.write_all(&u32::MAX.to_le_bytes()).expect("sent");
    assert!(
        matches!(b.recv(soon()), Err(LinkError::TooLong(length)) if length == u32::MAX as usize)
    );
}

#[test]
fn a_frame_that_breaks_off_is_an_error_and_no_frame() {
    for sent in [&[1u8][..], &[200, 0, 0], &[200, 0, 0, 0], &[200, 0, 0, 0, 9, 9]] {
        let (mut raw, b) = sockets();
        let mut b = TcpLink::new(b).expect("a link");
        raw.write_all(sent).expect("sent");
        drop(raw);
        assert!(matches!(b.recv(soon()), Err(LinkError::Io(_))), "{sent:?}");
    }
}

#[test]
fn a_frame_beyond_the_limit_is_not_sent() {
    let (mut a, _b) = memory::pair();
    // Zero pages cost nothing until they are written.
    let long = Bytes::from(vec![0; MAX_FRAME + 1]);
    assert!(matches!(a.send(long), Err(LinkError::TooLong(length)) if length == MAX_FRAME + 1));
}

#[test]
fn a_peer_that_takes_a_little_now_and_then_is_late() {
    let (mut raw, b) = sockets();
    let mut b = TcpLink::new(b).expect("a link").waiting(Duration::from_millis(100));
    b.slowest = 1 << 22;
    let start = Instant::now();
    scope(|scope| {
        scope.spawn(move || {
            let mut some = vec![0; 20_000];
            while start.elapsed() < Duration::from_secs(20) && raw.read(&mut some).unwrap_or(0) > 0
            {
                sleep(Duration::from_millis(20));
            }
        });
        let mut slowest = Duration::ZERO;
        let end = loop {
            let start = Instant::now();
            let end = b.send(frame(MAX_FRAME, 0));
            slowest = slowest.max(start.elapsed());
            if end.is_err() {
                break end;
            }
        };
        drop(b);
        // 100 ms, and 250 for a frame at that rate.
        assert!(matches!(end, Err(LinkError::Late(_))), "{end:?}");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    });
}

#[test]
fn a_peer_that_sends_what_nobody_takes_has_to_wait() {
    let (a, mut b) = tcp();
    let mut a = a.waiting(Duration::from_millis(200));
    a.slowest = u32::MAX;
    // All that comes meanwhile is not asked for.
    assert!(matches!(b.recv(at_once()), Err(LinkError::Late(_))));
    let start = Instant::now();
    let mut frames = 0;
    scope(|scope| {
        let taking = scope.spawn(move || {
            let end = b.recv(soon());
            sleep(Duration::from_secs(1));
            drop(b);
            end.map(|_| ())
        });
        while a.send(frame(MAX_FRAME, 0)).is_ok() {
            frames += 1;
            assert!(frames < 200 && start.elapsed() < Duration::from_secs(20));
        }
        taking.join().expect("no panic").expect("a frame");
    });
}

#[test]
fn a_long_line_has_its_delay_and_its_rate() {
    let (a, b) = memory::pair();
    let (mut a, mut b) = (Shaped::new(a, far(1e6)), Shaped::new(b, far(1e6)));
    let start = Instant::now();
    a.send(frame(50_000, 0)).expect("sent");
    a.send(frame(50_000, 1)).expect("sent");
    b.recv(soon()).expect("the first");
    let first = start.elapsed();
    b.recv(soon()).expect("the second");
    let second = start.elapsed();
    // 50 ms on the line for each, 20 ms under way.
    assert!(first >= Duration::from_millis(70) && second >= Duration::from_millis(120));
    assert!(first < Duration::from_millis(500), "{first:?}");
}

#[test]
fn traffic_is_counted_and_rounds_are_waits_for_the_other() {
    let (a, b) = memory::pair();
    let (mut a, mut b) = (Metered::new(a), Metered::new(b));
    for _ in 0..3 {
        a.send(frame(10, 0)).expect("sent");
        a.send(frame(5, 0)).expect("sent");
        b.send(frame(7, 0)).expect("sent");
        b.recv(soon()).expect("received");
        b.recv(soon()).expect("received");
        a.recv(soon()).expect("received");
    }
    let (here, there) = (a.traffic(), b.traffic());
    assert_eq!((here.messages_sent, here.bytes_sent, here.rounds), (6, 45, 3));
    assert_eq!((here.messages_received, here.bytes_received), (3, 21));
    assert_eq!((there.bytes_sent, there.bytes_received, there.rounds), (21, 45, 3));
}

#[test]
fn faults_happen_at_their_frame_and_nowhere_else() {
    let sent = |fault| {
        let (a, mut b) = memory::pair();
        let mut a = Faulty::new(a, [(1, fault)]);
        let results = [0, 1, 2].map(|i| a.send(frame(4, i)));
        drop(a);
        let mut came = Vec::new();
        while let Ok(frame) = b.recv(at_once()) {
            came.push(frame.to_vec());
        }
        (results.iter().filter(|r| r.is_ok()).count(), came)
    };
    let f = |i| frame(4, i).to_vec();
    let mut flipped = f(1);
    flipped[1] ^= 4;
    assert_eq!(sent(Fault::Drop), (3, vec![f(0), f(2)]));
    assert_eq!(sent(Fault::Delay(Duration::from_millis(5))), (3, vec![f(0), f(1), f(2)]));
    assert_eq!(sent(Fault::Cut), (1, vec![f(0)]));
    assert_eq!(sent(Fault::Flip(10)), (3, vec![f(0), flipped, f(2)]));
    assert_eq!(sent(Fault::Repeat), (3, vec![f(0), f(1), f(1), f(2)]));
    assert_eq!(sent(Fault::Shorten(2)), (3, vec![f(0), f(1)[..2].to_vec(), f(2)]));
    assert_eq!(sent(Fault::Lengthen(1)), (3, vec![f(0), [f(1), vec![0]].concat(), f(2)]));
}

#[test]
fn a_slow_peer_is_late_and_not_lost() {
    let (mut a, mut b) = tcp();
    scope(|scope| {
        scope.spawn(move || {
            sleep(Duration::from_millis(200));
            a.send(frame(9, 9)).expect("sent");
            sleep(Duration::from_millis(200));
        });
        assert!(matches!(b.recv(at_once()), Err(LinkError::Late(_))));
        assert_eq!(b.recv(soon()).expect("at last"), frame(9, 9));
    });
}
