//! Packets as gRPC messages, without copying payloads: a frame's payload goes into HTTP/2 as the
//! very buffer the party gave, and comes out as the buffer HTTP/2 read it into, if it came in one.

use super::session::Next;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use dyad_mpc::link::MAX_FRAME;
use dyad_protos::wire::link::v1::{Ack, Bye, Frame, Hello, Packet, packet::Kind};
use prost::Message;
use std::collections::VecDeque;

/// Of the protocol in link.proto.
pub(super) const VERSION: u32 = 1;

/// The longest message: a frame's payload and its numbers.
const MAX_MESSAGE: usize = MAX_FRAME + 64;

/// Payloads up to this are copied next to their header: cheaper than two pieces.
const SMALL: usize = 1 << 10;

/// Packets are put together up to so many bytes when more than one is ready.
const TOGETHER: usize = 16 << 10;

/// gRPC's prefix: not compressed, and the length.
const PREFIX: usize = 5;

/// In a packet: field 2, with a length. In a frame: field 1, a number; field 2, with a length.
const TAG_FRAME: u8 = 0x12;
const TAG_NUMBER: u8 = 0x08;
const TAG_PAYLOAD: u8 = 0x12;

fn varint_length(value: u64) -> usize {
    (63 - (value | 1).leading_zeros() as usize) / 7 + 1
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Packets on their way out: pieces for HTTP/2.
#[derive(Default)]
pub(super) struct Encoder {
    gathered: BytesMut,
    /// A payload that follows what is gathered.
    payload: Option<Bytes>,
}

impl Encoder {
    /// Adds a packet. Not to be called while [`is_full`](Self::is_full).
    pub(super) fn add(&mut self, next: Next, session: &[u8; 32]) {
        let kind = match next {
            Next::Frame { number, payload } => return self.add_frame(number, payload),
            Next::Hello { received } => Kind::Hello(Hello {
                session: Bytes::copy_from_slice(session),
                received,
                version: VERSION,
            }),
            Next::Ack { received } => Kind::Ack(Ack { received }),
            Next::Bye => Kind::Bye(Bye {}),
            Next::End => return,
        };
        let packet = Packet { kind: Some(kind) };
        self.prefix(packet.encoded_len());
        packet.encode_raw(&mut self.gathered);
    }

    fn prefix(&mut self, length: usize) {
        self.gathered.put_u8(0);
        self.gathered.put_u32(length as u32);
    }

    fn add_frame(&mut self, number: u64, payload: Bytes) {
        let length = payload.len() as u64;
        let inner = 1 + varint_length(number) + 1 + varint_length(length) + payload.len();
        // Room for many small frames at a time.
        if self.gathered.capacity() - self.gathered.len() < PREFIX + 32 + SMALL {
            self.gathered.reserve(TOGETHER);
        }
        self.prefix(1 + varint_length(inner as u64) + inner);
        self.gathered.put_u8(TAG_FRAME);
        put_varint(&mut self.gathered, inner as u64);
        self.gathered.put_u8(TAG_NUMBER);
        put_varint(&mut self.gathered, number);
        self.gathered.put_u8(TAG_PAYLOAD);
        put_varint(&mut self.gathered, length);
        if payload.len() <= SMALL {
            self.gathered.put(payload);
        } else {
            self.payload = Some(payload);
        }
    }

    /// Must pieces be taken before more is added?
    pub(super) fn is_full(&self) -> bool {
        self.payload.is_some() || self.gathered.len() >= TOGETHER
    }

    /// The next piece.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        if self.gathered.is_empty() {
            self.payload.take()
        } else {
            Some(self.gathered.split().freeze())
        }
    }
}

/// Packets on their way in.
#[derive(Default)]
pub(super) struct Decoder {
    /// What came and is not yet used.
    chunks: VecDeque<Bytes>,
    length: usize,
}

impl Decoder {
    /// Some bytes came.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.length += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    /// The next packet, if it has come whole.
    pub(super) fn next(&mut self) -> Result<Option<Kind>, String> {
        let Some(header) = self.peek::<PREFIX>() else { return Ok(None) };
        let [flag, length @ ..] = header;
        let length = u32::from_be_bytes(length) as usize;
        if flag != 0 {
            return Err("the peer compresses, where nobody asked it to".to_owned());
        }
        if length > MAX_MESSAGE {
            return Err(format!("a packet of {length} bytes, where {MAX_MESSAGE} are the limit"));
        }
        if self.length < PREFIX + length {
            return Ok(None);
        }
        self.take(PREFIX);
        if let Some((header, number, payload)) = self.frame_header(length) {
            self.take(header);
            return Ok(Some(Kind::Frame(Frame { number, payload: self.take(payload) })));
        }
        let packet = Packet::decode(self.take(length)).map_err(|error| error.to_string())?;
        packet.kind.map(Some).ok_or_else(|| "a packet of no known kind".to_owned())
    }

    /// The first bytes, if there are so many.
    fn peek<const N: usize>(&self) -> Option<[u8; N]> {
        let mut out = [0; N];
        let mut filled = 0;
        for chunk in &self.chunks {
            let some = chunk.len().min(N - filled);
            out[filled..filled + some].copy_from_slice(&chunk[..some]);
            filled += some;
            if filled == N {
                return Some(out);
            }
        }
        None
    }

    /// Takes so many bytes, which are there; in one piece without copying if they came in one.
    fn take(&mut self, length: usize) -> Bytes {
        self.length -= length;
        if let Some(first) = self.chunks.front_mut()
            && first.len() > length
        {
            return first.split_to(length);
        }
        let Some(first) = self.chunks.pop_front() else { return Bytes::new() };
        if first.len() == length {
            return first;
        }
        let mut out = BytesMut::with_capacity(length);
        out.put(first);
        while out.len() < length {
            let Some(chunk) = self.chunks.front_mut() else { break };
            let some = chunk.len().min(length - out.len());
            out.put_slice(&chunk[..some]);
            chunk.advance(some);
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        out.freeze()
    }

    /// If this is a frame, written as [`Encoder`] does: bytes before its payload, its number, the
    /// payload's length. Whatever is written otherwise is left to prost.
    fn frame_header(&self, length: usize) -> Option<(usize, u64, usize)> {
        const MOST: usize = 1 + 10 + 1 + 10 + 1 + 10;
        let mut bytes = [0; MOST];
        let mut filled = 0;
        for chunk in &self.chunks {
            let some = chunk.len().min(MOST - filled);
            bytes[filled..filled + some].copy_from_slice(&chunk[..some]);
            filled += some;
        }
        let mut rest = &bytes[..filled.min(length)];
        let inner = tagged(&mut rest, TAG_FRAME)?;
        let before = filled.min(length) - rest.len();
        let number = tagged(&mut rest, TAG_NUMBER)?;
        let payload = usize::try_from(tagged(&mut rest, TAG_PAYLOAD)?).ok()?;
        let header = filled.min(length) - rest.len();
        let fits = header.checked_add(payload) == Some(length)
            && before.checked_add(usize::try_from(inner).ok()?) == Some(length);
        fits.then_some((header, number, payload))
    }
}

/// A tag and the number after it.
fn tagged(rest: &mut &[u8], tag: u8) -> Option<u64> {
    if rest.first() != Some(&tag) {
        return None;
    }
    let mut value = 0;
    for (index, byte) in rest.iter().skip(1).take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 2..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn through(pieces: &[Bytes], cut: usize) -> Vec<Kind> {
        let mut decoder = Decoder::default();
        let mut out = vec![];
        for piece in pieces {
            for chunk in piece.chunks(cut) {
                decoder.push(Bytes::copy_from_slice(chunk));
                while let Some(kind) = decoder.next().unwrap() {
                    out.push(kind);
                }
            }
        }
        assert_eq!(decoder.length, 0);
        out
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut encoder = Encoder::default();
        let (mut pieces, mut expected) = (vec![], vec![]);
        let mut add = |next: Next, kind: Kind| {
            encoder.add(next, &[7; 32]);
            while let Some(piece) = encoder.piece() {
                pieces.push(piece);
            }
            expected.push(kind);
        };
        let session = Bytes::from(vec![7; 32]);
        add(
            Next::Hello { received: 300 },
            Kind::Hello(Hello { session, received: 300, version: VERSION }),
        );
        for (number, length) in [
            (1, 0),
            (2, 1),
            (127, 127),
            (128, 128),
            (300, SMALL),
            (1 << 40, SMALL + 1),
            (9, 70_000),
        ] {
            let payload = Bytes::from(vec![number as u8; length]);
            let frame = Frame { number, payload: payload.clone() };
            add(Next::Frame { number, payload }, Kind::Frame(frame));
        }
        add(Next::Ack { received: 5 }, Kind::Ack(Ack { received: 5 }));
        add(Next::Bye, Kind::Bye(Bye {}));
        for cut in [1, 3, 7, 1000, 1 << 20] {
            assert_eq!(through(&pieces, cut), expected, "{cut}");
        }
    }

    #[test]
    fn frames_are_what_prost_takes_them_for() {
        for (number, length) in [(1, 0), (77, 200), (1 << 50, 5000)] {
            let payload = Bytes::from(vec![3; length]);
            let mut encoder = Encoder::default();
            encoder.add(Next::Frame { number, payload: payload.clone() }, &[0; 32]);
            let mut bytes = BytesMut::new();
            while let Some(piece) = encoder.piece() {
                bytes.put(piece);
            }
            assert_eq!(bytes[1..PREFIX], (bytes.len() as u32 - PREFIX as u32).to_be_bytes());
            let packet = Packet::decode(&bytes[PREFIX..]).unwrap();
            let frame = Frame { number, payload };
            assert_eq!(packet.kind, Some(Kind::Frame(frame.clone())));
            // And what prost writes is taken too.
            let mut decoder = Decoder::default();
            let message = Packet { kind: Some(Kind::Frame(frame.clone())) }.encode_to_vec();
            decoder.push([&[0][..], &(message.len() as u32).to_be_bytes()].concat().into());
            decoder.push(message.into());
            assert_eq!(decoder.next().unwrap(), Some(Kind::Frame(frame)));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in
            [&[1, 0, 0, 0, 0][..], &[0, 0xff, 0, 0, 0], &[0, 0, 0, 0, 0], b"\0\0\0\0\x02\x12\x7f"]
        {
            let mut decoder = Decoder::default();
            decoder.push(Bytes::copy_from_slice(bad));
            assert!(decoder.next().is_err(), "{bad:?}");
        }
    }
}
