//! An owner's answer to a joint release, as it comes: part after part into the store, so that no
//! more than one is in memory. It counts, and takes the place of an earlier one, when it is whole.
//!
//! What can be seen of a sealed answer is looked at: how many parts, and how long each is. Whether it
//! opens, recipients alone see; then its owner answers anew, also after the release.

use crate::attempt::nonce;
use crate::house::House;
use crate::jobs::Case;
use crate::ledger::{Answer, State};
use crate::refusal::{Cause, Refusal, refuse};
use crate::release::{
    answer_folder, answer_object, ciphertexts, is_recipient, not_now, still_here,
};
use dyad_net::seal::OVERHEAD;
use dyad_protos::job::Opening;
use dyad_protos::limits::CIPHERTEXTS;
use dyad_protos::wire::cloud::v1::AnswerPart;
use dyad_protos::{Hex, Name};

/// One that is coming.
pub struct Coming<'h> {
    house: &'h House,
    job: [u8; 32],
    answer: Answer,
    /// Ciphertexts in all.
    count: usize,
    next: u32,
}

impl House {
    /// The first part says what for: is one awaited, or taken once more?
    pub fn answer_comes(
        &self,
        case: &Case,
        owner: &Name,
        first: &AnswerPart,
    ) -> Result<Coming<'_>, Refusal> {
        let job = &case.row.job;
        if job.opening != Opening::Joint {
            let what = "this model is released to each recipient: no answer is needed";
            return refuse(Cause::State, what);
        }
        if !matches!(case.row.state, State::Sealed | State::Released) {
            return not_now(case, "and no answer is awaited");
        }
        still_here(case)?;
        let recipient: Name = first.recipient.parse()?;
        is_recipient(case, &recipient)?;
        let count = ciphertexts(case)?;
        let parts = count.div_ceil(CIPHERTEXTS) as u32;
        let folder = Hex(nonce()?).to_string();
        let answer = Answer { owner: owner.clone(), recipient, parts, folder };
        Ok(Coming { house: self, job: job.digest(), answer, count, next: 0 })
    }

    /// All answers are there: recipients can have the model.
    pub(crate) async fn release_if_answered(&self, job: &[u8; 32]) -> Result<(), Refusal> {
        let case = self.case(job).await?;
        if case.row.state != State::Sealed || !self.answers_awaited(&case).await?.is_empty() {
            return Ok(());
        }
        let deed = self.own_deed("model released", job);
        let (from, to) = (State::Sealed, State::Released);
        self.ledger.move_on(job, &[from], to, "", &deed).await.map(drop)
    }
}

impl Coming<'_> {
    /// Stores a part.
    pub async fn part(&mut self, part: AnswerPart) -> Result<(), Refusal> {
        let Answer { parts, recipient, .. } = &self.answer;
        let is_next = part.index == self.next && part.index < *parts;
        if !is_next || part.parts != *parts || part.recipient != recipient.as_str() {
            let what = format!(
                "part {} of {} where {} of {parts} is awaited, for {recipient}: the answer is not \
                 taken, send it again",
                part.index, part.parts, self.next
            );
            return refuse(Cause::Message, what);
        }
        let here = self.count.saturating_sub(part.index as usize * CIPHERTEXTS).min(CIPHERTEXTS);
        let most = OVERHEAD + here * (4 * self.house.params.size().bits().div_ceil(8) + 256) + 4;
        let least = OVERHEAD + here * (4 * self.house.params.size().bits().div_ceil(8));
        if !(least..=most).contains(&part.sealed.len()) {
            let what = format!(
                "part {} of the answer has {} bytes, which {here} partial decryptions cannot have: \
                 the answer is not taken, send it again",
                part.index,
                part.sealed.len()
            );
            return refuse(Cause::Message, what);
        }
        let object = answer_object(&self.job, &self.answer, part.index);
        self.house.bulk.put(&object, part.sealed).await?;
        self.next += 1;
        Ok(())
    }

    /// All parts are there: from now on it counts.
    pub async fn whole(&self) -> Result<(), Refusal> {
        let Answer { owner, recipient, parts, .. } = &self.answer;
        if self.next != *parts {
            let what = format!("{} of {parts} parts came: the answer is not taken", self.next);
            return refuse(Cause::Message, what);
        }
        let (house, job) = (self.house, &self.job);
        let first = house.deed(owner.as_str(), "model answered", job);
        let anew = house.deed(owner.as_str(), "model answered anew", job);
        let before = house.ledger.answered(job, &self.answer, [&first, &anew]).await?;
        if let Some(before) = before.filter(|before| !before.is_empty()) {
            house.bulk.delete_prefix(&answer_folder(job, owner, recipient, &before)).await?;
        }
        house.release_if_answered(job).await
    }

    /// It will not be whole: what came of it is deleted.
    pub async fn drop_it(self) {
        let Answer { owner, recipient, folder, .. } = &self.answer;
        let folder = answer_folder(&self.job, owner, recipient, folder);
        if let Err(error) = self.house.bulk.delete_prefix(&folder).await {
            tracing::warn!("what is left of an answer goes when its job does: {error}");
        }
    }
}
