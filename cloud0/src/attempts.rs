//! Attempts that C1 has begun, as far as they have come. In memory alone: one that this cloud has
//! forgotten is over.

use crate::shares::Opened;
use dyad_cloud::align::Alignment;
use dyad_cloud::attempt::{Dealt, link_of_clouds};
use dyad_cloud::ledger::UploadRow;
use dyad_cloud::refusal::{Cause, Refusal, refuse};
use dyad_learn::signed::Signed;
use dyad_mpc::prg::Attempt;
use dyad_net::{Expect, LinkHub};
use dyad_protos::wire::peer::v1::AttemptReply;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One of them.
pub(crate) struct Begun {
    pub(crate) attempt: Attempt,
    /// What C1 was answered: a repeat is answered the same.
    pub(crate) reply: AttemptReply,
    pub(crate) stage: Stage,
}

/// How far it has come.
pub(crate) enum Stage {
    /// What is not shared yet is being opened.
    Prepared(Box<Prepared>),
    /// Taken, while a chunk is opened.
    Opening,
    /// Its inputs are put together; then its thread runs.
    Started,
    /// It ended early; if it was not even started, for this cause.
    Failed(Option<Cause>, Ended),
}

/// How an attempt ended early.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) why: String,
    /// Is another attempt of use?
    pub(crate) passing: bool,
}

/// What an attempt is begun with.
pub(crate) struct Prepared {
    pub(crate) attempt: Attempt,
    pub(crate) from: Option<(Attempt, u64)>,
    pub(crate) training: Signed,
    pub(crate) data: (Vec<UploadRow>, Alignment),
    /// None for a job that nothing is dealt to.
    pub(crate) dealt: Option<Dealt>,
    pub(crate) opened: Opened,
    /// Digests of what was opened: nothing is opened twice.
    pub(crate) blinded: HashMap<([u8; 32], u32), [u8; 32]>,
    /// C1, by the key that began it: the link is for no other.
    pub(crate) peer: Expect,
}

/// All of them, by name. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Attempts(Arc<Mutex<HashMap<[u8; 32], Begun>>>);

impl Attempts {
    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job of an attempt that is known.
    pub(crate) fn job_of(&self, attempt: &[u8; 32]) -> Option<[u8; 32]> {
        self.all().get(attempt).map(|begun| begun.attempt.job)
    }

    /// All jobs at which there are attempts.
    pub(crate) fn jobs(&self) -> HashSet<[u8; 32]> {
        self.all().values().map(|begun| begun.attempt.job).collect()
    }

    /// The job, and why the attempt failed, if it did.
    pub(crate) fn standing(&self, attempt: &[u8; 32]) -> Option<([u8; 32], Option<Ended>)> {
        let attempts = self.all();
        let Begun { attempt, stage, .. } = attempts.get(attempt)?;
        let ended = if let Stage::Failed(_, ended) = stage { Some(ended.clone()) } else { None };
        Some((attempt.job, ended))
    }

    /// A new one.
    pub(crate) fn insert(&self, attempt: [u8; 32], begun: Begun) {
        self.all().insert(attempt, begun);
    }

    /// Ends all attempts at a job, also those that wait for C1, and forgets their inputs.
    pub(crate) fn drop_all(&self, job: &[u8; 32], hub: &LinkHub) {
        let mut attempts = self.all();
        let all: Vec<_> = attempts.extract_if(|_, begun| begun.attempt.job == *job).collect();
        drop(attempts);
        for (_, begun) in &all {
            hub.end(&link_of_clouds(&begun.attempt));
        }
    }

    /// What C1 was answered when it began an attempt with this nonce.
    pub(crate) fn answered(&self, job: &[u8; 32], nonce_1: &[u8; 16]) -> Option<AttemptReply> {
        let attempts = self.all();
        let same =
            |begun: &&Begun| begun.attempt.job == *job && begun.attempt.nonces[1] == *nonce_1;
        attempts.values().find(same).map(|begun| begun.reply.clone())
    }

    /// Takes an attempt out, to open a chunk of it.
    pub(crate) fn take(&self, attempt: &[u8; 32]) -> Result<Taken<'_>, Refusal> {
        let mut attempts = self.all();
        let Some(begun) = attempts.get_mut(attempt) else { return unknown() };
        match std::mem::replace(&mut begun.stage, Stage::Opening) {
            Stage::Prepared(prepared) => {
                Ok(Taken { attempts: self, attempt: *attempt, prepared: Some(prepared) })
            }
            stage => {
                begun.stage = stage;
                refuse(Cause::State, "this attempt has begun already: begin a new one")
            }
        }
    }

    /// Takes an attempt out, to start it; nothing, if it was started before.
    pub(crate) fn take_to_start(
        &self,
        attempt: &[u8; 32],
    ) -> Result<Option<Box<Prepared>>, Refusal> {
        let mut attempts = self.all();
        let Some(begun) = attempts.get_mut(attempt) else { return unknown() };
        match std::mem::replace(&mut begun.stage, Stage::Started) {
            Stage::Prepared(prepared) => Ok(Some(prepared)),
            Stage::Opening => {
                begun.stage = Stage::Opening;
                refuse(Cause::State, "a chunk of this attempt is being opened: begin a new one")
            }
            Stage::Started => Ok(None),
            Stage::Failed(cause, ended) => {
                begun.stage = Stage::Failed(cause, ended.clone());
                // As it was answered the first time.
                cause.map_or(Ok(None), |cause| refuse(cause, ended.why))
            }
        }
    }

    /// Says that an attempt has ended early; false if a newer one has taken its place.
    pub(crate) fn failed(&self, attempt: &[u8; 32], cause: Option<Cause>, ended: Ended) -> bool {
        let mut attempts = self.all();
        let begun = attempts.get_mut(attempt);
        let is_there = begun.is_some();
        if let Some(begun) = begun {
            begun.stage = Stage::Failed(cause, ended);
        }
        is_there
    }
}

fn unknown<T>() -> Result<T, Refusal> {
    refuse(Cause::State, "C0 knows no such attempt (any more): begin a new one")
}

/// An attempt of which a chunk is being opened. However that ends, also if C1 hangs up, it goes back
/// to where it was, unless a newer one has taken its place meanwhile.
pub(crate) struct Taken<'a> {
    attempts: &'a Attempts,
    attempt: [u8; 32],
    pub(crate) prepared: Option<Box<Prepared>>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut attempts = self.attempts.all();
        if let Some(begun) = attempts.get_mut(&self.attempt)
            && let Some(prepared) = self.prepared.take()
        {
            begun.stage = Stage::Prepared(prepared);
        }
    }
}
