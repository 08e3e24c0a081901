//! Refusals, written into the audit table. Whoever knocks all day must not fill the disk, nor be
//! waited for: a minute has room for so many of each cause, and writing is another task's.

use crate::audit::{Entry, append};
use crate::clock::Clock;
use crate::store::{Db, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Of each cause, in a minute. All are counted and logged.
pub const WRITTEN: u32 = 60;

const MINUTE: Duration = Duration::from_mins(1);

/// Refusals that wait to be written. More are counted and logged alone.
const WAITING: usize = 256;

/// Sees refusals and writes them down. Clones share it.
#[derive(Clone, Debug)]
pub struct Witness {
    sender: mpsc::Sender<Seen>,
}

enum Seen {
    Refused { who: String, cause: &'static str, detail: String },
    Flush(oneshot::Sender<()>),
}

impl Witness {
    /// Writes into this database. Its task ends with the last clone; it needs a runtime.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write_all(receiver, db, clock));
        Self { sender }
    }

    /// Somebody was refused, for this cause.
    pub fn refused(&self, who: &str, cause: &'static str, detail: String) {
        let seen = Seen::Refused { who: who.to_owned(), cause, detail };
        if self.sender.try_send(seen).is_err() {
            tracing::debug!("a refusal is not in the audit table: too many at a time");
        }
    }

    /// Waits until all that was seen is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.sender.send(Seen::Flush(done)).await.is_ok() {
            // Its task is gone with the runtime: then nothing more is written.
            drop(written.await);
        }
    }
}

/// How much room a minute has left for each cause.
#[derive(Default)]
struct Room(HashMap<&'static str, (Option<Instant>, u32)>);

impl Room {
    fn take(&mut self, cause: &'static str, now: Instant) -> bool {
        let (since, count) = self.0.entry(cause).or_default();
        if since.is_none_or(|since| now.duration_since(since) > MINUTE) {
            (*since, *count) = (Some(now), 0);
        }
        *count += 1;
        *count <= WRITTEN
    }
}

async fn write_all(mut receiver: mpsc::Receiver<Seen>, db: Db, clock: Arc<dyn Clock>) {
    let mut room = Room::default();
    while let Some(seen) = receiver.recv().await {
        match seen {
            Seen::Refused { who, cause, detail } => {
                if room.take(cause, Instant::now())
                    && let Err(error) = write(&db, &*clock, &who, &detail).await
                {
                    tracing::error!("a refusal is not in the audit table: {error}");
                }
            }
            Seen::Flush(done) => {
                // Whoever asked may be gone.
                done.send(()).ok();
            }
        }
    }
}

async fn write(db: &Db, clock: &dyn Clock, who: &str, detail: &str) -> Result<()> {
    let mut tx = db.begin().await?;
    let entry = Entry { who, what: "refused", hash: &[], at: clock.now(), detail };
    append(&mut tx, &entry).await?;
    tx.commit().await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::read;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn refusals_are_written_as_far_as_there_is_room() {
        let db = Db::open("sqlite::memory:", &[]).await.unwrap();
        let witness = Witness::new(db.clone(), Arc::new(SystemClock));
        for i in 0..WRITTEN + 5 {
            witness.refused("owner north", "pin", format!("Start: {i}"));
        }
        witness.refused("owner south", "state", "Job".to_owned());
        witness.flush().await;
        let mut tx = db.begin().await.unwrap();
        let rows = read(&mut tx, 0, 1000).await.unwrap();
        tx.rollback().await;
        assert_eq!(rows.len(), WRITTEN as usize + 1);
        let last = rows.last().unwrap();
        assert_eq!((last.who.as_str(), last.what.as_str()), ("owner south", "refused"));
    }

    #[test]
    fn a_new_minute_has_new_room() {
        let (mut room, now) = (Room::default(), Instant::now());
        let taken = (0..=WRITTEN).filter(|_| room.take("pin", now)).count();
        assert_eq!(taken, WRITTEN as usize);
        assert!(room.take("role", now));
        assert!(room.take("pin", now + 2 * MINUTE));
    }
}
