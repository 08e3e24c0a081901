//! Sending to one cloud what is made: from where it has got to, until it gives its receipt.

use super::make::Stored;
use super::spool::Spool;
use crate::client::{Cloud, backoff, failed, timed};
use crate::error::{Error, Result, contradiction, request};
use crate::study::Frozen;
use dyad_protos::upload::{RECEIVED, received_digest};
use dyad_protos::wire::cloud::v1::{BeginRequest, Chunk, UploadReply, UploadRequest};
use dyad_protos::{Document, Hex, Manifest, Role};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// Chunks that are read ahead of the connection.
const AHEAD: usize = 4;
/// A cloud that acknowledges nothing for so long is taken for dead, and connected to anew. A slow
/// line takes its time for a chunk; that a connection is broken shows much sooner.
const SILENCE: Duration = Duration::from_mins(5);

/// What a cloud signed: that it has all of an upload, and what that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Digest of all that it was sent.
    pub digest: Hex<32>,
    /// Its signature.
    pub signature: Hex<64>,
}

/// An upload on its way.
pub(crate) struct Sending<'a> {
    pub(crate) study: &'a Frozen,
    pub(crate) manifest: &'a Document<Manifest>,
    pub(crate) signature: &'a [u8],
    pub(crate) spool: &'a Arc<Spool>,
    pub(crate) stored: &'a Stored,
    /// How many chunks are made.
    pub(crate) made: &'a watch::Receiver<u32>,
    /// Hears how many chunks both clouds have stored.
    pub(crate) progress: &'a (dyn Fn(u32) + Sync),
}

fn place(role: Role) -> usize {
    usize::from(role == Role::C1)
}

impl Sending<'_> {
    /// Sends what is missing.
    pub(crate) async fn to(&self, cloud: &Cloud) -> Result<Receipt> {
        let (mut backoff, mut since, mut best) = (backoff(), Instant::now(), None);
        let mut broken: Option<Error> = None;
        loop {
            let stored = self.get_to_know(cloud).await?;
            self.tell(cloud.role, stored);
            if stored == self.manifest.chunks() {
                return self.finish(cloud).await;
            }
            if best.is_none_or(|best| stored > best) {
                (best, since) = (Some(stored), Instant::now());
                backoff.reset();
            } else if since.elapsed() > cloud.patience {
                let nothing = || Error::NotYet(format!("{} stores nothing more", cloud.role));
                return Err(broken.unwrap_or_else(nothing));
            } else {
                tokio::time::sleep(backoff.delay()).await;
            }
            let result = self.stream(cloud, stored).await;
            if self.made.has_changed().is_err() && *self.made.borrow() < self.manifest.chunks() {
                // Whoever made them says why there will be no more.
                return Err(Error::NotYet("not all chunks could be made".into()));
            }
            if let Err(error) = result {
                if !error.is_transient() {
                    return Err(error);
                }
                tracing::info!("{error}; going on where it broke off");
                broken = Some(error);
            }
        }
    }

    fn tell(&self, role: Role, stored: u32) {
        (self.progress)(self.stored.tell(place(role), stored));
    }

    /// Announces the upload; how many chunks a cloud has.
    pub(crate) async fn get_to_know(&self, cloud: &Cloud) -> Result<u32> {
        let request = BeginRequest {
            manifest: self.manifest.text().to_vec().into(),
            signature: self.signature.to_vec().into(),
            study: self.study.study.text().to_vec().into(),
            study_signature: self.study.signature.clone().into(),
        };
        let reply = cloud.ask("to take an upload", |mut cloud| {
            let request = timed(request.clone());
            async move { cloud.begin(request).await }
        });
        self.known(cloud.role, &reply.await?)
    }

    fn known(&self, role: Role, reply: &UploadReply) -> Result<u32> {
        let upload = Hex(self.manifest.digest()).to_string();
        let remedy = format!("run `dyad withdraw {}` and upload the file anew", &upload[..8]);
        if reply.withdrawn {
            return request(format!("upload {upload} was withdrawn at {role}; {remedy}"));
        }
        if reply.chunks != self.manifest.chunks() || reply.stored > reply.chunks {
            return contradiction(format!(
                "{role} speaks of {} of {} chunks, there are {}; ask who runs it",
                reply.stored,
                reply.chunks,
                self.manifest.chunks()
            ));
        }
        if reply.stored > self.spool.made() {
            return contradiction(format!(
                "{role} has {} chunks, of which only {} were made from this home folder: what was \
                 sent is lost here; {remedy}",
                reply.stored,
                self.spool.made()
            ));
        }
        if reply.stored < self.spool.first() {
            return contradiction(format!(
                "{role} has lost chunks that it had stored, and they are not kept here any more; \
                 {remedy}"
            ));
        }
        Ok(reply.stored)
    }

    /// Sends chunks until the stream ends, one way or the other.
    async fn stream(&self, cloud: &Cloud, from: u32) -> Result<()> {
        let who = format!("{}, sent an upload", cloud.role);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let reading = tokio::spawn(read(
            Arc::clone(self.spool),
            self.manifest.clone(),
            place(cloud.role),
            from,
            self.made.clone(),
            sender,
        ));
        let mut client = cloud.client.clone();
        let sent = async {
            let silent = |_| tonic::Status::deadline_exceeded("nothing is acknowledged any more");
            let reply = client.send(ReceiverStream::new(receiver));
            let reply = tokio::time::timeout(SILENCE, reply).await.map_err(silent)??;
            let mut acknowledged = reply.into_inner();
            loop {
                let next = tokio::time::timeout(SILENCE, acknowledged.message()).await;
                let Some(next) = next.map_err(silent)?? else { return Ok(()) };
                // More than was made it cannot have; that it has them shows in the receipt.
                self.tell(cloud.role, next.stored.min(self.spool.made()));
            }
        };
        let sent: Result<(), tonic::Status> = sent.await;
        let sent = sent.map_err(|status| failed(&who, &status));
        if sent.is_err() {
            // It may wait for chunks that nobody will ask for.
            reading.abort();
        }
        match reading.await {
            // A spool that cannot be read explains why the stream ended.
            Ok(read) => read.and(sent),
            Err(_) => sent,
        }
    }

    async fn finish(&self, cloud: &Cloud) -> Result<Receipt> {
        let request = UploadRequest { upload: self.manifest.digest().to_vec().into() };
        let reply = cloud.ask("for a receipt", |mut cloud| {
            let request = timed(request.clone());
            async move { cloud.finish(request).await }
        });
        let reply = reply.await?;
        let digests = self.spool.digests(place(cloud.role));
        let sent = received_digest(&self.manifest.digest(), cloud.role.as_str(), &digests);
        if reply.digest != sent[..] {
            return contradiction(format!(
                "{} has received something else than was sent to it; withdraw the upload and send \
                 it anew",
                cloud.role
            ));
        }
        self.study.signed_by(cloud.role, RECEIVED, &sent, &reply.signature)?;
        let signature = Hex::try_from(&reply.signature[..])?;
        Ok(Receipt { digest: Hex(sent), signature })
    }
}

/// Reads chunks as soon as they are made.
async fn read(
    spool: Arc<Spool>,
    manifest: Document<Manifest>,
    cloud: usize,
    from: u32,
    mut made: watch::Receiver<u32>,
    sender: mpsc::Sender<Chunk>,
) -> Result<()> {
    for index in from..manifest.chunks() {
        if made.wait_for(|made| *made > index).await.is_err() {
            // Nothing more is made: whoever makes it says why.
            return Ok(());
        }
        let (pseudonyms, sealed) = tokio::task::block_in_place(|| spool.chunk(cloud, index))?;
        let upload = if index == from { manifest.digest().to_vec() } else { Vec::new() };
        if sender.send(Chunk { upload: upload.into(), index, pseudonyms, sealed }).await.is_err() {
            // Whoever receives no more has an error to tell.
            return Ok(());
        }
    }
    Ok(())
}
