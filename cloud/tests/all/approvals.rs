//! Which approvals count, and which never do again.

use dyad_cloud::ledger::{Approval, Ledger, MIGRATIONS, Revocation, Taken, TakenBack};
use dyad_node::audit::Entry;
use dyad_node::clock::Time;
use dyad_node::store::{Db, sql};

const JOB: [u8; 32] = [1; 32];
const DEED: Entry<'static> =
    Entry { who: "north", what: "deed", hash: &JOB, at: Time::from_millis(0), detail: "" };

async fn ledger() -> Ledger {
    let db = Db::open("sqlite::memory:", &[MIGRATIONS]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    for text in [
        "INSERT INTO studies (digest, text, signature) VALUES ($1, $1, $1)",
        "INSERT INTO jobs (digest, id, study, text, signature, state, reason, step, steps, \
         attempts) VALUES ($1, $1, $1, $1, $1, 'proposed', '', 0, 1, 0)",
    ] {
        sql(text).bind(&JOB[..]).execute(&mut tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    Ledger::new(db)
}

fn approval(owner: &str, which: u8) -> Approval {
    let expires = 1000 + u64::from(which);
    Approval { owner: owner.parse().unwrap(), expires, signature: [which; 64] }
}

async fn take(ledger: &Ledger, owner: &str, which: u8) -> Taken {
    ledger.approve(&JOB, &approval(owner, which), &DEED).await.unwrap()
}

/// Of these approvals.
fn revocation(owner: &str, which: &[u8]) -> Revocation {
    let ends = which.iter().map(|which| 1000 + u64::from(*which)).collect();
    Revocation { owner: owner.parse().unwrap(), ends, signature: [90 + which.len() as u8; 64] }
}

async fn revoke(ledger: &Ledger, which: &[u8]) -> TakenBack {
    ledger.revoke(&JOB, &revocation("north", which), &DEED).await.unwrap()
}

async fn lines(ledger: &Ledger) -> usize {
    let mut tx = ledger.db().snapshot().await.unwrap();
    dyad_node::audit::read(&mut tx, 0, 100).await.unwrap().len()
}

async fn set(ledger: &Ledger, state: &str) {
    let mut tx = ledger.db().begin().await.unwrap();
    sql("UPDATE jobs SET state = $1").bind(state).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_taken_back_or_replaced_never_counts_again() {
    let ledger = ledger().await;
    assert_eq!(take(&ledger, "north", 1).await, Taken::New);
    assert_eq!(take(&ledger, "north", 1).await, Taken::Known);
    assert_eq!(take(&ledger, "south", 1).await, Taken::New);
    // Another end: the first one is over, whoever sends it again.
    assert_eq!(take(&ledger, "north", 2).await, Taken::New);
    assert_eq!(take(&ledger, "north", 1).await, Taken::Replaced);
    assert_eq!(revoke(&ledger, &[]).await, TakenBack::New);
    // Both that were given, not the last one alone.
    for which in [1, 2] {
        assert!(matches!(take(&ledger, "north", which).await, Taken::Revoked));
    }
    assert_eq!(take(&ledger, "north", 3).await, Taken::New);
    assert_eq!(revoke(&ledger, &[]).await, TakenBack::New);
    for which in [1, 2, 3] {
        assert!(matches!(take(&ledger, "north", which).await, Taken::Revoked));
    }
    assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("south", 1)]);
    // The other owner's stand; a new one counts again.
    assert_eq!(take(&ledger, "north", 4).await, Taken::New);
    let stand = ledger.approvals(&JOB).await.unwrap();
    assert_eq!(stand, [approval("north", 4), approval("south", 1)]);
}

#[tokio::test]
async fn what_was_taken_back_before_it_came_does_not_count() {
    let ledger = ledger().await;
    assert_eq!(revoke(&ledger, &[1, 2]).await, TakenBack::New);
    assert_eq!(revoke(&ledger, &[1, 2]).await, TakenBack::Known);
    assert_eq!(lines(&ledger).await, 1);
    for which in [1, 2, 1] {
        assert_eq!(take(&ledger, "north", which).await, Taken::Revoked, "{which}");
    }
    assert_eq!(ledger.approvals(&JOB).await.unwrap(), []);
    // One that was not named counts, and so does another owner's with the same end.
    assert_eq!(take(&ledger, "north", 3).await, Taken::New);
    assert_eq!(take(&ledger, "south", 1).await, Taken::New);
    let known = ledger.revocations(&JOB).await.unwrap();
    assert_eq!(known, [revocation("north", &[1, 2])]);
}

#[tokio::test]
async fn what_the_other_cloud_shows_touches_no_later_approval() {
    let ledger = ledger().await;
    take(&ledger, "north", 1).await;
    take(&ledger, "south", 1).await;
    let shown = async |which: &[u8], idle| {
        let revocation = revocation("north", which);
        ledger.revoke_as_shown(&JOB, &revocation, idle, &DEED).await.unwrap()
    };
    assert_eq!(shown(&[], false).await, TakenBack::Known);
    assert_eq!(shown(&[1], false).await, TakenBack::New);
    assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("south", 1)]);
    take(&ledger, "north", 2).await;
    assert_eq!(shown(&[1], false).await, TakenBack::Known);
    assert_eq!(ledger.approvals(&JOB).await.unwrap().len(), 2);
    // It runs: nothing is taken back, unless it does not run over there.
    set(&ledger, "running").await;
    assert_eq!(shown(&[1, 2], false).await, TakenBack::Late);
    assert_eq!(shown(&[1, 2], true).await, TakenBack::New);
    assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("south", 1)]);
    let mut tx = ledger.db().snapshot().await.unwrap();
    let row = sql("SELECT state FROM jobs").one(&mut tx).await.unwrap();
    assert_eq!(row.get::<String>("state").unwrap(), "proposed");
    tx.rollback().await;
    set(&ledger, "trained").await;
    assert_eq!(shown(&[1, 2, 3], true).await, TakenBack::Late);
}

#[tokio::test]
async fn once_it_runs_nothing_is_given_or_taken_back() {
    let ledger = ledger().await;
    take(&ledger, "north", 1).await;
    set(&ledger, "running").await;
    assert_eq!(take(&ledger, "north", 2).await, Taken::Late);
    assert_eq!(revoke(&ledger, &[1]).await, TakenBack::Late);
    assert_eq!(ledger.approvals(&JOB).await.unwrap(), [approval("north", 1)]);
}
