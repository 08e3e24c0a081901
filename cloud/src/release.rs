//! The trained model, for those whom the job names. No cloud ever has it.
//!
//! ```text
//! each      every cloud seals its own share to each recipient's key of the frozen study
//! joint     trained on ciphertexts: C1 has them, raises each number by 2^63 and multiplies in Enc_h(0)
//!           on shares: C0: Enc_h(share_0) to C1, slots of 66 bits; C1: (A, B) = Enc_h(share_0) Enc_h(share_1)
//!           C1 gives owners A alone; each answers A^{sk_i}, sealed to every recipient
//!           when all have answered, C1 gives recipients B and the answers: B / prod A^{sk_i}
//! ```
//!
//! Who learns what: C1 sees ciphertexts and sealed answers; with open answers it would have the
//! model. C0 sees no ciphertext of the model that is not its own. Owners see A, which says nothing.
//! Both clouds sign what is released, once for each job. C0 signs the digest that C1 names: it has
//! no ciphertext to hold it against, so this fixes what is released and does not vouch that C1 made
//! it as it should.

use crate::codec;
use crate::house::House;
use crate::jobs::Case;
use crate::ledger::{Answer, State, Tidied};
use crate::refusal::{Cause, Refusal, refuse};
use bytes::Bytes;
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_bcp::{Ciphertext, PublicParams, RawCiphertext};
use dyad_learn::checkpoint::Checkpoint;
use dyad_mpc::cipher::{Kept, Release as Sealing};
use dyad_mpc::tensor::Shape;
use dyad_net::contexts;
use dyad_net::seal::{SealPublic, seal};
use dyad_protos::codec::{read_each, write_each};
use dyad_protos::job::{Engine, Opening};
use dyad_protos::limits::{CIPHERTEXTS, SHARE_WORDS};
use dyad_protos::wire::cloud::v1::Part;
use dyad_protos::{Hex, Name, consent};

/// Slots for sums of two shares: 64 bits and carries.
pub fn layout(params: &PublicParams) -> dyad_bcp::Result<SlotLayout> {
    SlotLayout::new(params, 64, 0)
}

/// How many ciphertexts a job's model has under the unified key.
pub fn ciphertexts(case: &Case) -> Result<usize, Refusal> {
    let (key, training) = (case.study.unified.key(), case.study.training(&case.row.job)?);
    let shapes = training.plan().released().into_iter().map(|meta| meta.shape);
    Ok(match case.row.job.engine {
        Engine::Share => {
            let words: usize = shapes.map(Shape::len).sum();
            words.div_ceil(layout(key.params())?.slots())
        }
        Engine::Cipher => Sealing::of(key, shapes).len(),
    })
}

/// The words of what is released: weights and biases, layer by layer.
#[must_use]
pub fn words(model: &Checkpoint) -> Vec<u64> {
    model.released().flat_map(|tensor| tensor.words.iter().copied()).collect()
}

/// The same of a model that was trained on ciphertexts: as C1 keeps it.
pub fn kept(model: &Checkpoint) -> Result<Vec<Kept>, Refusal> {
    let kept = model.released().map(|tensor| Kept::of_words(&tensor.words));
    let what = "the stored model was not trained on ciphertexts";
    kept.collect::<Option<_>>().ok_or_else(|| Refusal::new(Cause::Own, what))
}

/// A share in slots.
pub fn pack(layout: &SlotLayout, words: &[u64]) -> dyad_bcp::Result<Vec<dyad_bcp::Plaintext>> {
    let slots: Vec<_> = words.iter().map(|word| Slot::from_u64(*word)).collect();
    layout.pack(&slots)
}

/// Where C1 keeps the model under the unified key.
#[must_use]
pub fn bodies_object(job: &[u8; 32]) -> String {
    format!("jobs/{}/model", Hex(*job))
}

/// Where an answer is kept: no two, sent one after the other, in one place.
pub(crate) fn answer_folder(job: &[u8; 32], owner: &Name, recipient: &Name, own: &str) -> String {
    format!("jobs/{}/answers/{owner}/{recipient}/{own}", Hex(*job))
}

pub(crate) fn answer_object(job: &[u8; 32], answer: &Answer, index: u32) -> String {
    let folder = answer_folder(job, &answer.owner, &answer.recipient, &answer.folder);
    format!("{folder}/{index:06}")
}

/// All that of a model is kept for its recipients was deleted once they had it.
pub(crate) fn still_here(case: &Case) -> Result<(), Refusal> {
    if case.row.tidied < Tidied::All {
        return Ok(());
    }
    let what = "all recipients have fetched this model, or its time is over: nothing of it is kept \
                here any more. Ask another recipient for the file, or propose the job anew";
    refuse(Cause::Over, what)
}

/// It is in another state than it would have to be: for a while, or for good.
pub(crate) fn not_now<T>(case: &Case, where_not: &str) -> Result<T, Refusal> {
    let state = case.row.state;
    let cause = if state.is_over() { Cause::Over } else { Cause::State };
    refuse(cause, format!("the job is {state}, {where_not}"))
}

/// What both clouds sign of a model that is released to each.
#[must_use]
pub fn shares_digest(model: &Checkpoint) -> [u8; 32] {
    let attempt = model.attempt();
    consent::shares_digest(&attempt.job, &attempt.nonces, model.step())
}

impl House {
    /// `each`: this cloud's share for one recipient.
    pub async fn share(&self, case: &Case, recipient: &Name) -> Result<Vec<Part>, Refusal> {
        let job = &case.row.job;
        is_recipient(case, recipient)?;
        if job.opening != Opening::Each {
            return refuse(Cause::State, "this model is opened jointly, by all owners");
        }
        let Some(release) = case.row.heads.filter(|_| case.row.state == State::Released) else {
            return not_now(case, "not released");
        };
        still_here(case)?;
        let model = self.model(&job.digest()).await?;
        if shares_digest(&model) != release {
            return refuse(Cause::Own, "another model is stored than the one that was signed for");
        }
        let key = case.study.study.member(recipient);
        let key = key.ok_or_else(|| Refusal::new(Cause::Stranger, "no member"))?;
        let (key, words) = (SealPublic(key.seal.0), words(&model));
        let pieces = words.chunks(SHARE_WORDS);
        let parts = pieces.len() as u32;
        let part = |(index, words): (u32, &[u64])| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let context = contexts::share(self.role(), &job.digest(), &release, recipient, index);
            let content = seal(&key, &context, &bytes)?.into();
            Ok(Part { index, parts, owner: String::new(), content })
        };
        (0..).zip(pieces).map(part).collect()
    }

    /// The model under the unified key, as C1 keeps it.
    pub async fn bodies(&self, case: &Case) -> Result<Vec<Ciphertext>, Refusal> {
        let bytes = self.bulk.get(&bodies_object(&case.row.job.digest())).await?;
        let count = bytes.first_chunk().map_or(0, |count| u32::from_le_bytes(*count));
        let key = case.study.unified.key();
        tokio::task::block_in_place(|| codec::read(key, &bytes, count as usize))
    }

    /// `joint`: what owners answer to.
    pub async fn heads(&self, case: &Case) -> Result<Vec<Part>, Refusal> {
        if case.row.job.opening != Opening::Joint {
            return refuse(
                Cause::State,
                "this model is released to each recipient: no answer is needed",
            );
        }
        if !matches!(case.row.state, State::Sealed | State::Released) {
            return not_now(case, "not sealed");
        }
        still_here(case)?;
        let bodies = self.bodies(case).await?;
        Ok(in_parts(&bodies, "", |ciphertext| ciphertext.head().to_bytes()))
    }

    /// What a recipient needs to open it: bodies, and where each owner's answer is.
    pub async fn collect(
        &self,
        case: &Case,
        recipient: &Name,
    ) -> Result<(Vec<Part>, Vec<Answer>), Refusal> {
        is_recipient(case, recipient)?;
        if case.row.job.opening != Opening::Joint {
            return refuse(
                Cause::State,
                "this model is released to each recipient: fetch the shares",
            );
        }
        if case.row.state.is_over() && case.row.state != State::Released {
            return not_now(case, "not released");
        }
        if case.row.state != State::Released {
            let awaited = self.answers_awaited(case).await?;
            let awaited: Vec<_> = awaited.iter().map(Name::as_str).collect();
            let what = format!(
                "the job is {}; answers are awaited of: {}",
                case.row.state,
                awaited.join(", ")
            );
            return refuse(Cause::State, what);
        }
        still_here(case)?;
        let bodies = in_parts(&self.bodies(case).await?, "", Ciphertext::to_bytes);
        let mut answers = self.ledger.answers(&case.row.job.digest()).await?;
        answers.retain(|answer| answer.recipient == *recipient);
        Ok((bodies, answers))
    }

    /// One part of an answer.
    pub async fn answer_part(
        &self,
        job: &[u8; 32],
        answer: &Answer,
        index: u32,
    ) -> Result<Part, Refusal> {
        let content = self.bulk.get(&answer_object(job, answer, index)).await?;
        Ok(Part { index, parts: answer.parts, owner: answer.owner.to_string(), content })
    }

    /// A recipient has the model and has stored it.
    pub async fn fetched(&self, case: &Case, recipient: &Name) -> Result<(), Refusal> {
        is_recipient(case, recipient)?;
        if case.row.state != State::Released {
            return not_now(case, "not released");
        }
        let job = case.row.job.digest();
        let deed = self.deed(recipient.as_str(), "model fetched", &job);
        self.ledger.fetched(&job, recipient.as_str(), self.now(), &deed).await
    }

    /// Fixes what is released and signs it. Once: another digest is refused ever after.
    pub async fn sign_release(&self, case: &Case, release: &[u8; 32]) -> Result<[u8; 64], Refusal> {
        let job = case.row.job.digest();
        let signature = self.me.sign.sign(consent::RELEASED, &consent::release(&job, release));
        // Signed before: a repeat, which needs no second line in the audit table.
        if case.row.heads == Some(*release) {
            return Ok(case.row.signature.unwrap_or(signature.0));
        }
        let deed = self.own_deed("release signed", release);
        if !self.ledger.seal(&job, release, &signature.0, &deed).await? {
            return refuse(Cause::Changed, "something else was signed for this job before");
        }
        Ok(signature.0)
    }
}

pub(crate) fn is_recipient(case: &Case, name: &Name) -> Result<(), Refusal> {
    if case.row.job.recipients.contains(name) {
        return Ok(());
    }
    refuse(Cause::Stranger, format!("{name} is no recipient of this job"))
}

fn in_parts(
    ciphertexts: &[Ciphertext],
    owner: &str,
    bytes: impl Fn(&Ciphertext) -> Vec<u8>,
) -> Vec<Part> {
    let pieces = ciphertexts.chunks(CIPHERTEXTS);
    let parts = pieces.len() as u32;
    let part = |(index, piece): (u32, &[Ciphertext])| Part {
        index,
        parts,
        owner: owner.to_owned(),
        content: Bytes::from(write_each(piece.iter().map(&bytes))),
    };
    (0..).zip(pieces).map(part).collect()
}

/// Ciphertexts that came in messages of at most [`CIPHERTEXTS`], under a key.
pub fn read_ciphertexts(
    key: &dyad_bcp::PublicKey,
    parts: &[Bytes],
    count: usize,
) -> Result<Vec<Ciphertext>, Refusal> {
    let mut raw = Vec::new();
    let mut left = count;
    for part in parts {
        let here = left.min(CIPHERTEXTS);
        for bytes in read_each(part, here)? {
            raw.push(RawCiphertext::from_bytes(key.params(), bytes)?);
        }
        left -= here;
    }
    if left > 0 {
        return refuse(Cause::Message, format!("{left} of {count} ciphertexts are missing"));
    }
    Ok(key.admit_many(raw)?)
}
