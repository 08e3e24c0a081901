//! What a cloud received, as TLS gave it to the cloud: bytes from tapped lines, opened with the keys
//! of the connections, which services log when a test asks for it (`dyad_net`'s feature `testkit`).
//!
//! Records are read as RFC 8446, 5.2 and 7.3 have it: key and nonce from the traffic secrets, the
//! record's number added to the nonce, its header authenticated. The cryptography is ring's. That a
//! record opens proves that it was read rightly; one that does not open is an error.

use crate::line::{Line, Way};
use crate::services::Services;
use anyhow::{Context as _, bail, ensure};
use dyad_net::identity::Identity;
use dyad_protos::Role;
use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use ring::hkdf::{HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use rustls::KeyLog;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;
const HEADER: usize = 5;

/// Keys of connections, by the client's random number.
#[derive(Clone, Default)]
pub struct Keys(Arc<Mutex<HashMap<Vec<u8>, Session>>>);

/// What is known of one connection.
#[derive(Clone, Default)]
struct Session {
    /// Who logged its keys, that is who is at its ends; nobody enrols.
    ends: BTreeSet<Option<Role>>,
    secrets: HashMap<String, Vec<u8>>,
}

impl Keys {
    /// Logs the keys of all connections that this process makes from now on.
    #[must_use]
    pub fn insecure_log() -> Self {
        let keys = Self::default();
        let log = keys.clone();
        dyad_net::tls::insecure_log_keys(move |who: Option<&Identity>| {
            Arc::new(End { keys: log.clone(), who: who.map(|identity| identity.role) })
        });
        keys
    }

    fn of(&self, random: &[u8]) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(random).cloned()
    }
}

/// One end of connections.
struct End {
    keys: Keys,
    who: Option<Role>,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys of {:?}", self.who)
    }
}

impl KeyLog for End {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut keys = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = keys.entry(client_random.to_vec()).or_default();
        session.ends.insert(self.who);
        session.secrets.insert(label.to_owned(), secret.to_vec());
    }
}

/// What one party received.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Connections.
    pub connections: usize,
    /// All bytes of all of them, one after the other, as TLS gave them to it.
    pub bytes: Vec<u8>,
    /// The same without HTTP/2's frames: the bodies of each stream in one piece. What is looked for
    /// could lie across two frames.
    pub bodies: Vec<u8>,
}

impl Received {
    /// By a service so far: from its callers, and from those that it called. Enrolments, in which
    /// a caller has no name yet, count for everybody.
    pub fn by(role: Role, services: &impl Services, keys: &Keys) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for at in [Role::Kgc, Role::C0, Role::C1] {
            let line = services.line(at).context("the line is not tapped")?;
            all.add_line(role, at, line, keys)?;
        }
        Ok(all)
    }

    fn add_line(&mut self, role: Role, at: Role, line: &Line, keys: &Keys) -> anyhow::Result<()> {
        for heard in line.heard() {
            let sent = [heard.bytes(Way::ToService), heard.bytes(Way::FromService)];
            if sent[0].is_empty() || sent[1].is_empty() {
                // No more than a knock: nothing was said in secret.
                continue;
            }
            let random = random(&sent[0]).context("a connection that is not TLS")?;
            let Some(session) = keys.of(random) else {
                bail!("a connection to {at} whose keys were not logged");
            };
            let mine = role == at;
            if !mine && !session.ends.contains(&Some(role)) && !session.ends.contains(&None) {
                continue;
            }
            let suite = Suite::read(&sent[1])?;
            let (way, whose) = if mine { (0, "CLIENT") } else { (1, "SERVER") };
            let plain = suite.open_all(&sent[way], &session, whose)?;
            self.bodies.extend(bodies(&plain)?);
            self.bytes.extend(plain);
            self.connections += 1;
        }
        Ok(())
    }
}

/// The client's random number, from its first message.
fn random(sent: &[u8]) -> Option<&[u8]> {
    // Record header, message header, version.
    (*sent.first()? == HANDSHAKE && *sent.get(HEADER)? == 1).then_some(())?;
    sent.get(HEADER + 6..HEADER + 6 + 32)
}

/// A length that ring's key derivation is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[derive(Clone, Copy)]
struct Suite {
    aead: &'static Algorithm,
    hash: ring::hkdf::Algorithm,
}

impl Suite {
    /// What the server chose.
    fn read(sent: &[u8]) -> anyhow::Result<Self> {
        let hello = sent.get(HEADER..).filter(|hello| hello.first() == Some(&2));
        let hello = hello.context("no hello of a server")?;
        let session = *hello.get(38).context("a hello cut short")? as usize;
        let suite = hello.get(39 + session..41 + session).context("a hello cut short")?;
        let (aead, hash) = match suite {
            [0x13, 1] => (&AES_128_GCM, HKDF_SHA256),
            [0x13, 2] => (&AES_256_GCM, HKDF_SHA384),
            [0x13, 3] => (&CHACHA20_POLY1305, HKDF_SHA256),
            other => bail!("cipher suite {other:?}"),
        };
        Ok(Self { aead, hash })
    }

    /// `HKDF-Expand-Label(secret, label, "", length)`
    fn expand(self, secret: &[u8], label: &str, length: usize) -> anyhow::Result<Vec<u8>> {
        let label = format!("tls13 {label}");
        let size = (length as u16).to_be_bytes();
        let info = [&size[..], &[label.len() as u8], label.as_bytes(), &[0]];
        let mut out = vec![0; length];
        let prk = Prk::new_less_safe(self.hash, secret);
        let filled = prk.expand(&info, Length(length)).and_then(|okm| okm.fill(&mut out));
        filled.ok().context("a key is not derived")?;
        Ok(out)
    }

    fn reader(self, session: &Session, label: &str) -> anyhow::Result<Option<Reader>> {
        let Some(secret) = session.secrets.get(label) else { return Ok(None) };
        let key = self.expand(secret, "key", self.aead.key_len())?;
        let key = UnboundKey::new(self.aead, &key).ok().context("a key of another length")?;
        let iv = self.expand(secret, "iv", 12)?;
        let iv = iv.try_into().ok().context("an iv of another length")?;
        Ok(Some(Reader { key: LessSafeKey::new(key), iv, number: 0 }))
    }

    /// Application data of one way. A last record that was cut short is left out: its receiver could
    /// not read it either.
    fn open_all(self, mut sent: &[u8], session: &Session, whose: &str) -> anyhow::Result<Vec<u8>> {
        let mut reader = self.reader(session, &format!("{whose}_HANDSHAKE_TRAFFIC_SECRET"))?;
        let mut later = self.reader(session, &format!("{whose}_TRAFFIC_SECRET_0"))?;
        let mut plain = Vec::new();
        while let Some((header, rest)) = sent.split_at_checked(HEADER) {
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let Some((body, rest)) = rest.split_at_checked(length) else { break };
            sent = rest;
            if header[0] != APPLICATION {
                // Hellos, an alert before there are keys, and what is there for old middle boxes.
                ensure!((20..=HANDSHAKE).contains(&header[0]), "a record of type {}", header[0]);
                continue;
            }
            let now = reader.as_mut().context("a record before there are keys")?;
            let mut opened = now.open(header, body);
            if opened.is_none() {
                // The handshake of this way is over.
                let next = later.take().context("a record does not open")?;
                opened = reader.insert(next).open(header, body);
            }
            let mut opened = opened.context("a record does not open")?;
            while opened.last() == Some(&0) {
                opened.pop();
            }
            match opened.pop() {
                Some(APPLICATION) => plain.extend(opened),
                Some(HANDSHAKE | ALERT) => {}
                other => bail!("a record of type {other:?} within"),
            }
        }
        Ok(plain)
    }
}

/// Opens one record after the other.
struct Reader {
    key: LessSafeKey,
    iv: [u8; 12],
    number: u64,
}

impl Reader {
    fn open(&mut self, header: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.key.open_in_place(nonce, Aad::from(header), &mut body).ok()?.len();
        self.number += 1;
        body.truncate(length);
        Some(body)
    }
}

/// The bodies of all streams of an HTTP/2 connection, stream by stream (RFC 9113, 4.1 and 6.1).
fn bodies(plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut rest = plain.strip_prefix(PREFACE).unwrap_or(plain);
    let mut streams: HashMap<[u8; 4], Vec<u8>> = HashMap::new();
    while let Some((header, after)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let Some((body, after)) = after.split_at_checked(length) else { break };
        rest = after;
        let (kind, flags) = (header[3], header[4]);
        if kind != 0 {
            continue;
        }
        let body = if flags & 8 == 0 {
            body
        } else {
            let (padding, body) = body.split_first().context("a frame without its padding")?;
            let kept = body.len().checked_sub(usize::from(*padding));
            &body[..kept.context("a frame of padding alone")?]
        };
        let stream = [header[5], header[6], header[7], header[8]];
        streams.entry(stream).or_default().extend_from_slice(body);
    }
    Ok(streams.into_values().flatten().collect())
}

/// What must not be found.
pub struct Needles {
    all: Vec<(Vec<u8>, &'static str)>,
    by_start: HashMap<[u8; START], Vec<usize>>,
    /// A bit for the first three bytes of each: most of what is searched begins no needle.
    begins: Vec<u64>,
}

/// Bytes that a needle has at least: fewer are found by chance.
const START: usize = 8;
/// Of these so many that are not those of small numbers.
const TELLING: usize = 4;

/// Where the bit of a beginning is.
fn bit(bytes: &[u8]) -> (usize, u64) {
    let number = usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
    (number / 64, 1 << (number % 64))
}

impl Default for Needles {
    fn default() -> Self {
        Self { all: Vec::new(), by_start: HashMap::new(), begins: vec![0; (1 << 24) / 64] }
    }
}

impl Needles {
    /// Looks for this too, unless it is so short or so plain that chance would show it.
    pub fn add(&mut self, kind: &'static str, bytes: Vec<u8>) {
        let telling = bytes.iter().filter(|byte| !matches!(byte, 0 | 0xff)).count();
        let Some(start) = bytes.first_chunk().filter(|_| telling >= TELLING) else { return };
        let same = self.by_start.entry(*start).or_default();
        if same.iter().any(|index| self.all[*index].0 == bytes) {
            return;
        }
        same.push(self.all.len());
        let (word, mask) = bit(&bytes);
        self.begins[word] |= mask;
        self.all.push((bytes, kind));
    }

    /// Two numbers that lie beside each other, in each way that a program would write them: `scales`
    /// are bits behind the point.
    pub fn add_pair(&mut self, pair: [f64; 2], scales: &[u8]) {
        for scale in scales {
            let words = pair.map(|x| (x * f64::from(*scale).exp2()).round() as i64);
            self.add("fixed point", words.map(i64::to_le_bytes).concat());
            self.add("fixed point, big endian", words.map(i64::to_be_bytes).concat());
        }
        self.add("f64", pair.map(f64::to_le_bytes).concat());
        self.add("f64, big endian", pair.map(f64::to_be_bytes).concat());
        let short = pair.map(|x| x as f32);
        self.add("f32", short.map(f32::to_le_bytes).concat());
        self.add("f32, big endian", short.map(f32::to_be_bytes).concat());
        for x in pair {
            self.add("decimal", x.to_string().into_bytes());
        }
    }

    /// What there is of each kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.all.iter().map(|(_, kind)| *kind).collect()
    }

    /// One of a kind.
    #[must_use]
    pub fn first(&self, kind: &str) -> Option<&[u8]> {
        let found = self.all.iter().find(|(_, of)| *of == kind);
        found.map(|(bytes, _)| bytes.as_slice())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Is there nothing to be looked for?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What is found, by kind, with where the first one is.
    #[must_use]
    pub fn found(&self, bytes: &[u8]) -> HashMap<&'static str, usize> {
        let mut found = HashMap::new();
        let mut at = 0;
        while at + START <= bytes.len() {
            let (word, mask) = bit(&bytes[at..]);
            if self.begins[word] & mask != 0
                && let Some(start) = bytes[at..].first_chunk::<START>()
            {
                for index in self.by_start.get(start).into_iter().flatten() {
                    let (needle, kind) = &self.all[*index];
                    if bytes[at..].starts_with(needle) {
                        found.entry(*kind).or_insert(at);
                    }
                }
            }
            at += 1;
        }
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_however_they_are_written() {
        let mut needles = Needles::default();
        let pair = [0.123_456_7, -12.75];
        needles.add_pair(pair, &[16]);
        let hay = [&[0; 100][..], &pair.map(f64::to_be_bytes).concat(), &[1; 9]].concat();
        assert_eq!(needles.found(&hay).into_iter().collect::<Vec<_>>(), [("f64, big endian", 100)]);
        assert!(needles.found(&[3; 1000]).is_empty());
        // What chance would show is not looked for.
        let before = needles.len();
        needles.add("fixed point", [1_i64, 0].map(i64::to_le_bytes).concat());
        assert_eq!(needles.len(), before);
    }

    #[test]
    fn bodies_lie_across_frames() {
        let frame = |kind: u8, flags: u8, stream: u8, body: &[u8]| {
            let header = [0, 0, body.len() as u8, kind, flags, 0, 0, 0, stream];
            [&header[..], body].concat()
        };
        let all = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, b"settings"),
            frame(0, 0, 1, b"half of "),
            frame(0, 8, 1, b"\x02it__"),
        ];
        assert_eq!(bodies(&all.concat()).unwrap(), b"half of it");
    }
}
