//! Comparing an opened model with what the other recipients have opened.
//!
//! A cloud that lies, or an owner whose answers to a joint release differ, could give each recipient a
//! model of its own, well formed and wrong: none sees it alone. So each recipient tells the others
//!
//! ```text
//! digest of the words | signature over job, release, digest      sealed to the recipient it is for
//! ```
//!
//! through both clouds, which cannot read it; one of them alone cannot hide or replace it.

use super::file::Model;
use crate::client::{Client, Cloud, timed};
use crate::error::{Doing, Result, request};
use crate::study::Frozen;
use dyad_net::contexts;
use dyad_net::seal::{SealPublic, seal};
use dyad_net::sign::{SignPublic, Signature};
use dyad_protos::consent::{COMPARED, comparison};
use dyad_protos::study::Member;
use dyad_protos::wire::cloud::v1::{Check, CompareRequest};
use dyad_protos::{Name, Role};

/// What the other recipients of a model have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The very same words.
    pub same: Vec<Name>,
    /// Other words than these.
    pub different: Vec<Name>,
    /// They have not said yet, or it did not come through.
    pub awaited: Vec<Name>,
}

impl Client {
    /// Tells the other recipients of a model's job what this one is, and hears what they have.
    pub fn compare<'a>(&'a self, study: &'a Frozen, model: &'a Model) -> Doing<'a, Compared> {
        Box::pin(async move {
            let (job, digest) = (model.job.0, model.digest_of_words());
            let [_, status] = self.statuses(study, &job).await?;
            if !status.job.recipients.contains(self.name()) {
                return request(format!("{} is no recipient of this job", self.name()));
            }
            let message = comparison(&job, &model.release.0, &digest);
            let signature = self.me.sign.sign(COMPARED, &message);
            let content = [&digest[..], &signature.0].concat();
            let others = status.job.recipients.iter().filter(|name| *name != self.name());
            let others: Vec<&Member> = others.filter_map(|name| study.study.member(name)).collect();
            let mut checks = Vec::new();
            for to in &others {
                let context = contexts::comparison(&job, self.name(), &to.name);
                let sealed = seal(&SealPublic(to.seal.0), &context, &content)?.into();
                checks.push(Check { name: to.name.to_string(), sealed });
            }
            let ask = CompareRequest { job: job.to_vec().into(), checks };
            let told = |cloud: Cloud| {
                let ask = ask.clone();
                async move {
                    let reply = cloud.ask("to compare models", |mut cloud| {
                        let ask = timed(ask.clone());
                        async move { cloud.compare(ask).await }
                    });
                    Ok::<_, crate::Error>((cloud.role, reply.await?.checks))
                }
            };
            let [c0, c1] = self.clouds(&study.study)?;
            let (zero, one) = tokio::try_join!(told(c0), told(c1))?;
            let mut compared = Compared::default();
            for from in others {
                let mut heard = Vec::new();
                for (cloud, checks) in [&zero, &one] {
                    heard.extend(self.heard(*cloud, checks, model, from));
                }
                let list = if heard.is_empty() {
                    &mut compared.awaited
                } else if heard.iter().all(|other| *other == digest) {
                    &mut compared.same
                } else {
                    &mut compared.different
                };
                list.push(from.name.clone());
            }
            Ok(compared)
        })
    }

    /// What a recipient said of its model, as one cloud gives it. What does not open or is not signed
    /// by that recipient was not said.
    fn heard(
        &self,
        cloud: Role,
        checks: &[Check],
        model: &Model,
        from: &Member,
    ) -> Option<[u8; 32]> {
        let check = checks.iter().find(|check| check.name == from.name.as_str())?;
        let read = || -> Result<[u8; 32]> {
            let context = contexts::comparison(&model.job.0, &from.name, self.name());
            let content = self.me.seal.open(&context, &check.sealed)?;
            let short = || crate::Error::Contradiction("it is too short".into());
            let (digest, signature) = content.split_first_chunk::<32>().ok_or_else(short)?;
            let message = comparison(&model.job.0, &model.release.0, digest);
            let signature = Signature(signature.try_into().map_err(|_| short())?);
            SignPublic(from.sign.0).verify(COMPARED, &message, &signature)?;
            Ok(*digest)
        };
        read()
            .inspect_err(|error| {
                let name = &from.name;
                tracing::warn!("what {cloud} gives as {name}'s word on the model is not: {error}");
            })
            .ok()
    }
}
