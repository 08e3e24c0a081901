//! The two services: who asks, may they, and what becomes of refusals.

use crate::asked::Asked;
use crate::dealer::Dealers;
use crate::error::{Cause, Error, Result, refuse};
use crate::office::Office;
use crate::parties;
use dyad_mpc::prg::Party as Side;
use dyad_net::identity::Role;
use dyad_net::{Expect, Peer, peer};
use dyad_node::{Context, Witness, series};
use dyad_protos::wire::kgc::v1::enrolment_server::Enrolment;
use dyad_protos::wire::kgc::v1::registry_server::Registry;
use dyad_protos::wire::kgc::v1::{
    AttemptReply, AttemptRequest, CreateStudyRequest, EndJobReply, EndJobRequest, EnrolReply,
    EnrolRequest, HandOverDoneReply, HandOverDoneRequest, HandOverReply, HandOverRequest,
    JoinStudyRequest, PseudonymKeyReply, RenewReply, RenewRequest, RevocationsReply,
    RevocationsRequest, StudiesReply, StudiesRequest, StudyReply, StudyRequest,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// What calls are answered with. Clones share it.
#[derive(Clone)]
pub(crate) struct Desk(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) office: Arc<Office>,
    pub(crate) dealers: Dealers,
    pub(crate) context: Context,
    pub(crate) witness: Witness,
}

impl Desk {
    pub(crate) fn new(
        office: Arc<Office>,
        dealers: Dealers,
        context: Context,
        witness: Witness,
    ) -> Self {
        for cause in Cause::ALL {
            // From nought on, so that the first refusal shows as a change.
            context.metrics.counter(series::REFUSALS, &[("cause", cause.as_str())]).increment(0);
        }
        Self(Arc::new(Inner { office, dealers, context, witness }))
    }

    fn office(&self) -> &Office {
        &self.0.office
    }

    /// Answers; a refusal is logged, counted and written down.
    fn answer<T>(
        &self,
        who: &str,
        call: &'static str,
        result: Result<T>,
    ) -> Result<Response<T>, Status> {
        let error = match result {
            Ok(reply) => return Ok(Response::new(reply)),
            Err(error) => error,
        };
        if let Error::Refused { cause, text } = &error {
            let cause = cause.as_str();
            tracing::warn!(who, call, cause, "refused: {text}");
            let metrics = &self.0.context.metrics;
            metrics.counter(series::REFUSALS, &[("cause", cause)]).increment(1);
            self.0.witness.refused(who, cause, format!("{call}: {text}"));
        } else {
            tracing::error!(who, call, "failed: {error}");
        }
        Err(error.into())
    }

    async fn revocations(&self, peer: &Peer) -> Result<RevocationsReply> {
        let office = self.office();
        let mut tx = office.db.begin().await?;
        office.caller(&mut tx, peer).await?;
        let (_, crl) = office.revocation_list(&mut tx).await?;
        Ok(RevocationsReply { crl: crl.into(), services: parties::services(&mut tx).await? })
    }

    async fn attempt(&self, peer: &Peer, request: AttemptRequest) -> Result<AttemptReply> {
        let asked = Asked::read(request)?;
        let (office, dealers) = (&self.0.office, &self.0.dealers);
        if self.0.context.stop.is_stopping() {
            return refuse(Cause::Limit, "the key centre is stopping: ask again when it is back");
        }
        if peer.role() == Role::C1 {
            dealers.check_room(&asked.attempt.job, office.config.limits.dealers)?;
        }
        let granted = office.attempt(peer, asked).await?;
        dealers.only(&granted.attempt);
        let side = if peer.role() == Role::C0 { Side::Zero } else { Side::One };
        let reply = AttemptReply {
            seed: granted.seeds[side.index()].as_bytes().to_vec().into(),
            checks: granted.contract.seeds.iter().map(|check| check.to_vec().into()).collect(),
        };
        let job = dyad_protos::Hex(granted.attempt.job);
        tracing::info!(cloud = %peer.identity, %job, attempt = granted.place, "granted");
        if side == Side::One {
            // The very key that asked, which is the one that the study was frozen with.
            let c1 = Expect::identity(peer.identity.clone()).pinned(peer.fingerprint);
            dealers.start(office, c1, granted)?;
        }
        Ok(reply)
    }

    async fn end_job(&self, peer: &Peer, job: &[u8]) -> Result<EndJobReply> {
        if self.office().end_job(peer, job).await?
            && let Ok(job) = job.try_into()
        {
            self.0.dealers.end(job);
        }
        Ok(EndJobReply {})
    }
}

/// A caller of one of these roles.
fn may(peer: &Peer, call: &str, roles: &[Role]) -> Result<()> {
    if roles.contains(&peer.role()) {
        return Ok(());
    }
    let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let text = format!("{} may not call {call}: {} may", peer.identity, roles.join(" and "));
    refuse(Cause::Role, text)
}

const CLOUDS: [Role; 2] = [Role::C0, Role::C1];
const OWNERS: [Role; 1] = [Role::Owner];
const ONLY_C0: [Role; 1] = [Role::C0];

#[tonic::async_trait]
impl Enrolment for Desk {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let reply = self.office().enrol(request.into_inner()).await;
        self.answer("somebody with a token", "Enrol", reply)
    }
}

/// Who asks, what, and the answer for callers of these roles.
macro_rules! call {
    ($self:ident, $request:ident, $name:literal, $roles:expr, |$peer:ident, $asked:ident| $do:expr) => {{
        let $peer = peer(&$request)?;
        let who = $peer.identity.to_string();
        let $asked = $request.into_inner();
        let reply = match may(&$peer, $name, &$roles) {
            Ok(()) => $do.await,
            Err(refusal) => Err(refusal),
        };
        $self.answer(&who, $name, reply)
    }};
}

#[tonic::async_trait]
impl Registry for Desk {
    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        call!(self, request, "Renew", [Role::Owner, Role::C0, Role::C1], |peer, asked| self
            .office()
            .renew(&peer, &asked.request))
    }

    async fn revocations(
        &self,
        request: Request<RevocationsRequest>,
    ) -> Result<Response<RevocationsReply>, Status> {
        call!(self, request, "Revocations", [Role::Owner, Role::C0, Role::C1], |peer, _asked| self
            .revocations(&peer))
    }

    async fn create_study(
        &self,
        request: Request<CreateStudyRequest>,
    ) -> Result<Response<StudyReply>, Status> {
        call!(self, request, "CreateStudy", OWNERS, |peer, asked| self
            .office()
            .create_study(&peer, &asked.draft))
    }

    async fn join_study(
        &self,
        request: Request<JoinStudyRequest>,
    ) -> Result<Response<StudyReply>, Status> {
        call!(self, request, "JoinStudy", OWNERS, |peer, asked| self
            .office()
            .join_study(&peer, &asked))
    }

    async fn study(&self, request: Request<StudyRequest>) -> Result<Response<StudyReply>, Status> {
        call!(self, request, "Study", OWNERS, |peer, asked| self.office().study(&peer, &asked.name))
    }

    async fn studies(
        &self,
        request: Request<StudiesRequest>,
    ) -> Result<Response<StudiesReply>, Status> {
        let studies = |peer: Peer| async move {
            Ok(StudiesReply { studies: self.office().studies(&peer).await? })
        };
        call!(self, request, "Studies", OWNERS, |peer, _asked| studies(peer))
    }

    async fn pseudonym_key(
        &self,
        request: Request<StudyRequest>,
    ) -> Result<Response<PseudonymKeyReply>, Status> {
        call!(self, request, "PseudonymKey", OWNERS, |peer, asked| self
            .office()
            .pseudonyms(&peer, &asked.name))
    }

    async fn hand_over(
        &self,
        request: Request<HandOverRequest>,
    ) -> Result<Response<HandOverReply>, Status> {
        call!(self, request, "HandOver", ONLY_C0, |peer, _asked| self.office().hand_over(&peer))
    }

    async fn hand_over_done(
        &self,
        request: Request<HandOverDoneRequest>,
    ) -> Result<Response<HandOverDoneReply>, Status> {
        let done = |peer: Peer, digest: bytes::Bytes| async move {
            self.office().hand_over_done(&peer, &digest).await?;
            Ok(HandOverDoneReply {})
        };
        call!(self, request, "HandOverDone", ONLY_C0, |peer, asked| done(peer, asked.digest))
    }

    async fn attempt(
        &self,
        request: Request<AttemptRequest>,
    ) -> Result<Response<AttemptReply>, Status> {
        call!(self, request, "Attempt", CLOUDS, |peer, asked| self.attempt(&peer, asked))
    }

    async fn end_job(
        &self,
        request: Request<EndJobRequest>,
    ) -> Result<Response<EndJobReply>, Status> {
        call!(self, request, "EndJob", CLOUDS, |peer, asked| self.end_job(&peer, &asked.job))
    }
}
