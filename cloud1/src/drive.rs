//! A job, from approval to release: attempts until one succeeds, then the seal.
//!
//! Whatever dies, the ledger says where to go on. An attempt that fails for a passing reason (a
//! line, a service that restarts) is followed by another, from the newest checkpoint that both
//! clouds have; one that cannot succeed ends the job with the reason in words.

use crate::peer::C0;
use crate::shares::gather;
use dyad_bcp::Ciphertext;
use dyad_cloud::attempt::{
    Dealt, link_of_clouds, link_of_dealer, name, nonce, read_checkpoint, spawn,
};
use dyad_cloud::codec;
use dyad_cloud::house::House;
use dyad_cloud::jobs::Case;
use dyad_cloud::ledger::State;
use dyad_cloud::refusal::{Cause, Refusal, refuse};
use dyad_cloud::release::{
    bodies_object, ciphertexts, kept, layout, pack, read_ciphertexts, shares_digest, words,
};
use dyad_cloud::run::{Failure, Means, Task};
use dyad_cloud::trust::verify;
use dyad_learn::checkpoint::Checkpoint;
use dyad_mpc::cipher::Release;
use dyad_mpc::prg::Attempt;
use dyad_net::Expect;
use dyad_net::dial;
use dyad_net::identity::Role;
use dyad_net::retry::Backoff;
use dyad_protos::job::{Engine, Opening};
use dyad_protos::{Hex, consent};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Between attempts: from, to.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];
/// How long C0 may take to store what C1 has stored already.
const C0_STORES: Duration = Duration::from_mins(1);

/// One job.
pub(crate) struct Drive {
    house: Arc<House>,
    patience: Duration,
    job: [u8; 32],
}

/// Why something did not succeed: may it be tried again?
struct Setback {
    what: String,
    passing: bool,
}

impl From<Refusal> for Setback {
    fn from(refusal: Refusal) -> Self {
        // What C0 does not know (yet), it may learn from the owner.
        let passing = refusal.is_passing() || refusal.cause == Cause::Unknown;
        Self { what: refusal.what, passing }
    }
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self { what: failure.to_string(), passing: failure.is_passing() }
    }
}

impl Drive {
    pub(crate) fn new(house: Arc<House>, patience: u64, job: [u8; 32]) -> Self {
        Self { house, patience: Duration::from_secs(patience.max(1)), job }
    }

    /// Until there is nothing left to do.
    pub(crate) async fn to_the_end(&self) {
        let [first, longest] = PAUSES;
        let mut pause = Backoff::new(first, longest);
        loop {
            match self.further().await {
                Ok(true) => pause.reset(),
                Ok(false) => return,
                Err(setback) => {
                    let Setback { what, passing } = &setback;
                    tracing::warn!(job = %Hex(self.job), passing, "{what}");
                    // What cannot succeed is tried again only while C0 does not hear of it.
                    if !passing {
                        match self.fail(what).await {
                            Ok(()) => return,
                            Err(refusal) => tracing::warn!("C0 was not told: {refusal}"),
                        }
                    }
                    if let Err(refusal) = self.house.ledger.note(&self.job, what).await {
                        tracing::warn!("the ledger was not written: {refusal}");
                    }
                    tokio::time::sleep(pause.delay()).await;
                }
            }
        }
    }

    async fn fail(&self, why: &str) -> Result<(), Refusal> {
        let case = self.house.case(&self.job).await?;
        C0::of(&self.house, &case.study)?.give_up(&self.job, why).await?;
        let deed = self.house.own_deed("job failed", &self.job);
        self.house.ledger.fail(&self.job, why, &deed).await.map(drop)
    }

    /// One thing after the other; false when all is done.
    async fn further(&self) -> Result<bool, Setback> {
        self.house.settle(&self.job).await?;
        let case = self.house.case(&self.job).await?;
        match case.row.state {
            State::Approved | State::Running => self.attempt(&case).await.map(|()| true),
            State::Trained => match self.seal(&case).await {
                // C0 has no half of this model: it died before it stored it. Once more, from the
                // newest checkpoint of both.
                Err(refusal) if refusal.cause == Cause::State && case.row.heads.is_none() => {
                    let (from, to) = (State::Trained, State::Running);
                    self.house.ledger.advance(&self.job, &[from], to).await?;
                    Err(refusal.into())
                }
                sealed => sealed.map(|()| true).map_err(Setback::from),
            },
            State::Proposed
            | State::Sealed
            | State::Released
            | State::Failed
            | State::Cancelled => Ok(false),
        }
    }

    async fn attempt(&self, case: &Case) -> Result<(), Setback> {
        let house = &self.house;
        let job = &case.row.job;
        let training = case.study.training(job)?;
        house.is_good(&case.study, job, &training).await?;
        let c0 = C0::of(house, &case.study)?;
        let mine = house.ledger.checkpoints(&self.job).await?;
        let mine: Vec<_> = mine.into_iter().map(|(of, step, _)| (of, step)).collect();
        let nonce_1 = nonce()?;
        let reply = c0.attempt(&self.job, nonce_1, &mine).await?;
        let Hex(nonce_0) = Hex::try_from(&reply.nonce[..]).map_err(Refusal::from)?;
        let attempt = Attempt { job: self.job, nonces: [nonce_0, nonce_1] };
        let from = reply.from.as_ref().map(|from| read_checkpoint(&self.job, from)).transpose()?;
        let named = name(&attempt);
        let deed = house.own_deed("attempt begun", &named);
        if !house.ledger.begin_attempt(&attempt, house.now(), &deed).await? {
            return Err(Refusal::new(Cause::State, "the job has moved on meanwhile").into());
        }
        // Only now: while C0 or the key centre is away, nothing is put together in vain.
        let data = house.fits(&case.study, job).await?;
        let inputs = gather(house, &c0, named, case, &training, &data).await?;
        c0.start(named).await?;
        // Last: the dealer waits for its link from now on, and transforming uploads takes its time.
        let dealt = house.dealt(case, &attempt, from.as_ref()).await?;
        let from = match from {
            None => None,
            Some((of, step)) => Some(((of, step), house.checkpoint(&of, step).await?)),
        };
        let link = dial(&Handle::current(), c0.line()?, link_of_clouds(&attempt));
        let task = Task {
            attempt,
            training,
            from,
            inputs,
            means: self.means(case, &attempt, dealt)?,
            link: Box::new(link.waiting(self.patience)),
            limit: self.patience,
        };
        let ended = spawn(house, task)?.await;
        let ended = ended.map_err(|_| Refusal::new(Cause::Own, "the job's thread is gone"))?;
        if let Err(failure) = ended {
            return Err(self.with_c0s_word(&c0, named, failure).await);
        }
        self.c0_has_it_too(&c0, named).await.map_err(Setback::from)
    }

    /// Shares with what the key centre deals, shares with what the clouds make, or ciphertexts.
    fn means(
        &self,
        case: &Case,
        attempt: &Attempt,
        dealt: Option<Dealt>,
    ) -> Result<Means, Refusal> {
        let Some(dealt) = dealt else {
            let key = || Box::new(case.study.unified.key().clone());
            return Ok(match case.row.job.engine {
                Engine::Share => Means::Pairwise,
                Engine::Cipher => {
                    Means::Ciphertexts { key: key(), opener: None, before: case.row.attempts }
                }
            });
        };
        let kgc = &self.house.me.kgc;
        let to_kgc = Expect::identity(kgc.identity.clone());
        let to_kgc = self.house.me.tls.line(&kgc.address, to_kgc)?;
        let dealer = dial(&Handle::current(), to_kgc, link_of_dealer(attempt));
        Ok(Means::Dealt { dealt, dealer: Some(Box::new(dealer.waiting(self.patience))) })
    }

    /// C0's reason says more than that the line to it broke.
    async fn with_c0s_word(&self, c0: &C0, attempt: [u8; 32], failure: Failure) -> Setback {
        let mut setback = Setback::from(failure);
        if let Ok(standing) = c0.standing(attempt).await
            && !standing.reason.is_empty()
        {
            setback.what = format!("{} (C0: {})", setback.what, standing.reason);
            // What C0 alone has seen, C1 knows as a line that broke.
            setback.passing &= standing.passing;
        }
        setback
    }

    /// C1 is done; C0 stores its half a moment sooner or later.
    async fn c0_has_it_too(&self, c0: &C0, attempt: [u8; 32]) -> Result<(), Refusal> {
        let waiting = async {
            loop {
                let standing = c0.standing(attempt).await?;
                match standing.state.as_str() {
                    "running" => tokio::time::sleep(Duration::from_millis(20)).await,
                    "trained" | "sealed" | "released" => return Ok(()),
                    state => {
                        let what = format!("C0 has not finished ({state}) {}", standing.reason);
                        return refuse(Cause::Own, what);
                    }
                }
            }
        };
        let late = |_| Refusal::new(Cause::Own, "C0 does not store its half of the model");
        let there = tokio::time::timeout(C0_STORES, waiting).await.map_err(late)?;
        if there.is_err() {
            // C0 has lost its half: another attempt, from the newest checkpoint of both.
            self.house.ledger.advance(&self.job, &[State::Trained], State::Running).await?;
        }
        there
    }

    /// Fixes what is released; both clouds sign it.
    async fn seal(&self, case: &Case) -> Result<(), Refusal> {
        let house = &self.house;
        let job = &case.row.job;
        let c0 = C0::of(house, &case.study)?;
        let model = house.model(&self.job).await?;
        let (of, step) = (model.attempt(), model.step());
        let release = match job.opening {
            Opening::Each => shares_digest(&model),
            Opening::Joint => {
                let object = bodies_object(&self.job);
                // What was stored before a kill is what C0 may have signed for.
                let bodies = if house.bulk.head(&object).await?.is_some() {
                    house.bodies(case).await?
                } else {
                    let bodies = self.bodies(case, &c0, &model).await?;
                    house.bulk.put(&object, codec::write(&bodies)).await?;
                    bodies
                };
                let heads: Vec<_> = bodies.iter().map(|body| body.head().to_bytes()).collect();
                consent::heads_digest(&self.job, heads.iter().map(Vec::as_slice))
            }
        };
        // C0 first: what it refuses, or signs wrongly, is not fixed here.
        let theirs = c0.sign(&of, step, release).await?;
        let message = consent::release(&self.job, &release);
        let key = case.study.peer_sign(Role::C1);
        verify(&key, consent::RELEASED, &message, &theirs, "C0, on the release")?;
        let signature = theirs.try_into();
        let signature =
            signature.map_err(|_| Refusal::new(Cause::Signature, "no signature of C0"))?;
        house.sign_release(case, &release).await?;
        let next = if job.opening == Opening::Each { State::Released } else { State::Sealed };
        let deed = house.own_deed("model sealed", &release);
        house.ledger.sealed_by_peer(&self.job, &signature, next, &deed).await
    }

    /// The model under the unified key: from the shares of both, or as it is, if it was trained so.
    async fn bodies(
        &self,
        case: &Case,
        c0: &C0,
        model: &Checkpoint,
    ) -> Result<Vec<Ciphertext>, Refusal> {
        if case.row.job.engine == Engine::Cipher {
            let (key, training) = (case.study.unified.key(), case.study.training(&case.row.job)?);
            let shapes = training.plan().released().into_iter().map(|meta| meta.shape);
            let kept = kept(model)?;
            return Ok(block_in_place(|| Release::of(key, shapes).seal(&kept))?);
        }
        let share_0 = c0.seal(&model.attempt(), model.step(), ciphertexts(case)?).await?;
        self.joined(case, &words(model), &share_0)
    }

    /// `Enc_h(share_0) Enc_h(share_1)`: the second has randomness of its own.
    fn joined(
        &self,
        case: &Case,
        share_1: &[u64],
        share_0: &[bytes::Bytes],
    ) -> Result<Vec<Ciphertext>, Refusal> {
        block_in_place(|| {
            let key = case.study.unified.key();
            let layout = layout(&self.house.params)?;
            let share_1 = key.encrypt_many(&pack(&layout, share_1)?)?;
            let share_0 = read_ciphertexts(key, share_0, share_1.len())?;
            Ok(key.add_many(&share_0, &share_1)?)
        })
    }
}
