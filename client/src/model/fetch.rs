//! Fetching a released model.
//!
//! ```text
//! each    share_0 + share_1 mod 2^64, each opened with the own sealing key
//! joint   B / prod A^{sk_i}, slots of 66 bits, mod 2^64; of a model that was trained on ciphertexts
//!         by rows, each number raised by 2^63
//! ```
//!
//! Both clouds must have signed the same release; for a joint one its digest is that of the heads A
//! that come with the bodies.

use super::bodies::Bodies;
use super::file::Model;
use super::parts::{gather, owners};
use crate::client::{Client, Cloud, timed};
use crate::error::{Doing, Error, Result, contradiction, request};
use crate::job::{State, Status, signed};
use crate::study::Frozen;
use dyad_bcp::{Ciphertext, Partial, Plaintext, RawCiphertext, UnifiedKey};
use dyad_learn::signed::Signed;
use dyad_net::contexts;
use dyad_protos::codec::read_all;
use dyad_protos::consent::heads_digest;
use dyad_protos::job::{Job, Opening};
use dyad_protos::wire::cloud::v1::{JobRequest, Part};
use dyad_protos::{Name, Role};
use zeroize::Zeroizing;

impl Client {
    /// Fetches a model that was released to this owner.
    pub fn fetch<'a>(&'a self, study: &'a Frozen, job: &'a [u8; 32]) -> Doing<'a, Model> {
        Box::pin(async move {
            self.refresh().await?;
            let [zero, one] = self.statuses(study, job).await?;
            let text = &one.job;
            if !text.recipients.contains(self.name()) {
                let recipients: Vec<_> = text.recipients.iter().map(Name::as_str).collect();
                return request(format!(
                    "{} is no recipient of this job; it is for {}",
                    self.name(),
                    recipients.join(", ")
                ));
            }
            if one.release.is_some() && zero.release.is_none() {
                return Err(Error::NotYet(forgotten(&zero, &one)));
            }
            if one.state != State::Released || zero.release.is_none() {
                return Err(Error::NotYet(not_yet(&one)));
            }
            let release = agreed(&[zero, one.clone()])?;
            let training = signed(text, &study.study.draft)?;
            let words = match text.opening {
                Opening::Each => self.both_shares(study, job, &release).await?,
                Opening::Joint => {
                    self.opened_jointly(study, job, &release, (text, &training)).await?
                }
            };
            Model::of(text, release, &study.study.draft, training.plan(), &words)
        })
    }

    /// Tells the clouds that the model is stored here, so that they need not keep it for this owner
    /// any more. Once all recipients have said so, it is gone from the clouds.
    pub async fn fetched(&self, study: &Frozen, job: &[u8; 32]) -> Result<()> {
        let [c0, c1] = self.clouds(&study.study)?;
        let tell = |cloud: Cloud| async move {
            let request = JobRequest { job: job.to_vec().into() };
            let told = cloud.ask("to note that a model was fetched", |mut cloud| {
                let request = timed(request.clone());
                async move { cloud.fetched(request).await }
            });
            told.await
        };
        tokio::try_join!(tell(c0), tell(c1))?;
        Ok(())
    }

    async fn both_shares(
        &self,
        study: &Frozen,
        job: &[u8; 32],
        release: &[u8; 32],
    ) -> Result<Zeroizing<Vec<u64>>> {
        let [c0, c1] = self.clouds(&study.study)?;
        let (mut zero, one) =
            tokio::try_join!(self.share_of(&c0, job, release), self.share_of(&c1, job, release))?;
        if zero.len() != one.len() {
            return contradiction("the clouds' shares of the model are of different lengths");
        }
        for (word, other) in zero.iter_mut().zip(one.iter()) {
            *word = word.wrapping_add(*other);
        }
        Ok(zero)
    }

    async fn share_of(
        &self,
        cloud: &Cloud,
        job: &[u8; 32],
        release: &[u8; 32],
    ) -> Result<Zeroizing<Vec<u64>>> {
        let request = JobRequest { job: job.to_vec().into() };
        let parts = gather(cloud, "for its share of a model", |mut cloud| {
            let request = timed(request.clone());
            async move { cloud.share(request).await }
        });
        let mut words = Zeroizing::new(Vec::new());
        for part in whole(parts.await?, cloud.role)? {
            let context = contexts::share(cloud.role, job, release, self.name(), part.index);
            let bytes = self.me.seal.open(&context, &part.content)?;
            let (each, []) = bytes.as_chunks() else {
                return contradiction(format!("{}'s share is not whole words", cloud.role));
            };
            words.extend(each.iter().map(|word| u64::from_le_bytes(*word)));
        }
        Ok(words)
    }

    async fn opened_jointly(
        &self,
        study: &Frozen,
        job: &[u8; 32],
        release: &[u8; 32],
        (text, training): (&Job, &Signed),
    ) -> Result<Zeroizing<Vec<u64>>> {
        let cloud = self.cloud(&study.study, Role::C1)?;
        let request = JobRequest { job: job.to_vec().into() };
        let parts = gather(&cloud, "for a model", |mut cloud| {
            let request = timed(request.clone());
            async move { cloud.collect(request).await }
        });
        let (bodies, answers) = owners(parts.await?);
        let bodies = whole(bodies, Role::C1)?;
        tokio::task::block_in_place(|| {
            let (_, unified) = study.keys(&self.params)?;
            let mut raw = Vec::new();
            for part in &bodies {
                for bytes in read_all(&part.content)? {
                    raw.push(RawCiphertext::from_bytes(&self.params, bytes)?);
                }
            }
            let ciphertexts = unified.key().admit_many(raw)?;
            let heads: Vec<_> = ciphertexts.iter().map(|c| c.head().to_bytes()).collect();
            if heads_digest(job, heads.iter().map(Vec::as_slice)) != *release {
                return contradiction(
                    "what C1 hands out is not what both clouds signed for: nothing was opened",
                );
            }
            let mut partials: Vec<Vec<Partial>> = vec![Vec::new(); ciphertexts.len()];
            for (owner, parts) in answers {
                let owner: Name = owner.parse()?;
                let given = self.partials_of(job, &owner, whole(parts, Role::C1)?)?;
                if given.len() != ciphertexts.len() {
                    return contradiction(format!(
                        "{owner}'s answer is for {} ciphertexts, the model has {}; {owner} must \
                         run `dyad model answer` again",
                        given.len(),
                        ciphertexts.len()
                    ));
                }
                partials.iter_mut().zip(given).for_each(|(all, one)| all.push(one));
            }
            let opened = opened(&unified, &ciphertexts, &partials)?;
            Bodies::of(text, training, unified.key())?.read(&opened)
        })
    }

    fn partials_of(&self, job: &[u8; 32], owner: &Name, parts: Vec<Part>) -> Result<Vec<Partial>> {
        let read = || {
            let mut partials = Vec::new();
            for part in parts {
                let context = contexts::partial(job, owner, self.name(), part.index);
                let bytes = self.me.seal.open(&context, &part.content)?;
                for bytes in read_all(&bytes)? {
                    partials.push(Partial::from_bytes(&self.params, bytes)?);
                }
            }
            Ok(partials)
        };
        read().or_else(|error: Error| {
            contradiction(format!(
                "{owner}'s answer cannot be read ({error}): {owner} must run `dyad model answer` \
                 again"
            ))
        })
    }
}

fn opened(
    unified: &UnifiedKey,
    ciphertexts: &[Ciphertext],
    partials: &[Vec<Partial>],
) -> Result<Vec<Plaintext>> {
    unified.open_many(ciphertexts, partials).map_err(|error| {
        Error::Contradiction(format!(
            "the answers do not open the model ({error}): one at least is wrong, and which cannot be \
             seen. Every member runs `dyad model answer` again"
        ))
    })
}

/// What both clouds signed for.
pub(crate) fn agreed([zero, one]: &[Status; 2]) -> Result<[u8; 32]> {
    match (zero.release, one.release) {
        (Some(zero), Some(one)) if zero == one => Ok(one),
        (Some(_), Some(_)) => contradiction(
            "the clouds signed for different models: nothing is answered or opened. Ask who runs \
             them",
        ),
        (None, Some(_)) => Err(Error::NotYet(forgotten(zero, one))),
        _ => Err(Error::NotYet(not_yet(one))),
    }
}

/// C1 has a release only when C0 has signed it.
fn forgotten(zero: &Status, one: &Status) -> String {
    format!(
        "C1 says that the job is {}, C0 that it is {}; if that stays so, C0's store was set back to \
         an older copy: propose a new job",
        one.state, zero.state
    )
}

fn not_yet(status: &Status) -> String {
    let names = |names: &[Name]| {
        let names: Vec<_> = names.iter().map(Name::as_str).collect();
        names.join(", ")
    };
    match status.state {
        State::Proposed => format!("the job waits for the approval of {}", names(&status.awaited)),
        State::Sealed if !status.answers_awaited.is_empty() => format!(
            "the model waits for the answers of {}: each of them runs `dyad model answer`",
            names(&status.answers_awaited)
        ),
        State::Failed => format!("the job failed: {}", status.reason),
        state => format!("the job is {state}; see `dyad job watch`"),
    }
}

/// All parts, in order.
pub(crate) fn whole(parts: Vec<Part>, from: Role) -> Result<Vec<Part>> {
    let count = parts.len();
    let complete =
        (0..).zip(&parts).all(|(index, part)| part.index == index && part.parts as usize == count);
    if complete && count > 0 {
        return Ok(parts);
    }
    contradiction(format!("{from} did not send all parts in order; try again"))
}
