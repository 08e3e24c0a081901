//! Recipients compare what they have opened. Neither cloud has the model, and one that lies, or an
//! owner whose answers differ, could give each recipient another: so each tells the others the digest
//! of its words, signed, and sealed to them. Both clouds keep it: one alone can hide nothing.
//!
//! Who learns what: clouds learn who has compared. A recipient learns a digest of what it has itself,
//! or ought to have.

use crate::house::House;
use crate::jobs::Case;
use crate::ledger::State;
use crate::refusal::{Cause, Refusal, refuse};
use crate::release::is_recipient;
use dyad_protos::Name;
use dyad_protos::limits::CHECK;
use dyad_protos::wire::cloud::v1::{Check, CompareReply};
use std::collections::BTreeMap;

impl House {
    /// Keeps what a recipient tells the others, and gives what they have told it.
    pub async fn compare(
        &self,
        case: &Case,
        from: &Name,
        checks: &[Check],
    ) -> Result<CompareReply, Refusal> {
        let job = &case.row.job;
        is_recipient(case, from)?;
        if case.row.state != State::Released {
            return refuse(Cause::State, format!("the job is {}, not released", case.row.state));
        }
        let mut told = BTreeMap::new();
        for check in checks {
            let to: Name = check.name.parse()?;
            is_recipient(case, &to)?;
            if to == *from || check.sealed.len() > CHECK || check.sealed.is_empty() {
                let what = format!("what a recipient tells another has 1 to {CHECK} bytes");
                return refuse(Cause::Message, what);
            }
            if told.insert(to, check.sealed.to_vec()).is_some() {
                return refuse(Cause::Message, "a recipient is told twice");
            }
        }
        let told: Vec<_> = told.into_iter().collect();
        self.ledger.compare(&job.digest(), from, &told).await?;
        let heard = self.ledger.compared(&job.digest(), from).await?;
        let check = |(name, sealed): (String, Vec<u8>)| Check { name, sealed: sealed.into() };
        Ok(CompareReply { checks: heard.into_iter().map(check).collect() })
    }
}
