//! Answering a joint release: this owner's part of the opening, sealed to each recipient.
//!
//! Whoever chooses the heads has this owner's key applied to them. So they are answered only if both
//! clouds signed their digest: C1, who hands them out, cannot have anything else opened.

use super::bodies::Bodies;
use super::fetch::{agreed, whole};
use super::parts::gather;
use crate::client::{Client, failed, timed};
use crate::error::{Doing, Error, Result, contradiction, request};
use crate::job::signed;
use crate::study::{Frozen, key_of};
use dyad_bcp::{Head, Partial};
use dyad_net::contexts;
use dyad_net::seal::{SealPublic, seal};
use dyad_protos::codec::{read_all, write_each};
use dyad_protos::consent::heads_digest;
use dyad_protos::job::Opening;
use dyad_protos::limits::CIPHERTEXTS;
use dyad_protos::wire::cloud::v1::{AnswerPart, JobRequest};
use dyad_protos::{Name, Role};
use std::time::Instant;

impl Client {
    /// Answers, and gives who is still awaited. Repeated, also after the release, the new answer
    /// takes the place of the one before: one that was spoilt can be mended.
    pub fn answer<'a>(&'a self, study: &'a Frozen, job: &'a [u8; 32]) -> Doing<'a, Vec<Name>> {
        Box::pin(async move {
            self.refresh().await?;
            let statuses = self.statuses(study, job).await?;
            let text = &statuses[1].job;
            if text.opening != Opening::Joint {
                return request("this model is released to each recipient: no answer is needed");
            }
            let release = agreed(&statuses)?;
            let cloud = self.cloud(&study.study, Role::C1)?;
            let ask = JobRequest { job: job.to_vec().into() };
            let parts = gather(&cloud, "for what is to be opened", |mut cloud| {
                let ask = timed(ask.clone());
                async move { cloud.heads(ask).await }
            });
            let parts = whole(parts.await?, Role::C1)?;
            let mut heads: Vec<&[u8]> = Vec::new();
            for part in &parts {
                heads.extend(read_all(&part.content)?);
            }
            if heads_digest(job, heads.iter().copied()) != release {
                return contradiction(
                    "C1 shows something else than both clouds signed for: it is not answered. Ask who \
                 runs the clouds",
                );
            }
            let training = signed(text, &study.study.draft)?;
            let (_, unified) = tokio::task::block_in_place(|| study.keys(&self.params))?;
            let bodies = Bodies::of(text, &training, unified.key())?;
            if heads.len() != bodies.len() {
                return contradiction(format!(
                    "{} ciphertexts are to be opened where the job's model has {}: it is not answered",
                    heads.len(),
                    bodies.len()
                ));
            }
            let partials = tokio::task::block_in_place(|| {
                let heads = heads.iter().map(|bytes| Head::from_bytes(&self.params, bytes));
                let heads = heads.collect::<Result<Vec<_>, _>>()?;
                let secret = key_of(self, &study.study.draft.name)?;
                Ok::<_, Error>(secret.partial_many(&unified, &heads)?)
            })?;
            let mut awaited = Vec::new();
            for recipient in &text.recipients {
                let parts = self.sealed_to(study, job, recipient, &partials)?;
                awaited = self.send_answer(&cloud, parts).await?;
            }
            awaited.iter().map(|name| Ok(name.parse()?)).collect()
        })
    }

    fn sealed_to(
        &self,
        study: &Frozen,
        job: &[u8; 32],
        recipient: &Name,
        partials: &[Partial],
    ) -> Result<Vec<AnswerPart>> {
        let Some(member) = study.study.member(recipient) else {
            return contradiction(format!("{recipient}, who is to get the model, is no member"));
        };
        let key = SealPublic(member.seal.0);
        let pieces = partials.chunks(CIPHERTEXTS);
        let parts = pieces.len() as u32;
        let part = |(index, piece): (u32, &[Partial])| {
            let bytes = write_each(piece.iter().map(Partial::to_bytes));
            let bytes = zeroize::Zeroizing::new(bytes);
            let context = contexts::partial(job, self.name(), recipient, index);
            Ok(AnswerPart {
                job: if index == 0 { job.to_vec().into() } else { bytes::Bytes::new() },
                recipient: recipient.to_string(),
                index,
                parts,
                sealed: seal(&key, &context, &bytes)?.into(),
            })
        };
        (0..).zip(pieces).map(part).collect()
    }

    async fn send_answer(
        &self,
        cloud: &crate::client::Cloud,
        parts: Vec<AnswerPart>,
    ) -> Result<Vec<String>> {
        let until = Instant::now() + cloud.patience;
        let mut backoff = crate::client::backoff();
        loop {
            let mut client = cloud.client.clone();
            let error = match client.answer(tokio_stream::iter(parts.clone())).await {
                Ok(reply) => return Ok(reply.into_inner().awaited),
                Err(status) => failed("C1, sent an answer", &status),
            };
            if !error.is_transient() || Instant::now() >= until {
                return Err(error);
            }
            tokio::time::sleep(backoff.delay()).await;
        }
    }
}
