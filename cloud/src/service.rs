//! What owners ask of a cloud: each call finds out who asks, and hands over.

use crate::house::House;
use crate::refusal::{Cause, Refusal, refuse};
use dyad_net::identity::Role;
use dyad_protos::limits::PARTS;
use dyad_protos::wire::cloud::v1::cloud_server::Cloud;
use dyad_protos::wire::cloud::v1::{
    AnswerPart, AnswerReply, ApproveRequest, BeginRequest, Chunk, JobReply, JobRequest, JobsReply,
    JobsRequest, MatchReply, MatchRequest, Part, ProposeRequest, RevokeRequest, Stored,
    UploadReply, UploadRequest, UploadsReply, UploadsRequest, WithdrawReply, WithdrawRequest,
};
use dyad_protos::{Hex, Name};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Chunks that are stored at the same time.
const AT_ONCE: usize = 8;

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

    fn told<T>(
        &self,
        call: &'static str,
        result: Result<T, Refusal>,
    ) -> Result<Response<T>, Status> {
        self.0.told(call, result).map(Response::new)
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
        let result = async {
            let asking = self.asking(&request)?;
            self.0.begin_upload(&asking.name, &asking.fingerprint, request.get_ref()).await
        };
        self.told("Begin", result.await)
    }

    type SendStream = Out<Stored>;

    async fn send(
        &self,
        request: Request<Streaming<Chunk>>,
    ) -> Result<Response<Self::SendStream>, Status> {
        let asking = self.0.told("Send", self.asking(&request))?;
        let (sender, receiver) = mpsc::channel(2 * AT_ONCE);
        let house = Arc::clone(&self.0);
        tokio::spawn(async move {
            let result = store_all(&house, &asking.name, request.into_inner(), &sender).await;
            if let Err(status) = house.told("Send", result) {
                // A client that is gone need not be told.
                drop(sender.send(Err(status)).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn finish(
        &self,
        request: Request<UploadRequest>,
    ) -> Result<Response<UploadReply>, Status> {
        let result = async {
            let asking = self.asking(&request)?;
            let upload = digest(&request.get_ref().upload)?;
            let row = self.0.upload_by(&asking.name, &upload).await?;
            self.0.finish_upload(&row).await
        };
        self.told("Finish", result.await)
    }

    async fn withdraw(
        &self,
        request: Request<WithdrawRequest>,
    ) -> Result<Response<WithdrawReply>, Status> {
        let result = async {
            let asking = self.asking(&request)?;
            let upload = digest(&request.get_ref().upload)?;
            let row = self.0.upload_by(&asking.name, &upload).await?;
            self.0.withdraw(&row, &request.get_ref().signature).await?;
            Ok(WithdrawReply {})
        };
        self.told("Withdraw", result.await)
    }

    async fn uploads(
        &self,
        request: Request<UploadsRequest>,
    ) -> Result<Response<UploadsReply>, Status> {
        let result = async {
            let asking = self.asking(&request)?;
            let study = digest(&request.get_ref().study)?;
            self.0.study(&study).await?.is_member(&asking.name, &asking.fingerprint)?;
            Ok(UploadsReply { uploads: self.0.summaries(&study).await? })
        };
        self.told("Uploads", result.await)
    }

    async fn r#match(
        &self,
        request: Request<MatchRequest>,
    ) -> Result<Response<MatchReply>, Status> {
        let result = async {
            let asking = self.asking(&request)?;
            let study = self.0.study(&digest(&request.get_ref().study)?).await?;
            study.is_member(&asking.name, &asking.fingerprint)?;
            let uploads = request.get_ref().uploads.iter().map(|upload| digest(upload));
            self.0.match_rows(&study, &uploads.collect::<Result<Vec<_>, _>>()?).await
        };
        self.told("Match", result.await)
    }

    async fn propose(
        &self,
        request: Request<ProposeRequest>,
    ) -> Result<Response<JobReply>, Status> {
        let result = async {
            let asking = self.asking(&request)?;
            self.0.propose(&asking.name, &asking.fingerprint, request.get_ref()).await
        };
        self.told("Propose", result.await)
    }

    async fn approve(
        &self,
        request: Request<ApproveRequest>,
    ) -> Result<Response<JobReply>, Status> {
        let result = async {
            let Asking { name, fingerprint } = self.asking(&request)?;
            let request = request.get_ref();
            let case = self.0.case_for(&name, &fingerprint, &digest(&request.job)?).await?;
            self.0.approve(&name, case, request).await
        };
        self.told("Approve", result.await)
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<JobReply>, Status> {
        let result = async {
            let Asking { name, fingerprint } = self.asking(&request)?;
            let request = request.get_ref();
            let case = self.0.case_for(&name, &fingerprint, &digest(&request.job)?).await?;
            self.0.revoke(&name, case, request).await
        };
        self.told("Revoke", result.await)
    }

    async fn cancel(&self, request: Request<RevokeRequest>) -> Result<Response<JobReply>, Status> {
        let result = async {
            let Asking { name, fingerprint } = self.asking(&request)?;
            let request = request.get_ref();
            let case = self.0.case_for(&name, &fingerprint, &digest(&request.job)?).await?;
            self.0.cancel(&name, case, request).await
        };
        self.told("Cancel", result.await)
    }

    async fn job(&self, request: Request<JobRequest>) -> Result<Response<JobReply>, Status> {
        let result = async {
            let Asking { name, fingerprint } = self.asking(&request)?;
            let job = digest(&request.get_ref().job)?;
            self.0.job_reply(&self.0.case_for(&name, &fingerprint, &job).await?).await
        };
        self.told("Job", result.await)
    }

    async fn jobs(&self, request: Request<JobsRequest>) -> Result<Response<JobsReply>, Status> {
        let result = async {
            let asking = self.asking(&request)?;
            let study = digest(&request.get_ref().study)?;
            let frozen = self.0.study(&study).await?;
            frozen.is_member(&asking.name, &asking.fingerprint)?;
            let mut jobs = Vec::new();
            for row in self.0.ledger.jobs(&study).await? {
                jobs.push(self.0.job_reply(&self.0.case(&row.job.digest()).await?).await?);
            }
            Ok(JobsReply { jobs })
        };
        self.told("Jobs", result.await)
    }

    type ShareStream = Out<Part>;

    async fn share(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<Self::ShareStream>, Status> {
        let result = async {
            let Asking { name, fingerprint } = self.asking(&request)?;
            let job = digest(&request.get_ref().job)?;
            let case = self.0.case_for(&name, &fingerprint, &job).await?;
            Ok(stream(self.0.share(&case, &name).await?))
        };
        self.told("Share", result.await)
    }

    type HeadsStream = Out<Part>;

    async fn heads(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<Self::HeadsStream>, Status> {
        let result = async {
            self.is_main()?;
            let Asking { name, fingerprint } = self.asking(&request)?;
            let job = digest(&request.get_ref().job)?;
            let case = self.0.case_for(&name, &fingerprint, &job).await?;
            Ok(stream(self.0.heads(&case).await?))
        };
        self.told("Heads", result.await)
    }

    async fn answer(
        &self,
        request: Request<Streaming<AnswerPart>>,
    ) -> Result<Response<AnswerReply>, Status> {
        let result = async {
            self.is_main()?;
            let Asking { name, fingerprint } = self.asking(&request)?;
            let mut incoming = request.into_inner();
            let mut parts: Vec<AnswerPart> = Vec::new();
            while let Some(part) = incoming.message().await.map_err(|status| broken(&status))? {
                if parts.len() >= PARTS as usize {
                    return refuse(Cause::Limit, "an answer in too many parts");
                }
                parts.push(part);
            }
            let job = digest(parts.first().map_or(&[][..], |part| &part.job))?;
            let case = self.0.case_for(&name, &fingerprint, &job).await?;
            self.0.answer(&case, &name, &parts).await?;
            let awaited = self.0.answers_awaited(&self.0.case(&job).await?).await?;
            Ok(AnswerReply { awaited: awaited.iter().map(Name::to_string).collect() })
        };
        self.told("Answer", result.await)
    }

    type CollectStream = Out<Part>;

    async fn collect(
        &self,
        request: Request<JobRequest>,
    ) -> Result<Response<Self::CollectStream>, Status> {
        let result = async {
            self.is_main()?;
            let Asking { name, fingerprint } = self.asking(&request)?;
            let job = digest(&request.get_ref().job)?;
            let case = self.0.case_for(&name, &fingerprint, &job).await?;
            Ok(stream(self.0.collect(&case, &name).await?))
        };
        self.told("Collect", result.await)
    }
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

fn broken(status: &Status) -> Refusal {
    Refusal::new(Cause::Message, format!("the stream broke off: {}", status.message()))
}

/// Stores what comes, as many chunks at a time as are there, and acknowledges each lot.
async fn store_all(
    house: &Arc<House>,
    owner: &Name,
    mut incoming: Streaming<Chunk>,
    acknowledged: &mpsc::Sender<Result<Stored, Status>>,
) -> Result<(), Refusal> {
    let mut row = None;
    // Receiving goes on while chunks are being written.
    let (sender, mut receiver) = mpsc::channel::<Result<Chunk, Refusal>>(AT_ONCE);
    tokio::spawn(async move {
        loop {
            let message = match incoming.message().await {
                Ok(Some(chunk)) => Ok(chunk),
                Ok(None) => return,
                Err(status) => Err(broken(&status)),
            };
            let last = message.is_err();
            if sender.send(message).await.is_err() || last {
                return;
            }
        }
    });
    let mut lot = Vec::with_capacity(AT_ONCE);
    while receiver.recv_many(&mut lot, AT_ONCE).await > 0 {
        let mut end = None;
        let mut chunks = Vec::with_capacity(lot.len());
        for message in lot.drain(..) {
            match message {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => end = Some(error),
            }
        }
        let known = if let Some(row) = &row {
            row
        } else {
            let upload = digest(chunks.first().map_or(&[][..], |chunk| &chunk.upload))?;
            row.insert(house.upload_by(owner, &upload).await?)
        };
        if !chunks.is_empty() {
            let stored = house.store(known, chunks).await?;
            if acknowledged.send(Ok(Stored { stored })).await.is_err() {
                return Ok(());
            }
        }
        if let Some(end) = end {
            return Err(end);
        }
    }
    Ok(())
}
