//! Finds jobs for which there is something to do, and drives each in a task of its own.

use crate::drive::Drive;
use dyad_cloud::house::House;
use dyad_cloud::ledger::State;
use dyad_cloud::refusal::Refusal;
use dyad_node::lease;
use dyad_protos::Hex;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the ledger is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a runner that died keeps a job from others.
const LEASE: Duration = Duration::from_secs(30);

/// Runs until the cloud stops.
pub(crate) async fn run(house: Arc<House>, patience: u64) {
    let driven: Arc<Mutex<HashSet<[u8; 32]>>> = Arc::default();
    loop {
        if let Err(refusal) = look(&house, patience, &driven).await {
            tracing::warn!("the ledger was not read: {refusal}");
        }
        if house.context.stop.unless_stopped(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}

async fn look(
    house: &Arc<House>,
    patience: u64,
    driven: &Arc<Mutex<HashSet<[u8; 32]>>>,
) -> Result<(), Refusal> {
    for row in house.ledger.open_jobs().await? {
        let job = row.job.digest();
        // One that is stuck, of a study frozen with keys this cloud has no more, keeps none up.
        let state = match house.settle(&job).await {
            Ok(state) => state,
            Err(refusal) => {
                tracing::debug!(job = %Hex(job), "passed over: {refusal}");
                continue;
            }
        };
        if state == State::Proposed || !insert(driven, job) {
            continue;
        }
        let (house, driven) = (Arc::clone(house), Arc::clone(driven));
        tokio::spawn(async move {
            if let Err(refusal) = leased(&house, patience, job).await {
                tracing::warn!(job = %Hex(job), "not driven: {refusal}");
            }
            driven.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        });
    }
    Ok(())
}

fn insert(driven: &Mutex<HashSet<[u8; 32]>>, job: [u8; 32]) -> bool {
    driven.lock().unwrap_or_else(PoisonError::into_inner).insert(job)
}

/// Takes the job, keeps it while it is driven, gives it back.
async fn leased(house: &Arc<House>, patience: u64, job: [u8; 32]) -> Result<(), Refusal> {
    let name = format!("job {}", Hex(job));
    let holder = house.me.identity.to_string();
    let clock = &*house.context.clock;
    let mut tx = house.ledger.db().begin().await?;
    let taken = lease::acquire(&mut tx, clock, &name, &holder, LEASE).await?;
    tx.commit().await?;
    let Some(mut taken) = taken else { return Ok(()) };
    let drive = Drive::new(Arc::clone(house), patience, job);
    let keeping = async {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let kept = async {
                let mut tx = house.ledger.db().begin().await?;
                lease::renew(&mut tx, clock, &mut taken, LEASE).await?;
                tx.commit().await
            };
            if let Err(error) = kept.await {
                return Refusal::from(error);
            }
        }
    };
    let driving = drive.to_the_end();
    tokio::select! {
        () = driving => {}
        lost = keeping => return Err(lost),
        () = house.context.stop.stopped() => {}
    }
    let mut tx = house.ledger.db().begin().await?;
    lease::release(&mut tx, taken).await?;
    Ok(tx.commit().await?)
}
