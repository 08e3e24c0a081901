//! How much connections may take: of whom, how many, for how long.
//!
//! Whoever has no certificate is known by an address alone, and has little: few connections, short
//! ones, small windows. Whoever has one is known by name. What all connections of one kind may have
//! in memory is bounded: windows are what a peer may send before it is taken.

use crate::identity::{Identity, Role};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a server allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes at a time. More connections wait to be accepted.
    pub handshakes: usize,
    /// Handshakes at a time from one address. More are refused.
    pub handshakes_each: usize,
    /// How long a handshake may take, however slowly it goes on.
    pub handshake: Duration,
    /// Connections at a time. More wait to be accepted.
    pub connections: usize,
    /// Connections of one owner.
    pub owner_connections: usize,
    /// Connections of one service.
    pub service_connections: usize,
    /// Connections without a certificate from one address.
    pub anonymous_connections: usize,
    /// How long a connection may live before its first call.
    pub silence: Duration,
    /// How long a connection without a certificate may live.
    pub anonymous_life: Duration,
    /// MiB that all owners' and strangers' connections may have in memory.
    pub owner_memory: usize,
    /// MiB that all services' connections may.
    pub service_memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes: super::HANDSHAKES,
            handshakes_each: super::HANDSHAKES / 4,
            handshake: super::HANDSHAKE_LIMIT,
            connections: super::CONNECTIONS,
            owner_connections: 64,
            service_connections: 512,
            anonymous_connections: 64,
            silence: Duration::from_secs(20),
            anonymous_life: Duration::from_mins(1),
            owner_memory: 4 << 10,
            service_memory: 32 << 10,
        }
    }
}

/// What one connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// MiB that its peer may send on it before they are taken; on one stream at most as many.
    pub(super) window: u32,
    /// Calls at a time.
    pub(super) streams: u32,
}

impl Share {
    const fn of(role: Option<Role>) -> Self {
        match role {
            None => Self { window: 1, streams: 4 },
            Some(Role::Owner) => Self { window: 8, streams: 32 },
            Some(_) => Self { window: super::CONNECTION_WINDOW >> 20, streams: 128 },
        }
    }
}

/// How many there are of each.
#[derive(Debug)]
struct Tally<K>(Arc<Mutex<HashMap<K, usize>>>);

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash> Tally<K> {
    /// One more, unless there are as many as may be.
    fn take(&self, key: K, most: usize) -> Option<Counted<K>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key.clone()).or_insert(0);
        if *count >= most {
            if *count == 0 {
                all.remove(&key);
            }
            return None;
        }
        *count += 1;
        Some(Counted { tally: self.clone(), key })
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct Counted<K: Clone + Eq + Hash> {
    tally: Tally<K>,
    key: K,
}

impl<K: Clone + Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut all = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.key);
            }
        }
    }
}

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Guest {
    Anonymous(IpAddr),
    Party(Identity),
}

/// All connections of a server.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    pub(super) limits: Limits,
    shaking: Tally<IpAddr>,
    guests: Tally<Guest>,
    owner_memory: Arc<Semaphore>,
    service_memory: Arc<Semaphore>,
}

/// A handshake's place. Held until it is over.
#[derive(Debug)]
pub(super) struct Shaking {
    _counted: Counted<IpAddr>,
}

/// A connection's place. Held while it lives.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) share: Share,
    _counted: Counted<Guest>,
    _memory: OwnedSemaphorePermit,
}

impl Crowd {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            shaking: Tally::default(),
            guests: Tally::default(),
            owner_memory: Arc::new(Semaphore::new(limits.owner_memory)),
            service_memory: Arc::new(Semaphore::new(limits.service_memory)),
        }
    }

    /// A handshake begins.
    pub(super) fn shake(&self, address: IpAddr) -> Result<Shaking, String> {
        let most = self.limits.handshakes_each;
        let counted = self.shaking.take(address, most);
        let counted = counted.ok_or_else(|| format!("{most} handshakes of {address} go on"))?;
        Ok(Shaking { _counted: counted })
    }

    /// A handshake has succeeded: with this party, or with nobody in particular.
    pub(super) fn seat(&self, who: Option<&Identity>, address: IpAddr) -> Result<Seat, String> {
        let role = who.map(|who| who.role);
        let (guest, most) = match who {
            None => (Guest::Anonymous(address), self.limits.anonymous_connections),
            Some(who) => {
                let most = match who.role {
                    Role::Owner => self.limits.owner_connections,
                    _ => self.limits.service_connections,
                };
                (Guest::Party(who.clone()), most)
            }
        };
        let name = who.map_or_else(|| address.to_string(), ToString::to_string);
        let counted = self.guests.take(guest, most);
        let counted = counted.ok_or_else(|| format!("{name} has {most} connections already"))?;
        let memory = match role {
            None | Some(Role::Owner) => &self.owner_memory,
            Some(_) => &self.service_memory,
        };
        let share = Share::of(role);
        let memory = Arc::clone(memory).try_acquire_many_owned(share.window);
        let full = |_| format!("no memory is left for {name}: too many connections in all");
        Ok(Seat { share, _counted: counted, _memory: memory.map_err(full)? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let limits = Limits {
            owner_connections: 2,
            service_connections: 1,
            anonymous_connections: 1,
            handshakes_each: 1,
            owner_memory: 17,
            ..Limits::default()
        };
        let crowd = Crowd::new(limits);
        let here: IpAddr = [127, 0, 0, 1].into();
        let there: IpAddr = [127, 0, 0, 2].into();
        let first = crowd.shake(here).unwrap();
        assert!(crowd.shake(here).is_err());
        let second = crowd.shake(there).unwrap();
        drop((first, second));
        crowd.shake(here).unwrap();

        let [north, south, cloud] = ["owner north", "owner south", "c1 azure"];
        let who = |name: &str| name.parse::<Identity>().unwrap();
        let seats = [0; 2].map(|_| crowd.seat(Some(&who(north)), here).unwrap());
        let refused = crowd.seat(Some(&who(north)), there).unwrap_err();
        assert!(refused.contains("owner north has 2 connections"), "{refused}");
        // All memory but a MiB is taken.
        let refused = crowd.seat(Some(&who(south)), there).unwrap_err();
        assert!(refused.contains("no memory is left"), "{refused}");
        let stranger = crowd.seat(None, here).unwrap();
        assert!(crowd.seat(None, there).unwrap_err().contains("no memory"));
        assert!(crowd.seat(None, here).unwrap_err().contains("127.0.0.1 has 1 connections"));
        // Services have memory of their own.
        let service = crowd.seat(Some(&who(cloud)), here).unwrap();
        assert_eq!(service.share.window, 64);
        assert!(crowd.seat(Some(&who(cloud)), here).is_err());
        drop((seats, stranger, service));
        for name in [north, south, cloud] {
            crowd.seat(Some(&who(name)), here).unwrap();
        }
        assert!(crowd.guests.0.lock().unwrap().is_empty());
        assert!(crowd.shaking.0.lock().unwrap().is_empty());
    }
}
