//! What owners have told one cloud and not (yet) the other. Owners tell both; but one may be away, or
//! a message be lost, and then the clouds would differ for good. C1 asks C0 now and then how jobs
//! stand that do not run: each shows what owners signed, and takes from the other what it can check
//! itself.
//!
//! ```text
//! an approval taken back     with the owner's signature: counts at the other cloud as well
//! failed, cancelled          without: nothing runs unless both clouds run it, so it ends at both
//! ```

use crate::house::House;
use crate::jobs::Case;
use crate::ledger::{Revocation, State, TakenBack};
use crate::refusal::{Cause, Refusal, refuse};
use dyad_node::audit::Entry;
use dyad_protos::Name;
use dyad_protos::consent::{REVOKED, revocation};
use dyad_protos::limits::APPROVALS;
use dyad_protos::wire::peer::v1 as peer;

/// Characters of what the other cloud says that are kept.
const REASON: usize = 2000;

/// What an owner says that it takes back, checked.
pub(crate) fn read_revocation(
    case: &Case,
    owner: &Name,
    ends: &[u64],
    signature: &[u8],
) -> Result<Revocation, Refusal> {
    if ends.len() > APPROVALS {
        let what = format!("{} approvals are taken back, {APPROVALS} may be", ends.len());
        return refuse(Cause::Limit, what);
    }
    let message = revocation(&case.row.job.digest(), ends);
    case.study.signed_by(owner, REVOKED, &message, signature)?;
    let wrong = |_| Refusal::new(Cause::Signature, "no signature");
    let signature = signature.try_into().map_err(wrong)?;
    Ok(Revocation { owner: owner.clone(), ends: ends.to_vec(), signature })
}

impl House {
    /// What owners have taken back here, to be shown to the other cloud.
    pub async fn revocations_shown(
        &self,
        job: &[u8; 32],
    ) -> Result<Vec<peer::Revocation>, Refusal> {
        let known = self.ledger.revocations(job).await?;
        let shown = known.into_iter().map(|revocation| peer::Revocation {
            owner: revocation.owner.to_string(),
            ends: revocation.ends,
            signature: revocation.signature.to_vec().into(),
        });
        Ok(shown.collect())
    }

    /// Takes what the other cloud shows. `idle`: the job does not run there. True if an approval
    /// that stood counts no more.
    pub async fn take_revocations(
        &self,
        case: &Case,
        shown: &[peer::Revocation],
        idle: bool,
        by: &str,
    ) -> Result<bool, Refusal> {
        let job = case.row.job.digest();
        let mut new = false;
        for shown in shown {
            let owner: Name = shown.owner.parse()?;
            let revocation = read_revocation(case, &owner, &shown.ends, &shown.signature)?;
            let detail = format!("shown by {by}");
            let deed = self.deed(owner.as_str(), "approval revoked", &job);
            let deed = Entry { detail: &detail, ..deed };
            let taken = self.ledger.revoke_as_shown(&job, &revocation, idle, &deed).await?;
            new |= taken == TakenBack::New;
        }
        Ok(new)
    }

    /// The other cloud says that the job is failed or cancelled there: so it is here, unless this
    /// cloud has signed for a model, or is done with it. True if it ended now.
    pub async fn end_as_over_there(
        &self,
        case: &Case,
        state: &str,
        reason: &str,
        by: &str,
    ) -> Result<bool, Refusal> {
        let to = match state {
            "failed" => State::Failed,
            "cancelled" => State::Cancelled,
            _ => return Ok(false),
        };
        if case.row.heads.is_some() || case.row.state.is_over() {
            return Ok(false);
        }
        let said: String = reason.chars().take(REASON).collect();
        let reason = if said.is_empty() {
            format!("{by} says that it is {state}")
        } else {
            format!("{by} says that it is {state}: {said}")
        };
        let job = case.row.job.digest();
        let deed = self.deed(by, "job ended", &job);
        let deed = Entry { detail: state, ..deed };
        let before = [State::Proposed, State::Approved, State::Running, State::Trained];
        let ended = self.ledger.move_on(&job, &before, to, &reason, &deed).await?;
        if ended {
            self.progress.call_off(&job);
        }
        Ok(ended)
    }
}
