//! How fast a link over gRPC and TLS is on the loopback, next to raw TCP.

use bytes::Bytes;
use dyad_mpc::link::{Link, LinkError, tcp::TcpLink};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const TRIPS: u32 = 20_000;
const PIECE: usize = 1 << 20;
const PIECES: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    for _ in 0..3 {
        let raw = raw_trip()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let one = TcpStream::connect(listener.local_addr()?)?;
        let (tcp, tcp_rate) = link(TcpLink::new(one)?, TcpLink::new(listener.accept()?.0)?)?;
        let pair = dyad_net::link::loopback_pair()?;
        let (grpc, rate) = link(pair.dialler, pair.acceptor)?;
        println!(
            "round trip: raw {raw:.1?}, tcp link {tcp:.1?}, grpc {grpc:.1?} = {:.2}x; \
             bandwidth: tcp link {tcp_rate:.2} GB/s, grpc {rate:.2} GB/s",
            grpc.as_secs_f64() / raw.as_secs_f64()
        );
    }
    Ok(())
}

fn raw_trip() -> Result<Duration, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut one = TcpStream::connect(listener.local_addr()?)?;
    let (mut other, _) = listener.accept()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut bytes = [0; 8];
        while other.read_exact(&mut bytes).is_ok() && other.write_all(&bytes).is_ok() {}
    });
    let mut bytes = [0; 8];
    let mut trip = Duration::ZERO;
    for round in 0..2 * TRIPS {
        let start = Instant::now();
        one.write_all(&bytes)?;
        one.read_exact(&mut bytes)?;
        if round >= TRIPS {
            trip += start.elapsed();
        }
    }
    drop(one);
    echo.join().map_err(|_| "the echo failed")?;
    Ok(trip / TRIPS)
}

fn link(
    mut one: impl Link + 'static,
    mut other: impl Link + 'static,
) -> Result<(Duration, f64), Box<dyn Error>> {
    let late = || Instant::now() + Duration::from_secs(20);
    let echo = thread::spawn(move || -> Result<(), LinkError> {
        for _ in 0..2 * TRIPS {
            let frame = other.recv(late())?;
            other.send(frame)?;
        }
        for _ in 0..PIECES {
            other.recv(late())?;
        }
        other.send(Bytes::from_static(b"done"))
    });
    let mut trip = Duration::ZERO;
    for round in 0..2 * TRIPS {
        let start = Instant::now();
        one.send(Bytes::from_static(b"12345678"))?;
        one.recv(late())?;
        if round >= TRIPS {
            trip += start.elapsed();
        }
    }
    let piece = Bytes::from(vec![7; PIECE]);
    let start = Instant::now();
    for _ in 0..PIECES {
        one.send(piece.clone())?;
    }
    one.recv(late())?;
    let rate = (PIECE * PIECES) as f64 / start.elapsed().as_secs_f64() / 1e9;
    echo.join().map_err(|_| "the echo failed")??;
    Ok((trip / TRIPS, rate))
}
