//! What C1 asks of C0. All of it is checked here again, from C0's own ledger.

use crate::attempts::{Attempts, Begun, Ended, Prepared, Stage};
use crate::opener;
use crate::shares::{Opened, gather, packed};
use dyad_bcp::MasterKey;
use dyad_cloud::attempt::{
    link_of_clouds, name, nonce, read_checkpoint, spawn, wire_approvals, wire_checkpoint,
};
use dyad_cloud::codec;
use dyad_cloud::house::House;
use dyad_cloud::jobs::Case;
use dyad_cloud::ledger::State;
use dyad_cloud::refusal::{Cause, Refusal, refuse};
use dyad_cloud::release::{layout, pack, shares_digest, words};
use dyad_cloud::run::{Means, Task};
use dyad_mpc::prg::Attempt;
use dyad_net::identity::Role;
use dyad_net::{Expect, LinkHub, Peer};
use dyad_protos::Hex;
use dyad_protos::job::{Engine, Opening};
use dyad_protos::limits::CIPHERTEXTS;
use dyad_protos::wire::peer::v1::auxiliary_server::Auxiliary;
use dyad_protos::wire::peer::v1::{
    AttemptReply, AttemptRequest, CompareReply, CompareRequest, GiveUpReply, GiveUpRequest,
    SealPart, SealRequest, SignReply, SignRequest, StandingReply, StartReply, StartRequest,
    TransformPart, TransformReply,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// How often attempts are looked at that nobody asks for any more.
const FORGET: Duration = Duration::from_secs(1);

/// The calls.
#[derive(Clone)]
pub(crate) struct Calls {
    house: Arc<House>,
    master: Arc<MasterKey>,
    hub: LinkHub,
    patience: Duration,
    attempts: Attempts,
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], Refusal> {
    let Hex(digest) = Hex::try_from(bytes)?;
    Ok(digest)
}

impl Calls {
    pub(crate) fn new(
        house: Arc<House>,
        master: Arc<MasterKey>,
        hub: LinkHub,
        patience: u64,
    ) -> Self {
        let patience = Duration::from_secs(patience.max(1));
        Self { house, master, hub, patience, attempts: Attempts::default() }
    }

    /// C1 asks, with the very key that the study was frozen with.
    async fn case<T>(&self, request: &Request<T>, job: &[u8]) -> Result<(Case, Peer), Refusal> {
        let peer = self.house.peer(request, Role::C1)?;
        let case = self.case_of(&peer, &digest(job)?).await?;
        Ok((case, peer))
    }

    async fn case_of(&self, peer: &Peer, job: &[u8; 32]) -> Result<Case, Refusal> {
        let case = self.house.case(job).await?;
        let frozen = &case.study.study.c1;
        if frozen.fingerprint.0 != *peer.fingerprint.bytes() || frozen.name != peer.identity.name {
            let what = "C1 comes with another key than the study was frozen with";
            return refuse(Cause::Changed, what);
        }
        Ok(case)
    }

    /// The same, of the job of an attempt; of one that is not known there is nothing to say.
    async fn of_attempt(&self, peer: &Peer, attempt: &[u8; 32]) -> Result<(), Refusal> {
        match self.attempts.job_of(attempt) {
            Some(job) => self.case_of(peer, &job).await.map(drop),
            None => Ok(()),
        }
    }

    /// Attempts at jobs that are over are dropped, with the shares that were opened for them.
    pub(crate) async fn forget_what_is_over(self) {
        loop {
            tokio::time::sleep(FORGET).await;
            let jobs = self.attempts.jobs();
            for job in jobs {
                let idle = |state: State| {
                    state.is_over() || matches!(state, State::Proposed | State::Approved)
                };
                if self.house.case(&job).await.is_ok_and(|case| idle(case.row.state)) {
                    self.drop_all(&job);
                }
            }
        }
    }

    /// Ends all attempts at a job, also those that wait for C1, and forgets their inputs.
    fn drop_all(&self, job: &[u8; 32]) {
        self.house.progress.call_off(job);
        self.attempts.drop_all(job, &self.hub);
    }

    async fn begin(&self, request: &Request<AttemptRequest>) -> Result<AttemptReply, Refusal> {
        let message = request.get_ref();
        let (case, peer) = self.case(request, &message.job).await?;
        let job = &case.row.job;
        match self.house.settle(&job.digest()).await? {
            State::Approved | State::Running | State::Trained => {}
            State::Proposed => {
                let awaited = self.house.awaited(&case).await?;
                let awaited: Vec<_> = awaited.iter().map(dyad_protos::Name::as_str).collect();
                return refuse(
                    Cause::State,
                    format!("C0 awaits approval of {}", awaited.join(", ")),
                );
            }
            state => return refuse(Cause::Over, format!("at C0 the job is {state}")),
        }
        let training = case.study.training(job)?;
        self.house.is_good(&case.study, job, &training).await?;
        let Hex(nonce_1) = Hex::try_from(&message.nonce[..])?;
        if let Some(reply) = self.attempts.answered(&job.digest(), &nonce_1) {
            return Ok(reply);
        }
        if self.house.ledger.is_used(&job.digest(), &nonce_1).await? {
            let what = "C0 knows the attempt with this nonce no more: begin a new one";
            return refuse(Cause::State, what);
        }
        // What is left of an older attempt at this job is over.
        self.drop_all(&job.digest());
        let from = self.common(&job.digest(), &message.checkpoints).await?;
        let attempt = Attempt { job: job.digest(), nonces: [nonce()?, nonce_1] };
        // The job runs only once what is dealt to it is there: until then owners may change their
        // minds.
        let dealt = self.house.dealt(&case, &attempt, from.as_ref()).await?;
        let data = self.house.fits(&case.study, job).await?;
        // The key centre looks at the ends of approvals once more before it deals. Where it deals
        // nothing, matching may have taken longer than an approval lasts.
        if dealt.is_none() && self.house.settle(&job.digest()).await? == State::Proposed {
            return refuse(Cause::State, "an approval has ended, or was taken back, meanwhile");
        }
        let key = name(&attempt);
        let deed = self.house.deed(peer.identity.name.as_str(), "attempt begun", &key);
        if !self.house.ledger.begin_attempt(&attempt, self.house.now(), &deed).await? {
            return refuse(Cause::State, "the job has moved on meanwhile, or the nonce is used up");
        }
        let approvals = self.house.ledger.approvals(&attempt.job).await?;
        let reply = AttemptReply {
            nonce: attempt.nonces[0].to_vec().into(),
            from: from.as_ref().map(|(of, step)| wire_checkpoint(of, *step)),
            approvals: wire_approvals(&approvals),
        };
        let (opened, blinded) = (Opened::new(), HashMap::new());
        let peer = Expect::identity(peer.identity).pinned(peer.fingerprint);
        let prepared = Prepared { attempt, from, training, data, dealt, opened, blinded, peer };
        let stage = Stage::Prepared(Box::new(prepared));
        self.drop_all(&job.digest());
        self.attempts.insert(key, Begun { attempt, reply: reply.clone(), stage });
        Ok(reply)
    }

    /// The newest checkpoint that both have.
    async fn common(
        &self,
        job: &[u8; 32],
        theirs: &[dyad_protos::wire::peer::v1::Checkpoint],
    ) -> Result<Option<(Attempt, u64)>, Refusal> {
        let read = theirs.iter().map(|checkpoint| read_checkpoint(job, checkpoint));
        let theirs = read.collect::<Result<Vec<_>, _>>()?;
        let mine = self.house.ledger.checkpoints(job).await?;
        let both = mine.into_iter().map(|(of, step, _)| (of, step));
        Ok(both.filter(|mine| theirs.contains(mine)).max_by_key(|(_, step)| *step))
    }

    async fn open_all(
        &self,
        peer: &Peer,
        mut incoming: Streaming<TransformPart>,
    ) -> Result<TransformReply, Refusal> {
        let broken = |status: Status| Refusal::new(Cause::Own, status.message());
        let mut current = None;
        while let Some(part) = incoming.message().await.map_err(broken)? {
            if !part.attempt.is_empty() {
                let attempt = digest(&part.attempt)?;
                self.of_attempt(peer, &attempt).await?;
                current = Some(attempt);
            }
            let no_attempt = || Refusal::new(Cause::Message, "no attempt is named");
            let attempt = current.ok_or_else(no_attempt)?;
            let mut taken = self.attempts.take(&attempt)?;
            if let Some(prepared) = &mut taken.prepared {
                self.transform_one(prepared, &part).await?;
            }
        }
        Ok(TransformReply {})
    }

    async fn transform_one(
        &self,
        prepared: &mut Prepared,
        part: &TransformPart,
    ) -> Result<(), Refusal> {
        let upload = digest(&part.upload)?;
        let (rows, _) = &prepared.data;
        let row = rows.iter().find(|row| row.manifest.digest() == upload);
        let row = row.ok_or_else(|| Refusal::new(Cause::Message, "no upload of this job"))?;
        let case = self.house.case(&prepared.attempt.job).await?;
        // Opened before, with these blinds: that share stays. Other blinds would be of no use to a C1
        // that follows the protocol.
        let blinded = dyad_protos::digest("blinded", &[&part.ciphertexts]);
        match prepared.blinded.get(&(upload, part.chunk)) {
            Some(before) if *before == blinded => return Ok(()),
            Some(_) => {
                let what = "this chunk was opened in this attempt, blinded otherwise";
                return refuse(Cause::Changed, what);
            }
            None => {}
        }
        let (house, master) = (&self.house, &self.master);
        let shares = packed(house, master, &case, row, part.chunk, &part.ciphertexts).await?;
        prepared.opened.insert((upload, part.chunk), shares);
        prepared.blinded.insert((upload, part.chunk), blinded);
        Ok(())
    }

    async fn start_one(&self, attempt: [u8; 32]) -> Result<StartReply, Refusal> {
        let Some(prepared) = self.attempts.take_to_start(&attempt)? else {
            return Ok(StartReply {});
        };
        let calls = self.clone();
        // Not given up when whoever asked hangs up: it may ask again, and is answered the same.
        let started = tokio::spawn(async move { calls.begin_to_run(attempt, *prepared).await });
        let started = started.await;
        started.map_err(|error| Refusal::new(Cause::Own, error.to_string()))?
    }

    async fn begin_to_run(
        self,
        attempt: [u8; 32],
        prepared: Prepared,
    ) -> Result<StartReply, Refusal> {
        let job = prepared.attempt.job;
        let ended = match self.launch(prepared).await {
            Ok(ended) => ended,
            Err(refusal) => {
                let ended = Ended { why: refusal.what.clone(), passing: refusal.is_passing() };
                self.attempts.failed(&attempt, Some(refusal.cause), ended);
                return Err(refusal);
            }
        };
        tokio::spawn(async move {
            let (why, passing) = match ended.await {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => (failure.to_string(), failure.is_passing()),
                Err(_) => ("the thread is gone".to_owned(), true),
            };
            // Of one whose place another has taken nobody need know why it ended.
            let ended = Ended { why: why.clone(), passing };
            if !self.attempts.failed(&attempt, None, ended) {
                return;
            }
            tracing::warn!(job = %Hex(job), "the attempt ended early: {why}");
            if let Err(refusal) = self.house.ledger.note(&job, &why).await {
                tracing::warn!("{refusal}");
            }
        });
        Ok(StartReply {})
    }

    async fn launch(
        &self,
        prepared: Prepared,
    ) -> Result<tokio::sync::oneshot::Receiver<Result<(), dyad_cloud::run::Failure>>, Refusal> {
        let Prepared { attempt, from, training, data, dealt, mut opened, peer, .. } = prepared;
        let house = &self.house;
        let case = house.case(&attempt.job).await?;
        let inputs = gather(house, &self.master, &case, &training, &data, &mut opened).await?;
        let from = match from {
            None => None,
            Some((of, step)) => Some(((of, step), house.checkpoint(&of, step).await?)),
        };
        let link = self.hub.expect(link_of_clouds(&attempt), peer).waiting(self.patience);
        // A newer attempt ends the links of those before: this one is there to be ended by now.
        if self.attempts.job_of(&name(&attempt)).is_none() {
            return refuse(Cause::State, "a newer attempt has begun meanwhile");
        }
        let means = match (dealt, case.row.job.engine) {
            (Some(dealt), _) => Means::Dealt { dealt, dealer: None },
            (None, Engine::Share) => Means::Pairwise,
            (None, Engine::Cipher) => {
                let (key, master) = (case.study.unified.key(), Arc::clone(&self.master));
                let opener = block_in_place(|| opener::Auxiliary::new(master, key))?;
                // This one is counted already.
                let before = case.row.attempts.saturating_sub(1);
                let key = Box::new(key.clone());
                Means::Ciphertexts { key, opener: Some(Box::new(opener)), before }
            }
        };
        let (link, limit) = (Box::new(link), self.patience);
        spawn(house, Task { attempt, training, from, inputs, means, link, limit })
    }

    async fn standing_of(&self, attempt: [u8; 32]) -> Result<StandingReply, Refusal> {
        let reply = |state: &str, reason: &str, passing| StandingReply {
            state: state.to_owned(),
            reason: reason.to_owned(),
            passing,
        };
        let job = match self.attempts.standing(&attempt) {
            None => return Ok(reply("unknown", "C0 knows no such attempt (any more)", true)),
            Some((_, Some(Ended { why, passing }))) => return Ok(reply("failed", &why, passing)),
            Some((job, None)) => job,
        };
        let case = self.house.case(&job).await?;
        Ok(reply(case.row.state.as_str(), "", true))
    }

    /// The model of this attempt and step; only what was trained to the end.
    async fn model(
        &self,
        case: &Case,
        named: Option<&dyad_protos::wire::peer::v1::Checkpoint>,
    ) -> Result<dyad_learn::checkpoint::Checkpoint, Refusal> {
        let job = case.row.job.digest();
        match case.row.state {
            State::Trained | State::Sealed => {}
            state if state.is_over() => {
                return refuse(Cause::Over, format!("at C0 the job is {state}"));
            }
            state => return refuse(Cause::State, format!("at C0 the job is {state}")),
        }
        let named = named.ok_or_else(|| Refusal::new(Cause::Message, "no model is named"))?;
        let (of, step) = read_checkpoint(&job, named)?;
        let model = self.house.model(&job).await?;
        if (model.attempt(), model.step()) != (of, step) || step != case.row.steps {
            let what = "C0 has another model than C1: one of the two stores was set back";
            return refuse(Cause::Changed, what);
        }
        Ok(model)
    }

    /// `[Enc_h(share_0)]`
    async fn seal_parts(&self, request: &Request<SealRequest>) -> Result<Vec<SealPart>, Refusal> {
        let (case, _) = self.case(request, &request.get_ref().job).await?;
        if case.row.job.opening != Opening::Joint {
            return refuse(Cause::State, "this model is released to each recipient");
        }
        if case.row.job.engine == Engine::Cipher {
            return refuse(Cause::State, "this model is in no shares: C1 has its ciphertexts");
        }
        let model = self.model(&case, request.get_ref().model.as_ref()).await?;
        let ciphertexts = block_in_place(|| {
            let plaintexts = pack(&layout(&self.house.params)?, &words(&model))?;
            case.study.unified.key().encrypt_many(&plaintexts)
        })?;
        let pieces = ciphertexts.chunks(CIPHERTEXTS);
        let parts = pieces.len() as u32;
        let part =
            |(index, piece)| SealPart { index, parts, ciphertexts: codec::write(piece).into() };
        Ok((0..).zip(pieces).map(part).collect())
    }

    async fn sign_one(&self, request: &Request<SignRequest>) -> Result<SignReply, Refusal> {
        let message = request.get_ref();
        let (case, _) = self.case(request, &message.job).await?;
        let release = digest(&message.release)?;
        // A repeat is answered without the model, which may be gone; another digest never is.
        if case.row.heads != Some(release) {
            let model = self.model(&case, message.model.as_ref()).await?;
            if case.row.job.opening == Opening::Each && shares_digest(&model) != release {
                return refuse(Cause::Changed, "C0 has another model than C1");
            }
        }
        let signature = self.house.sign_release(&case, &release).await?;
        let job = case.row.job.digest();
        // C0's part is done; with `joint`, owners answer to C1.
        let before = [State::Trained, State::Sealed];
        if !self.house.ledger.advance(&job, &before, State::Released).await? {
            let state = self.house.case(&job).await?.row.state;
            if state != State::Released {
                return refuse(Cause::Over, format!("at C0 the job is {state}"));
            }
        }
        Ok(SignReply { signature: signature.to_vec().into() })
    }

    /// C1 says that the job cannot be run. Nothing is run without C1, so C0 keeps nothing for it;
    /// but what C0 has signed for stays, and so does what is over.
    async fn give_up_one(&self, request: &Request<GiveUpRequest>) -> Result<GiveUpReply, Refusal> {
        let (case, peer) = self.case(request, &request.get_ref().job).await?;
        if case.row.heads.is_some() {
            return Ok(GiveUpReply {});
        }
        let job = case.row.job.digest();
        let said: String = request.get_ref().reason.chars().take(REASON).collect();
        let reason = format!("{} gave it up: {said}", peer.identity);
        let deed = self.house.deed(peer.identity.name.as_str(), "job given up", &job);
        if self.house.ledger.fail(&job, &reason, &deed).await? {
            self.drop_all(&job);
        }
        Ok(GiveUpReply {})
    }

    /// What owners have told C1 alone, and what they have told C0 alone.
    async fn compare_one(
        &self,
        request: &Request<CompareRequest>,
    ) -> Result<CompareReply, Refusal> {
        let peer = self.house.peer(request, Role::C1)?;
        let message = request.get_ref();
        let job = digest(&message.job)?;
        if self.house.ledger.job(&job).await?.is_none() {
            return Ok(CompareReply::default());
        }
        let case = self.case_of(&peer, &job).await?;
        let (house, by) = (&self.house, peer.identity.to_string());
        // It runs nowhere if it does not run there.
        let idle = message.state == State::Proposed.as_str();
        let taken = house.take_revocations(&case, &message.revocations, idle, &by).await?;
        let ended = house.end_as_over_there(&case, &message.state, &message.reason, &by).await?;
        if ended || (taken && case.row.state == State::Running) {
            self.drop_all(&job);
        }
        let row = house.case(&job).await?.row;
        Ok(CompareReply {
            state: row.state.as_str().to_owned(),
            reason: row.reason,
            revocations: house.revocations_shown(&job).await?,
        })
    }
}

/// Characters of what C1 says that are kept.
const REASON: usize = 2000;

#[tonic::async_trait]
impl Auxiliary for Calls {
    async fn attempt(
        &self,
        request: Request<AttemptRequest>,
    ) -> Result<Response<AttemptReply>, Status> {
        let who = self.house.who(&request);
        let result = self.begin(&request).await;
        self.house.told("Attempt", &who, result).map(Response::new)
    }

    async fn transform(
        &self,
        request: Request<Streaming<TransformPart>>,
    ) -> Result<Response<TransformReply>, Status> {
        let who = self.house.who(&request);
        let result = async {
            let peer = self.house.peer(&request, Role::C1)?;
            self.open_all(&peer, request.into_inner()).await
        };
        let result = result.await;
        self.house.told("Transform", &who, result).map(Response::new)
    }

    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        let who = self.house.who(&request);
        let result = async {
            let peer = self.house.peer(&request, Role::C1)?;
            let attempt = digest(&request.get_ref().attempt)?;
            self.of_attempt(&peer, &attempt).await?;
            self.start_one(attempt).await
        };
        let result = result.await;
        self.house.told("Start", &who, result).map(Response::new)
    }

    async fn standing(
        &self,
        request: Request<StartRequest>,
    ) -> Result<Response<StandingReply>, Status> {
        let who = self.house.who(&request);
        let result = async {
            let peer = self.house.peer(&request, Role::C1)?;
            let attempt = digest(&request.get_ref().attempt)?;
            self.of_attempt(&peer, &attempt).await?;
            self.standing_of(attempt).await
        };
        let result = result.await;
        self.house.told("Standing", &who, result).map(Response::new)
    }

    type SealStream = ReceiverStream<Result<SealPart, Status>>;

    async fn seal(
        &self,
        request: Request<SealRequest>,
    ) -> Result<Response<Self::SealStream>, Status> {
        let who = self.house.who(&request);
        let result = self.seal_parts(&request).await;
        let parts = self.house.told("Seal", &who, result)?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            for part in parts {
                if sender.send(Ok(part)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn sign(&self, request: Request<SignRequest>) -> Result<Response<SignReply>, Status> {
        let who = self.house.who(&request);
        let result = self.sign_one(&request).await;
        self.house.told("Sign", &who, result).map(Response::new)
    }

    async fn give_up(
        &self,
        request: Request<GiveUpRequest>,
    ) -> Result<Response<GiveUpReply>, Status> {
        let who = self.house.who(&request);
        let result = self.give_up_one(&request).await;
        self.house.told("GiveUp", &who, result).map(Response::new)
    }

    async fn compare(
        &self,
        request: Request<CompareRequest>,
    ) -> Result<Response<CompareReply>, Status> {
        let who = self.house.who(&request);
        let result = self.compare_one(&request).await;
        self.house.told("Compare", &who, result).map(Response::new)
    }
}
