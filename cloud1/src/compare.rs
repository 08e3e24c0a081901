//! Asks C0 now and then how jobs stand that do not run here: what an owner has told one of the clouds
//! alone comes to the other, also after a restart, and also if an answer was lost.

use crate::peer::C0;
use dyad_cloud::house::House;
use dyad_cloud::ledger::{JobRow, State};
use dyad_cloud::refusal::Refusal;
use dyad_protos::Hex;
use dyad_protos::wire::peer::v1::CompareRequest;
use std::sync::Arc;
use std::time::Duration;

/// How often.
const LOOK: Duration = Duration::from_secs(2);
/// Jobs at a time.
const JOBS: usize = 16;

/// Compares until the cloud stops.
pub(crate) async fn run(house: Arc<House>) {
    let mut after = Vec::new();
    loop {
        match look(&house, &after).await {
            Ok(last) => after = last,
            Err(refusal) => tracing::warn!("the ledger was not read: {refusal}"),
        }
        if house.context.stop.unless_stopped(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}

/// Compares some jobs, from this digest on; gives where to go on.
async fn look(house: &House, after: &[u8]) -> Result<Vec<u8>, Refusal> {
    let rows = house.ledger.to_compare(after, JOBS).await?;
    let more = rows.len() == JOBS;
    let mut last = Vec::new();
    for row in rows {
        last = row.job.digest().to_vec();
        // One that cannot be compared keeps no other up.
        if let Err(refusal) = compare(house, &row).await {
            tracing::debug!(job = %Hex(row.job.digest()), "not compared with C0: {refusal}");
        }
    }
    Ok(if more { last } else { Vec::new() })
}

async fn compare(house: &House, row: &JobRow) -> Result<(), Refusal> {
    let job = row.job.digest();
    let case = house.case(&job).await?;
    let c0 = C0::of(house, &case.study)?;
    let request = CompareRequest {
        job: job.to_vec().into(),
        state: row.state.as_str().to_owned(),
        reason: row.reason.clone(),
        revocations: house.revocations_shown(&job).await?,
    };
    let reply = c0.compare(request).await?;
    if row.state.is_over() {
        // What C0 does not know it may still hear of, from an owner.
        if !reply.state.is_empty() {
            house.ledger.peer_told(&job, house.now()).await?;
        }
        return Ok(());
    }
    let by = format!("c0 {}", case.study.study.c0.name);
    house.take_revocations(&case, &reply.revocations, false, &by).await?;
    // It may have begun to run since.
    let case = house.case(&job).await?;
    if matches!(case.row.state, State::Proposed | State::Approved) {
        house.end_as_over_there(&case, &reply.state, &reply.reason, &by).await?;
    }
    Ok(())
}
