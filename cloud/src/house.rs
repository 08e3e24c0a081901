//! What every part of a cloud works with.

use crate::busy::Busy;
use crate::centre::Centre;
use crate::ledger::Ledger;
use crate::progress::Progress;
use crate::quota::Limits;
use crate::refusal::{Cause, Refusal, refuse};
use crate::sending::Intake;
use crate::serve::Config;
use crate::trust::Frozen;
use dyad_bcp::PublicParams;
use dyad_net::identity::{Identity, Role};
use dyad_net::member::Member;
use dyad_net::tls::{Peer, peer};
use dyad_node::audit::Entry;
use dyad_node::store::Bulk;
use dyad_node::{Context, Witness, series};
use dyad_protos::Name;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A cloud: who it is, what it keeps.
pub struct House {
    /// Who it is.
    pub me: Member,
    /// The cryptosystem.
    pub params: PublicParams,
    /// What it must not forget.
    pub ledger: Ledger,
    /// What is large.
    pub bulk: Bulk,
    /// Stop, health, metrics.
    pub context: Context,
    /// What runs.
    pub progress: Progress,
    /// Threads that a job computes with; 0: as many as there are cores.
    pub threads: usize,
    /// What is refused beyond.
    pub limits: Limits,
    /// Writes refusals into the audit table.
    pub witness: Witness,
    /// Uploads and jobs are announced one at a time: what they take is counted.
    pub(crate) announcing: tokio::sync::Mutex<()>,
    /// Who is sending, and how much of it is in memory.
    pub(crate) intake: Arc<Intake>,
    /// Is the key centre there?
    pub(crate) centre: Centre,
    /// Who has heavy work done.
    pub(crate) busy: Busy,
    /// Jobs whose program and rows were looked at and found as the jobs say.
    pub(crate) found_good: Mutex<HashSet<[u8; 32]>>,
    /// How long it had run when it was started, and since when it runs.
    ran: (u64, Instant),
    studies: Mutex<HashMap<[u8; 32], Arc<Frozen>>>,
}

impl House {
    /// Puts one together. `ran`: how long it has run before, in seconds.
    #[must_use]
    pub fn new(
        me: Member,
        params: PublicParams,
        ledger: Ledger,
        bulk: Bulk,
        context: Context,
        config: &Config,
        ran: u64,
    ) -> Self {
        let witness = Witness::new(ledger.db().clone(), Arc::clone(&context.clock));
        for cause in Cause::ALL {
            // From nought on, so that the first refusal shows as a change.
            context.metrics.counter(series::REFUSALS, &[("cause", cause.as_str())]).increment(0);
        }
        Self {
            me,
            params,
            ledger,
            bulk,
            context,
            progress: Progress::default(),
            threads: config.threads,
            limits: config.limits,
            witness,
            announcing: tokio::sync::Mutex::default(),
            intake: Arc::default(),
            centre: Centre::default(),
            busy: Busy::default(),
            found_good: Mutex::default(),
            ran: (ran, Instant::now()),
            studies: Mutex::default(),
        }
    }

    /// C0 or C1.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.me.identity.role
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.context.clock.now().millis().max(0) as u64 / 1000
    }

    /// Seconds that it has run in all. No clock that is set wrong changes it.
    #[must_use]
    pub fn ran(&self) -> u64 {
        let (before, since) = self.ran;
        before.saturating_add(since.elapsed().as_secs())
    }

    /// A line of the audit table: who did what to which hash, now.
    #[must_use]
    pub fn deed<'a>(&self, who: &'a str, what: &'a str, hash: &'a [u8]) -> Entry<'a> {
        Entry { who, what, hash, at: self.context.clock.now(), detail: "" }
    }

    /// The same, of this cloud itself.
    #[must_use]
    pub fn own_deed<'a>(&'a self, what: &'a str, hash: &'a [u8]) -> Entry<'a> {
        self.deed(self.me.identity.name.as_str(), what, hash)
    }

    /// A study that was met before.
    pub async fn study(&self, digest: &[u8; 32]) -> Result<Arc<Frozen>, Refusal> {
        if let Some(known) = self.known(digest) {
            return Ok(known);
        }
        let Some((text, signature)) = self.ledger.study(digest).await? else {
            return refuse(Cause::Unknown, "this study is not known here yet");
        };
        Ok(self.remember(self.checked(&text, &signature)?))
    }

    /// A study that somebody shows: checked, and kept.
    pub async fn meet(&self, text: &[u8], signature: &[u8]) -> Result<Arc<Frozen>, Refusal> {
        let digest = dyad_protos::Document::<dyad_protos::Study>::read(text)?.digest();
        if let Some(known) = self.known(&digest) {
            return Ok(known);
        }
        let frozen = self.checked(text, signature)?;
        // Stored before it is remembered: if the disk is full or the caller hangs up in between,
        // whoever comes next must find it neither here nor there.
        self.ledger.keep_study(&digest, text, signature).await?;
        Ok(self.remember(frozen))
    }

    fn known(&self, digest: &[u8; 32]) -> Option<Arc<Frozen>> {
        self.studies.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn checked(&self, text: &[u8], signature: &[u8]) -> Result<Arc<Frozen>, Refusal> {
        // Proofs of many members take a while.
        tokio::task::block_in_place(|| {
            Frozen::check(text, signature, &self.me, &self.params).map(Arc::new)
        })
    }

    fn remember(&self, frozen: Arc<Frozen>) -> Arc<Frozen> {
        let mut studies = self.studies.lock().unwrap_or_else(PoisonError::into_inner);
        studies.insert(frozen.study.digest(), Arc::clone(&frozen));
        frozen
    }

    /// The owner who asks.
    pub fn owner<T>(&self, request: &tonic::Request<T>) -> Result<(Name, Peer), Refusal> {
        let peer = self.peer(request, Role::Owner)?;
        Ok((peer.identity.name.clone(), peer))
    }

    /// The one who asks, who must have this role.
    pub fn peer<T>(&self, request: &tonic::Request<T>, role: Role) -> Result<Peer, Refusal> {
        let no_certificate =
            |status: tonic::Status| Refusal::new(Cause::Stranger, status.message());
        let peer = peer(request).map_err(no_certificate)?;
        if peer.identity.role == role {
            return Ok(peer);
        }
        let Identity { role: theirs, name } = &peer.identity;
        let what = format!("this is for the role {role}; {name} has the role {theirs}");
        refuse(Cause::Stranger, what)
    }

    /// Who asks, for the log: whoever it is.
    #[must_use]
    pub fn who<T>(&self, request: &tonic::Request<T>) -> String {
        peer(request).map_or_else(|_| "nobody".to_owned(), |peer| peer.identity.to_string())
    }

    /// Refuses in words: logged, counted, written down, told.
    pub fn told<T>(
        &self,
        call: &'static str,
        who: &str,
        result: Result<T, Refusal>,
    ) -> Result<T, tonic::Status> {
        result.map_err(|refusal| {
            let cause = refusal.cause.as_str();
            tracing::warn!(who, call, cause, what = %refusal.what, "refused");
            self.context.metrics.counter(series::REFUSALS, &[("cause", cause)]).increment(1);
            // The cloud's own trouble is nobody's deed.
            if refusal.cause != Cause::Own {
                self.witness.refused(who, cause, format!("{call}: {}", refusal.what));
            }
            refusal.into()
        })
    }
}
