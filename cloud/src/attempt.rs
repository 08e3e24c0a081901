//! What both clouds do for an attempt: nonces, the key centre's randomness, a thread.

use crate::house::House;
use crate::jobs::Case;
use crate::ledger::Approval;
use crate::refusal::{Cause, Refusal};
use crate::run::{Failure, Task, run};
use dyad_mpc::prg::{Attempt, Seed};
use dyad_protos::wire::kgc::v1 as kgc;
use dyad_protos::wire::peer::v1 as peer;
use dyad_protos::{Hex, digest};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A nonce of one's own.
pub fn nonce() -> Result<[u8; 16], Refusal> {
    use rand::TryRng;
    let mut nonce = [0; 16];
    let drawn = rand::rngs::SysRng.try_fill_bytes(&mut nonce);
    drawn.map_err(|error| Refusal::new(Cause::Own, format!("the system's generator: {error}")))?;
    Ok(nonce)
}

/// The name of an attempt between the clouds.
#[must_use]
pub fn name(attempt: &Attempt) -> [u8; 32] {
    digest("attempt", &[&attempt.job, attempt.nonces.as_flattened()])
}

/// The session of the clouds' link.
#[must_use]
pub fn link_of_clouds(attempt: &Attempt) -> [u8; 32] {
    session("link of clouds", attempt)
}

/// The session of the link between the dealer and C1.
#[must_use]
pub fn link_of_dealer(attempt: &Attempt) -> [u8; 32] {
    session("link of dealer", attempt)
}

fn session(label: &str, attempt: &Attempt) -> [u8; 32] {
    let [nonce_0, nonce_1] = &attempt.nonces;
    digest(label, &[&attempt.job, nonce_0, nonce_1])
}

/// A checkpoint in a message.
#[must_use]
pub fn wire_checkpoint(of: &Attempt, step: u64) -> peer::Checkpoint {
    let nonces = of.nonces.iter().map(|nonce| nonce.to_vec().into()).collect();
    peer::Checkpoint { nonces, step }
}

/// And back.
pub fn read_checkpoint(
    job: &[u8; 32],
    checkpoint: &peer::Checkpoint,
) -> Result<(Attempt, u64), Refusal> {
    let [nonce_0, nonce_1] = &checkpoint.nonces[..] else {
        return Err(Refusal::new(Cause::Message, "a checkpoint without two nonces"));
    };
    let (Hex(nonce_0), Hex(nonce_1)) = (Hex::try_from(&nonce_0[..])?, Hex::try_from(&nonce_1[..])?);
    Ok((Attempt { job: *job, nonces: [nonce_0, nonce_1] }, checkpoint.step))
}

/// Approvals in a message.
#[must_use]
pub fn wire_approvals(approvals: &[Approval]) -> Vec<kgc::Approval> {
    let wire = |approval: &Approval| kgc::Approval {
        owner: approval.owner.to_string(),
        expires: approval.expires,
        signature: approval.signature.to_vec().into(),
    };
    approvals.iter().map(wire).collect()
}

/// This cloud's seed for an attempt, and what both seeds are checked by.
pub struct Dealt {
    /// Its own.
    pub seed: Seed,
    /// Of both.
    pub checks: [[u8; 16]; 2],
}

impl House {
    /// Asks the key centre for this cloud's randomness; none if nothing is dealt to the job, which
    /// then needs no key centre.
    pub async fn dealt(
        &self,
        case: &Case,
        attempt: &Attempt,
        from: Option<&(Attempt, u64)>,
    ) -> Result<Option<Dealt>, Refusal> {
        if !case.row.job.is_dealt() {
            return Ok(None);
        }
        let nonces = |of: &Attempt| of.nonces.iter().map(|nonce| nonce.to_vec().into()).collect();
        let approvals = self.ledger.approvals(&attempt.job).await?;
        let request = kgc::AttemptRequest {
            job: case.row.job.text().to_vec().into(),
            nonces: nonces(attempt),
            from_nonces: from.map(|(before, _)| nonces(before)).unwrap_or_default(),
            from_step: from.map_or(0, |(_, step)| *step),
            approvals: wire_approvals(&approvals),
        };
        let waiting = self.context.metrics.waits_for("kgc");
        let reply = self.me.registry()?.attempt(request).await;
        drop(waiting);
        let who = &self.me.kgc.identity;
        let reply = reply.map_err(|status| Refusal::of_centre(who, &status))?.into_inner();
        let wrong = || Refusal::new(Cause::Own, "the key centre's answer makes no sense");
        let [check_0, check_1] = &reply.checks[..] else { return Err(wrong()) };
        let (Hex(check_0), Hex(check_1)) =
            (Hex::try_from(&check_0[..])?, Hex::try_from(&check_1[..])?);
        let Hex(seed) = Hex::try_from(&reply.seed[..])?;
        Ok(Some(Dealt { seed: Seed::from_bytes(seed), checks: [check_0, check_1] }))
    }
}

/// Runs a task on a thread of its own, and tells how it ended.
pub fn spawn(
    house: &Arc<House>,
    task: Task,
) -> Result<oneshot::Receiver<Result<(), Failure>>, Refusal> {
    let (sender, receiver) = oneshot::channel();
    let (house, handle) = (Arc::clone(house), Handle::current());
    let job = Hex(task.attempt.job).to_string();
    let name = format!("{}-{}", house.role(), job.get(..8).unwrap_or_default());
    let body = move || {
        // Threads of its own: others' jobs do not wait for this one's.
        let result = match rayon::ThreadPoolBuilder::new().num_threads(house.threads).build() {
            Ok(pool) => pool.install(|| run(&house, &handle, task)),
            Err(_) => run(&house, &handle, task),
        };
        // Nobody may be waiting any more.
        drop(sender.send(result));
    };
    let spawned = std::thread::Builder::new().name(name).spawn(body);
    spawned.map_err(|error| Refusal::new(Cause::Own, format!("no thread: {error}")))?;
    Ok(receiver)
}
