//! Floods, silence and slowness: of handshakes, of connections, of one party and of many.
#![allow(clippy::unwrap_used)]

use crate::common;

use common::{House, Running, WhoCalls, call, eventually};
use dyad_net::retry::{Fault, classify};
use dyad_net::tls::{Limits, causes};
use dyad_net::{ClientAuth, Expect, Role, anonymous_channel};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;
use tonic::service::Routes;

const SHORT: Duration = Duration::from_millis(400);

async fn server(house: &House, limits: Limits, clients: ClientAuth) -> Running {
    Running::within(limits, &house.tls("c1 main"), clients, Routes::new(WhoCalls)).await
}

/// From another address of the loopback.
async fn from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Waits for the end that the other side makes.
async fn ends(socket: &mut TcpStream) {
    let mut rest = [0; 64];
    while socket.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

#[tokio::test]
async fn a_handshake_that_drips_is_cut_off() {
    let house = House::new();
    let limits = Limits { handshake: SHORT, ..Limits::default() };
    let server = server(&house, limits, ClientAuth::Required).await;
    let mut slow = from(1, server.address).await;
    // A record of TLS with a Hello of 512 bytes that never comes to its end.
    let begin = Instant::now();
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let mut bytes = hello.iter().copied().chain(std::iter::repeat(0));
    while slow.write_all(&[bytes.next().unwrap()]).await.is_ok() {
        let mut answer = [0; 64];
        let wait = Duration::from_millis(20);
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(wait, slow.read(&mut answer)).await {
            break;
        }
        assert!(begin.elapsed() < 10 * SHORT, "it drips for ever");
    }
    assert!(begin.elapsed() >= SHORT);
    eventually(|| server.causes() == [causes::TIMEOUT]).await;
    server.stop().await;
}

#[tokio::test]
async fn silent_handshakes_of_one_address_leave_room_for_others() {
    let house = House::new();
    let limits = Limits { handshakes: 4, handshakes_each: 2, ..Limits::default() };
    let server = server(&house, limits, ClientAuth::Required).await;
    let silent = [from(2, server.address).await, from(2, server.address).await];
    tokio::time::sleep(Duration::from_millis(50)).await;
    // A third one is closed at once.
    let mut third = from(2, server.address).await;
    tokio::time::timeout(Duration::from_secs(5), ends(&mut third)).await.unwrap();
    eventually(|| server.causes() == [causes::CROWD]).await;
    // And whoever is elsewhere gets in.
    let channel =
        house.tls("owner north").channel(&server.address.to_string(), Expect::role(Role::C1));
    assert_eq!(call(&channel.unwrap()).await.code(), Code::Aborted);
    // Those that gave up make room.
    drop(silent);
    eventually(|| server.causes().len() == 1).await;
    let mut again = from(2, server.address).await;
    let waits = tokio::time::timeout(Duration::from_millis(200), ends(&mut again)).await;
    assert!(waits.is_err(), "there is room again");
    server.stop().await;
}

#[tokio::test]
async fn when_all_places_are_silent_others_wait_no_longer_than_a_handshake() {
    let house = House::new();
    let limits = Limits { handshakes: 4, handshake: SHORT, ..Limits::default() };
    let server = server(&house, limits, ClientAuth::Required).await;
    let mut silent = Vec::new();
    for last in 2..10 {
        silent.push(from(last, server.address).await);
    }
    let begin = Instant::now();
    let channel =
        house.tls("owner north").channel(&server.address.to_string(), Expect::role(Role::C1));
    assert_eq!(call(&channel.unwrap()).await.code(), Code::Aborted);
    // Two rounds of four.
    assert!(begin.elapsed() < 10 * SHORT, "{:?}", begin.elapsed());
    eventually(|| server.causes().len() == 8).await;
    assert!(server.causes().iter().all(|cause| *cause == causes::TIMEOUT));
    server.stop().await;
}

#[tokio::test]
async fn one_owner_has_so_many_connections_and_others_have_theirs() {
    let house = House::new();
    let limits = Limits { owner_connections: 1, ..Limits::default() };
    let server = server(&house, limits, ClientAuth::Required).await;
    let address = server.address.to_string();
    let (north, south) = (house.tls("owner north"), house.tls("owner south"));
    let channel = |tls: &dyad_net::Tls| tls.channel(&address, Expect::role(Role::C1)).unwrap();
    let first = channel(&north);
    assert_eq!(call(&first).await.code(), Code::Aborted);
    let status = call(&channel(&north)).await;
    // It may get in later.
    assert_eq!(classify(&status), Fault::Transient, "{status:?}");
    eventually(|| server.causes().contains(&causes::CROWD)).await;
    assert_eq!(call(&channel(&south)).await.code(), Code::Aborted);
    assert_eq!(call(&first).await.code(), Code::Aborted);
    drop(first);
    let begin = Instant::now();
    while call(&channel(&north)).await.code() != Code::Aborted {
        assert!(begin.elapsed() < Duration::from_secs(10), "its place is not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn connections_without_a_call_or_a_name_are_short() {
    let house = House::new();
    let limits = Limits { silence: SHORT, anonymous_life: 3 * SHORT, ..Limits::default() };
    let server = server(&house, limits, ClientAuth::Optional).await;
    let address = server.address.to_string();
    let root = house.authority.root().fingerprint();
    // Getting to know the root takes a connection that is dropped; the channel's own comes with a
    // call, which is refused for want of a certificate, and lives on for a while.
    let (channel, _) = anonymous_channel(&address, root, Expect::role(Role::C1)).await.unwrap();
    assert_eq!(call(&channel).await.code(), Code::Unauthenticated);
    // Handshakes, and says nothing more.
    let mut silent = common::shaken_hands(&server.address).await;
    let begin = Instant::now();
    let mut byte = [0; 1024];
    while silent.read(&mut byte).await.is_ok_and(|length| length > 0) {}
    assert!((SHORT / 2..10 * SHORT).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    eventually(|| server.causes().contains(&causes::SILENCE)).await;
    // A named one that has called stays, however quiet it is then.
    let named = house.tls("owner north").channel(&address, Expect::role(Role::C1)).unwrap();
    assert_eq!(call(&named).await.code(), Code::Aborted);
    tokio::time::sleep(4 * SHORT).await;
    assert_eq!(call(&named).await.code(), Code::Aborted);
    // The one without a name was ended, and connects anew.
    assert_eq!(call(&channel).await.code(), Code::Unauthenticated);
    server.stop().await;
}
