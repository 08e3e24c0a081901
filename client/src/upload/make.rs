//! From a source to a spool: chunks are encoded, split and sealed on all cores, a few at a time, no
//! further ahead than the spool has room.

use super::source::Source;
use super::split::{Part, Splitter};
use super::spool::{SLOTS, Sealed, Spool};
use crate::error::Result;
use dyad_net::contexts;
use dyad_net::seal::{SealPublic, seal};
use dyad_protos::study::{Cloud, Study};
use dyad_protos::{Document, Manifest, Role};
use rayon::prelude::*;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::watch;

/// Chunks that are made together: as many encryptions as the processor does at once.
const AT_ONCE: u32 = 8;

/// What both clouds have stored; whoever makes chunks waits for it.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    state: Mutex<([u32; 2], bool)>,
    changed: Condvar,
}

impl Stored {
    /// A cloud has stored so many. Gives what both have.
    pub(crate) fn tell(&self, cloud: usize, chunks: u32) -> u32 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0[cloud] = state.0[cloud].max(chunks);
        self.changed.notify_all();
        state.0[0].min(state.0[1])
    }

    /// Nothing will be sent any more.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }

    /// Waits until both have so many. False if that will never be.
    fn wait(&self, chunks: u32) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let short =
            |(stored, closed): &mut ([u32; 2], bool)| !*closed && stored[0].min(stored[1]) < chunks;
        let state = self.changed.wait_while(state, short).unwrap_or_else(PoisonError::into_inner);
        !state.1
    }
}

/// Makes the chunks of an upload that are not made yet.
pub(crate) struct Maker {
    pub(crate) source: Source,
    pub(crate) splitter: Splitter,
    pub(crate) manifest: Document<Manifest>,
    pub(crate) study: Document<Study>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) stored: Arc<Stored>,
}

impl Maker {
    /// Makes them; `made` hears how many there are.
    pub(crate) fn run(self, made: &watch::Sender<u32>) -> Result<()> {
        let chunks = self.manifest.chunks();
        let mut from = self.spool.made();
        while from < chunks {
            let to = chunks.min(from + AT_ONCE);
            let lot = (from..to).into_par_iter().zip(self.splitter.covers((to - from) as usize)?);
            let lot: Vec<Sealed> = lot
                .map(|(index, cover)| {
                    let rows = self.manifest.rows_of(index);
                    let rows = rows.start as usize..rows.end as usize;
                    let values = self.source.values(rows.clone())?;
                    let parts = self.splitter.split(&values, cover)?;
                    self.sealed(index, self.source.pseudonyms(rows), &parts)
                })
                .collect::<Result<_>>()?;
            for (index, chunk) in (from..).zip(lot) {
                // Its slot has a chunk in it that both clouds must have stored.
                if index >= SLOTS && !self.stored.wait(index + 1 - SLOTS) {
                    return Ok(());
                }
                self.spool.push(chunk)?;
                // Whoever sends may be gone; then there is an error to tell.
                made.send_replace(index + 1);
            }
            from = to;
        }
        Ok(())
    }

    /// A chunk whose parts are sealed, each to its cloud.
    fn sealed(&self, index: u32, pseudonyms: Vec<u8>, parts: &[Part; 2]) -> Result<Sealed> {
        let upload = self.manifest.digest();
        let part = |role: Role, cloud: &Cloud, part: &Part| {
            let context = contexts::chunk(role, &upload, &self.manifest.owner, index);
            seal(&SealPublic(cloud.seal.0), &context, part.bytes())
        };
        let c0 = part(Role::C0, &self.study.c0, &parts[0])?;
        let c1 = part(Role::C1, &self.study.c1, &parts[1])?;
        Ok(Sealed::new(&upload, index, pseudonyms, [c0, c1]))
    }
}
