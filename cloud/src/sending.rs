//! Chunks that owners send: taken from their lines, stored, acknowledged.
//!
//! Whatever a client does, what it can keep in this cloud's memory is bounded, and for how long:
//!
//! ```text
//! a place   for the message that is on its way, taken before a byte of it is read: so many of an
//!           owner, so many in all; let go when the stream ends, or nothing comes for a while
//! room      for a chunk that has come, until it is stored: it waits for the disk and for no client
//! ```
//!
//! Acknowledgements say how many chunks are stored, the newest alone: a client that reads none of
//! them keeps nobody waiting, and holds nothing.

use crate::house::House;
use crate::ledger::UploadRow;
use crate::quota::Shape;
use crate::refusal::{Cause, Refusal, refuse};
use dyad_node::series;
use dyad_protos::limits::STREAM_MESSAGE;
use dyad_protos::wire::cloud::v1::{Chunk, Stored};
use dyad_protos::{Hex, Name};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

/// Chunks that are stored at the same time.
const AT_ONCE: usize = 8;
/// Streams of one owner at a time, of chunks or of an answer's parts.
pub const PLACES_OF_ONE: usize = 4;
/// Of all owners.
pub const PLACES: usize = 64;
/// KiB of chunks that have come and are being stored, of all owners: more wait on their lines. What
/// may be on its way in all places is as much again.
const ROOM_KIB: usize = PLACES * STREAM_MESSAGE / 1024;
/// A stream on which no whole message comes for so long gives its place to another. Owners' programs
/// wait as long for an acknowledgement.
pub const SILENCE: Duration = Duration::from_mins(5);

/// Who is sending, and how much of it is in memory.
pub(crate) struct Intake {
    taken: Mutex<BTreeMap<Name, usize>>,
    room: Arc<Semaphore>,
}

impl Default for Intake {
    fn default() -> Self {
        Self { taken: Mutex::default(), room: Arc::new(Semaphore::new(ROOM_KIB)) }
    }
}

impl Intake {
    /// A place for one stream of this owner.
    pub(crate) fn place(self: &Arc<Self>, owner: &Name) -> Result<Place, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(owner).copied().unwrap_or(0);
        let all: usize = taken.values().sum();
        // Passing: a stream that a client has lost ends by itself.
        if own >= PLACES_OF_ONE {
            let what = format!(
                "{owner} is sending on {own} streams already, as many as one owner may at a time: \
                 wait for one of them to end"
            );
            return refuse(Cause::Own, what);
        }
        if all >= PLACES {
            let what =
                format!("{all} streams are being received, and no more at a time: try again");
            return refuse(Cause::Own, what);
        }
        taken.insert(owner.clone(), own + 1);
        Ok(Place { intake: Arc::clone(self), owner: owner.clone() })
    }
}

/// A stream's place; given back when it is dropped.
pub(crate) struct Place {
    intake: Arc<Intake>,
    owner: Name,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.intake.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.owner) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.owner)),
        }
    }
}

/// The next message of a stream, if it comes in time.
pub(crate) async fn next<T>(
    incoming: &mut (impl Stream<Item = Result<T, Status>> + Unpin),
) -> Result<Option<T>, Refusal> {
    next_within(SILENCE, incoming).await
}

async fn next_within<T>(
    limit: Duration,
    incoming: &mut (impl Stream<Item = Result<T, Status>> + Unpin),
) -> Result<Option<T>, Refusal> {
    let broken = |status: Status| {
        Refusal::new(Cause::Message, format!("the stream broke off: {}", status.message()))
    };
    if let Ok(message) = tokio::time::timeout(limit, incoming.next()).await {
        return message.transpose().map_err(broken);
    }
    refuse(Cause::Own, format!("nothing came for {limit:?}: send again what is missing"))
}

/// A chunk, and its room in memory until it is stored.
type Held = (Chunk, OwnedSemaphorePermit);

/// Takes chunks from the line, as far as there is room in memory for them.
async fn receive(
    room: Arc<Semaphore>,
    mut incoming: impl Stream<Item = Result<Chunk, Status>> + Unpin,
    sender: mpsc::Sender<Result<Held, Refusal>>,
) {
    loop {
        let message = match next(&mut incoming).await {
            Ok(Some(chunk)) => {
                let kib = (chunk.sealed.len() + chunk.pseudonyms.len()).div_ceil(1024) as u32;
                match Arc::clone(&room).acquire_many_owned(kib).await {
                    Ok(room) => Ok((chunk, room)),
                    // It is never closed.
                    Err(_) => return,
                }
            }
            Ok(None) => return,
            Err(refusal) => Err(refusal),
        };
        let last = message.is_err();
        if sender.send(message).await.is_err() || last {
            return;
        }
    }
}

/// Stores what comes on a stream; gives what its client is told.
pub(crate) fn take(
    house: &Arc<House>,
    place: Place,
    incoming: impl Stream<Item = Result<Chunk, Status>> + Unpin + Send + 'static,
    who: String,
) -> ReceiverStream<Result<Stored, Status>> {
    let (stored, told) = watch::channel(0);
    let house = Arc::clone(house);
    let storing = tokio::spawn(async move {
        let result = store_all(&house, &place.owner, incoming, &stored).await;
        house.told("Send", &who, result)
    });
    acknowledging(told, storing)
}

/// Tells how many are stored whenever that is another number and somebody listens, and at the end
/// how it ended.
fn acknowledging(
    mut stored: watch::Receiver<u32>,
    storing: JoinHandle<Result<(), Status>>,
) -> ReceiverStream<Result<Stored, Status>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while stored.changed().await.is_ok() {
            let stored = *stored.borrow_and_update();
            if sender.send(Ok(Stored { stored })).await.is_err() {
                return;
            }
        }
        let ended = match storing.await {
            Ok(ended) => ended,
            Err(_) => Err(Status::internal("a mistake of the program")),
        };
        if let Err(status) = ended {
            // A client that is gone need not be told.
            drop(sender.send(Err(status)).await);
        }
    });
    ReceiverStream::new(receiver)
}

/// Stores what comes, as many chunks at a time as are there.
async fn store_all(
    house: &Arc<House>,
    owner: &Name,
    incoming: impl Stream<Item = Result<Chunk, Status>> + Unpin + Send + 'static,
    acknowledged: &watch::Sender<u32>,
) -> Result<(), Refusal> {
    let mut known: Option<(UploadRow, Shape, u32)> = None;
    // Receiving goes on while chunks are being written.
    let (sender, mut receiver) = mpsc::channel(AT_ONCE);
    tokio::spawn(receive(Arc::clone(&house.intake.room), incoming, sender));
    let mut lot = Vec::with_capacity(AT_ONCE);
    while receiver.recv_many(&mut lot, AT_ONCE).await > 0 {
        let mut end = None;
        let (mut chunks, mut rooms) = (Vec::with_capacity(lot.len()), Vec::new());
        for message in lot.drain(..) {
            match message {
                Ok((chunk, room)) => {
                    chunks.push(chunk);
                    rooms.push(room);
                }
                Err(error) => end = Some(error),
            }
        }
        if let (Some(first), None) = (chunks.first(), &known) {
            let Hex(upload) = Hex::try_from(&first.upload[..])?;
            let row = house.upload_by(owner, &upload).await?;
            let shape = house.shape_of(&row).await?;
            known = Some((row, shape, house.ledger.stored(&upload).await?));
        }
        if let Some((row, shape, stored)) = known.as_mut().filter(|_| !chunks.is_empty()) {
            *stored = store_lot(house, row, *shape, *stored, chunks).await?;
            drop(rooms);
            acknowledged.send_replace(*stored);
        }
        if let Some(end) = end {
            return Err(end);
        }
    }
    Ok(())
}

/// Stores chunks; gives how many are stored then.
async fn store_lot(
    house: &Arc<House>,
    row: &UploadRow,
    shape: Shape,
    before: u32,
    chunks: Vec<Chunk>,
) -> Result<u32, Refusal> {
    for chunk in &chunks {
        house.chunk_fits(row, shape, chunk)?;
    }
    let new = chunks.iter().filter(|chunk| chunk.index >= before);
    let bytes: usize = new.map(|chunk| chunk.sealed.len() + chunk.pseudonyms.len()).sum();
    let stored = house.store(row, chunks).await;
    if stored.is_err() {
        // Withdrawn meanwhile: what was written after all was deleted goes as well.
        house.sweep_withdrawn(&row.manifest.digest()).await?;
    }
    let labels = [("mode", row.manifest.mode.as_str())];
    let counter = house.context.metrics.counter(series::UPLOADED_BYTES, &labels);
    counter.increment(if stored.is_ok() { bytes as u64 } else { 0 });
    stored
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chunk(bytes: usize) -> Chunk {
        Chunk {
            upload: vec![].into(),
            index: 0,
            pseudonyms: vec![].into(),
            sealed: vec![0; bytes].into(),
        }
    }

    #[test]
    fn an_owner_has_few_places_and_gets_them_back() {
        let intake = Arc::new(Intake::default());
        let name = |i: usize| format!("owner-{i}").parse::<Name>().unwrap();
        let mut own: Vec<_> = (0..PLACES_OF_ONE).map(|_| intake.place(&name(0)).unwrap()).collect();
        let refused = intake.place(&name(0)).err().unwrap();
        assert!(refused.is_passing() && refused.what.contains("owner-0"), "{refused}");
        let others: Vec<_> =
            (PLACES_OF_ONE..PLACES).map(|i| intake.place(&name(i)).unwrap()).collect();
        assert!(intake.place(&name(1)).err().unwrap().what.contains("try again"));
        drop(own.pop());
        drop(intake.place(&name(0)).unwrap());
        drop(intake.place(&name(1)).unwrap());
        drop((own, others));
        assert!(intake.taken.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_who_does_not_read() {
        let (stored, told) = watch::channel(0);
        let (tell, end) = tokio::sync::oneshot::channel();
        let storing = tokio::spawn(async move {
            for count in 1..=10_000 {
                stored.send_replace(count);
                tokio::task::yield_now().await;
            }
            tell.send(()).unwrap();
            Err(Status::aborted("over"))
        });
        let mut unread = acknowledging(told, storing);
        // It comes to its end though nothing was read.
        end.await.unwrap();
        let mut heard = Vec::new();
        let last = loop {
            match unread.next().await.unwrap() {
                Ok(Stored { stored }) => heard.push(stored),
                Err(status) => break status,
            }
        };
        assert_eq!((heard.last(), last.message()), (Some(&10_000), "over"));
        assert!(heard.is_sorted() && heard.len() < 10, "{heard:?}");
        assert!(unread.next().await.is_none());
    }

    #[tokio::test]
    async fn a_silent_stream_is_let_go() {
        let (sender, line) = mpsc::channel(1);
        let mut line = ReceiverStream::new(line);
        sender.send(Ok(1)).await.unwrap();
        assert_eq!(next(&mut line).await.unwrap(), Some(1));
        let refused = next_within(Duration::from_millis(50), &mut line).await.unwrap_err();
        assert!(refused.is_passing() && refused.what.contains("nothing came"), "{refused}");
        drop(sender);
        assert_eq!(next(&mut line).await.unwrap(), None::<i32>);
    }

    /// What has come waits for room, and what is behind it on the line.
    #[tokio::test]
    async fn chunks_wait_for_room() {
        let room = Arc::new(Semaphore::new(8));
        let (sender, mut receiver) = mpsc::channel(AT_ONCE);
        let three = tokio_stream::iter([4 << 10, 4 << 10, 1].map(|bytes| Ok(chunk(bytes))));
        tokio::spawn(receive(Arc::clone(&room), three, sender));
        let held = [receiver.recv().await, receiver.recv().await];
        let third = tokio::time::timeout(Duration::from_millis(100), receiver.recv());
        assert!(third.await.is_err(), "there is no room for it");
        assert_eq!(room.available_permits(), 0);
        drop(held);
        assert!(receiver.recv().await.unwrap().is_ok());
        assert!(receiver.recv().await.is_none());
        assert_eq!(room.available_permits(), 8);
    }
}
