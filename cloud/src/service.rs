//! What owners ask of a cloud: each call finds out who asks, and hands over.

use crate::answer::Coming;
use crate::house::House;
use crate::jobs::Case;
use crate::ledger::Answer;
use crate::page::Page;
use crate::refusal::{Cause, Refusal, refuse};
use crate::sending::{self, Place};
use dyad_net::identity::Role;
use dyad_protos::wire::cloud::v1::cloud_server::Cloud;
use dyad_protos::wire::cloud::v1::{
    AnswerPart, AnswerReply, ApproveRequest, BeginRequest, Chunk, CompareReply, CompareRequest,
    FetchedReply, JobReply, JobRequest, JobsReply, JobsRequest, MatchReply, MatchRequest, Part,
    ProposeRequest, RevokeRequest, Stored, UploadReply, UploadRequest, UploadsReply,
    UploadsRequest, WithdrawReply, WithdrawRequest,
};
use dyad_protos::{Hex, Name};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// The calls.
pub(crate) struct Calls(pub(crate) Arc<House>);

/// Who asks: an owner, and the key of its certificate.
struct Asking {
    name: Name,
    fingerprint: [u8; 32],
}

impl Calls {
    fn asking<T>(&self, request: &Request<T>) -> Result<Asking, Refusal> {
        let (name, peer) = self.0.owner(request)?;
        Ok(Asking { name, fingerprint: *peer.fingerprint.bytes() })
    }

    /// Who asks, and the job that is asked about: of a study the asker is a member of.
    async fn case<T: Sync>(
        &self,
        request: &Request<T>,
        job: &[u8],
    ) -> Result<(Name, Case), Refusal> {
        let Asking { name, fingerprint } = self.asking(request)?;
        let case = self.0.case_for(&name, &fingerprint, &digest(job)?).await?;
        Ok((name, case))
    }

    fn told<T>(
        &self,
        call: &'static str,
        who: &str,
        result: Result<T, Refusal>,
    ) -> Result<Response<T>, Status> {
        self.0.told(call, who, result).map(Response::new)
    }
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], Refusal> {
    let Hex(digest) = Hex::try_from(bytes)?;
    Ok(digest)
}

/// Messages that are at hand, as a stream.
type Out<T> = ReceiverStream<Result<T, Status>>;

fn stream<T: Send + 'static>(all: Vec<T>) -> Out<T> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        for one in all {
            if sender.send(Ok(one)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

#[tonic::async_trait]
impl Cloud for Calls {
    async fn begin(&self, request: Request<BeginRequest>) -> Result<Response<UploadReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            let _one_at_a_time = self.0.announcing.lock().await;
            self.0.room_for_upload(&asking.name, &asking.fingerprint, request.get_ref()).await?;
            self.0.begin_upload(&asking.name, &asking.fingerprint, request.get_ref()).await
        };
        self.told("Begin", &who, result.await)
    }

    type SendStream = Out<Stored>;

    async fn send(
        &self,
        request: Request<Streaming<Chunk>>,
    ) -> Result<Response<Self::SendStream>, Status> {
        let who = self.0.who(&request);
        let place = self.asking(&request).and_then(|asking| self.0.intake.place(&asking.name));
        let place = self.0.told("Send", &who, place)?;
        Ok(Response::new(sending::take(&self.0, place, request.into_inner(), who)))
    }

    async fn finish(
        &self,
        request: Request<UploadRequest>,
    ) -> Result<Response<UploadReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            let upload = digest(&request.get_ref().upload)?;
            let row = self.0.upload_by(&asking.name, &upload).await?;
            self.0.finish_upload(&row).await
        };
        self.told("Finish", &who, result.await)
    }

    async fn withdraw(
        &self,
        request: Request<WithdrawRequest>,
    ) -> Result<Response<WithdrawReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            let upload = digest(&request.get_ref().upload)?;
            let row = self.0.upload_by(&asking.name, &upload).await?;
            self.0.withdraw(&row, &request.get_ref().signature).await?;
            Ok(WithdrawReply {})
        };
        self.told("Withdraw", &who, result.await)
    }

    async fn uploads(
        &self,
        request: Request<UploadsRequest>,
    ) -> Result<Response<UploadsReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            let message = request.get_ref();
            let (study, page) =
                (digest(&message.study)?, Page::read(&message.after, message.limit)?);
            self.0.study(&study).await?.is_member(&asking.name, &asking.fingerprint)?;
            let (uploads, next) = self.0.summaries(&study, &page).await?;
            Ok(UploadsReply { uploads, next })
        };
        self.told("Uploads", &who, result.await)
    }

    async fn r#match(
        &self,
        request: Request<MatchRequest>,
    ) -> Result<Response<MatchReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            let study = self.0.study(&digest(&request.get_ref().study)?).await?;
            study.is_member(&asking.name, &asking.fingerprint)?;
            let _place = self.0.busy.place(&asking.name)?;
            let uploads = request.get_ref().uploads.iter().map(|upload| digest(upload));
            self.0.match_rows(&study, &uploads.collect::<Result<Vec<_>, _>>()?).await
        };
        self.told("Match", &who, result.await)
    }

    async fn propose(
        &self,
        request: Request<ProposeRequest>,
    ) -> Result<Response<JobReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            self.0.propose(&asking.name, &asking.fingerprint, request.get_ref()).await
        };
        self.told("Propose", &who, result.await)
    }

    async fn approve(
        &self,
        request: Request<ApproveRequest>,
    ) -> Result<Response<JobReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            self.0.approve(&name, case, request.get_ref()).await
        };
        self.told("Approve", &who, result.await)
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<JobReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            self.0.revoke(&name, case, request.get_ref()).await
        };
        self.told("Revoke", &who, result.await)
    }

    async fn cancel(&self, request: Request<RevokeRequest>) -> Result<Response<JobReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            self.0.cancel(&name, case, request.get_ref()).await
        };
        self.told("Cancel", &who, result.await)
    }

    async fn job(&self, request: Request<JobRequest>) -> Result<Response<JobReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (_, case) = self.case(&request, &request.get_ref().job).await?;
            self.0.job_reply(&case).await
        };
        self.told("Job", &who, result.await)
    }

    async fn jobs(&self, request: Request<JobsRequest>) -> Result<Response<JobsReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let asking = self.asking(&request)?;
            let message = request.get_ref();
            let (study, page) =
                (digest(&message.study)?, Page::read(&message.after, message.limit)?);
            let frozen = self.0.study(&study).await?;
            frozen.is_member(&asking.name, &asking.fingerprint)?;
            let (jobs, next) = self.0.jobs_of(&frozen, &page).await?;
            Ok(JobsReply { jobs, next })
        };
        self.told("Jobs", &who, result.await)
    }

    type ShareStream = Out<Part>;

    async fn share(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<Self::ShareStream>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            Ok(stream(self.0.share(&case, &name).await?))
        };
        self.told("Share", &who, result.await)
    }

    type HeadsStream = Out<Part>;

    async fn heads(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<Self::HeadsStream>, Status> {
        let who = self.0.who(&request);
        let result = async {
            self.is_main()?;
            let (_, case) = self.case(&request, &request.get_ref().job).await?;
            Ok(stream(self.0.heads(&case).await?))
        };
        self.told("Heads", &who, result.await)
    }

    async fn answer(
        &self,
        request: Request<Streaming<AnswerPart>>,
    ) -> Result<Response<AnswerReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            self.is_main()?;
            let Asking { name, fingerprint } = self.asking(&request)?;
            let place = self.0.intake.place(&name)?;
            let mut incoming = request.into_inner();
            let first = sending::next(&mut incoming).await?;
            let first = first.ok_or_else(|| Refusal::new(Cause::Message, "an empty answer"))?;
            let job = digest(&first.job)?;
            let case = self.0.case_for(&name, &fingerprint, &job).await?;
            let mut coming = self.0.answer_comes(&case, &name, &first)?;
            let taken = match all_parts(&mut coming, first, incoming, place).await {
                Ok(()) => coming.whole().await,
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = taken {
                coming.drop_it().await;
                return Err(refusal);
            }
            let awaited = self.0.answers_awaited(&self.0.case(&job).await?).await?;
            Ok(AnswerReply { awaited: awaited.iter().map(Name::to_string).collect() })
        };
        self.told("Answer", &who, result.await)
    }

    type CollectStream = Out<Part>;

    async fn collect(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<Self::CollectStream>, Status> {
        let who = self.0.who(&request);
        let result = async {
            self.is_main()?;
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            let (bodies, answers) = self.0.collect(&case, &name).await?;
            Ok(collected(Arc::clone(&self.0), case.row.job.digest(), bodies, answers))
        };
        self.told("Collect", &who, result.await)
    }

    async fn fetched(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<FetchedReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            self.0.fetched(&case, &name).await?;
            Ok(FetchedReply {})
        };
        self.told("Fetched", &who, result.await)
    }

    async fn compare(
        &self,
        request: Request<CompareRequest>,
    ) -> Result<Response<CompareReply>, Status> {
        let who = self.0.who(&request);
        let result = async {
            let (name, case) = self.case(&request, &request.get_ref().job).await?;
            self.0.compare(&case, &name, &request.get_ref().checks).await
        };
        self.told("Compare", &who, result.await)
    }
}

/// Takes all parts of an answer, one after the other.
async fn all_parts(
    coming: &mut Coming<'_>,
    first: AnswerPart,
    mut incoming: Streaming<AnswerPart>,
    _place: Place,
) -> Result<(), Refusal> {
    let mut next = Some(first);
    while let Some(part) = next {
        coming.part(part).await?;
        next = sending::next(&mut incoming).await?;
    }
    Ok(())
}

/// Bodies, and then answers, each part read when the one before is taken.
fn collected(
    house: Arc<House>,
    job: [u8; 32],
    bodies: Vec<Part>,
    answers: Vec<Answer>,
) -> Out<Part> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        for part in bodies {
            if sender.send(Ok(part)).await.is_err() {
                return;
            }
        }
        let indices = answers.iter().flat_map(|to| (0..to.parts).map(move |index| (to, index)));
        for (answer, index) in indices {
            let part = house.answer_part(&job, answer, index).await.map_err(Status::from);
            let last = part.is_err();
            if sender.send(part).await.is_err() || last {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

impl Calls {
    /// Joint release is C1's: C0 must never have the model under the unified key.
    fn is_main(&self) -> Result<(), Refusal> {
        if self.0.role() == Role::C1 {
            return Ok(());
        }
        refuse(Cause::Unknown, "this is C0: C1 is to be asked for it")
    }
}
