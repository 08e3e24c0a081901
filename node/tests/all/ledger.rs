//! Audit table and leases.

use dyad_node::Context;
use dyad_node::audit::{self, Entry, Head};
use dyad_node::clock::{Clock, ManualClock, Time};
use dyad_node::lease;
use dyad_node::store::{Db, StoreError, Tx, sql};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn append(tx: &mut Tx, what: &str) -> Head {
    let hash = [3; 32];
    let at = Time::from_millis(1_000);
    let entry = Entry { who: "user alice", what, hash: &hash, at, detail: "" };
    audit::append(tx, &entry).await.unwrap()
}

#[tokio::test]
async fn the_audit_table_only_grows() {
    let db = Db::open("sqlite::memory:", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    assert_eq!(audit::verify(&mut tx, None).await.unwrap().seq, 0);
    let first = append(&mut tx, "approve").await;
    for _ in 0..2500 {
        append(&mut tx, "more").await;
    }
    tx.commit().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    assert_eq!(audit::verify(&mut tx, Some(first)).await.unwrap().seq, 2501);
    let page = audit::read(&mut tx, 2499, 10).await.unwrap();
    assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<_>>(), [2500, 2501]);
    let row = &audit::read(&mut tx, 0, 1).await.unwrap()[0];
    assert_eq!((&*row.who, &*row.what, &*row.hash), ("user alice", "approve", &[3; 32][..]));
    assert_eq!((row.at, &*row.detail), (Time::from_millis(1_000), ""));
    for refused in [
        "UPDATE audit SET who = 'mallory' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2501",
        "INSERT OR REPLACE INTO audit SELECT 1, 'm', what, hash, at, detail, link FROM audit \
         WHERE seq = 1",
        "INSERT INTO audit SELECT 9999, who, what, hash, at, detail, link FROM audit WHERE seq = 1",
    ] {
        drop(tx);
        tx = db.begin().await.unwrap();
        let error = sql(refused).execute(&mut tx).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "memory: refused: the audit table is append-only; look at what is stored already"
        );
    }
}

#[tokio::test]
async fn a_change_behind_the_triggers_shows() {
    for (change, shown) in [
        ("UPDATE audit SET who = 'user mallory' WHERE seq = 2", "row 2 does not follow"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", "row 3 does not follow"),
        ("DELETE FROM audit WHERE seq = 2", "row 3 does not follow"),
        // Text moved from one field to the next.
        ("UPDATE audit SET who = 'user alicet', what = 'ab' WHERE seq = 3", "row 3 does not"),
        ("DELETE FROM audit WHERE seq = 3", "row 3, seen earlier, is gone or another"),
    ] {
        let db = Db::open("sqlite::memory:", &[]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        append(&mut tx, "one").await;
        append(&mut tx, "two").await;
        let head = append(&mut tx, "three").await;
        assert_eq!(audit::head(&mut tx).await.unwrap(), head);
        for trigger in ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", change] {
            sql(trigger).execute(&mut tx).await.unwrap();
        }
        let error = audit::verify(&mut tx, Some(head)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }));
        assert!(error.to_string().contains(shown), "{change}: {error}");
    }
}

#[tokio::test]
async fn leases_expire_by_the_clock() {
    let clock = ManualClock::new(Time::from_millis(1_000_000));
    let context = Context::detached().with_clock(clock.clone());
    let clock_of = || &*context.clock as &dyn Clock;
    let db = Db::open("sqlite::memory:", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let tx = &mut tx;
    let take = async |tx: &mut Tx, who: &str| {
        lease::acquire(tx, clock_of(), "job 1", who, 10 * SECOND).await.unwrap()
    };
    assert!(lease::holder(tx, clock_of(), "job 1").await.unwrap().is_none());
    let mut a = take(tx, "a").await.unwrap();
    assert_eq!((a.term, a.expires), (1, Time::from_millis(1_010_000)));
    assert!(take(tx, "b").await.is_none());
    clock.advance(9 * SECOND);
    assert!(take(tx, "b").await.is_none());
    lease::renew(tx, clock_of(), &mut a, 10 * SECOND).await.unwrap();
    assert_eq!(lease::holder(tx, clock_of(), "job 1").await.unwrap(), Some(a.clone()));
    clock.advance(9 * SECOND);
    assert!(take(tx, "b").await.is_none());
    clock.advance(SECOND);
    // Expired, not yet taken: the holder may go on.
    assert!(lease::holder(tx, clock_of(), "job 1").await.unwrap().is_none());
    lease::renew(tx, clock_of(), &mut a, SECOND).await.unwrap();
    clock.advance(SECOND);
    let mut b = take(tx, "b").await.unwrap();
    assert_eq!(b.term, 2);
    let lost = lease::renew(tx, clock_of(), &mut a, SECOND).await.unwrap_err();
    assert_eq!(
        lost.to_string(),
        "lease job 1: refused: a no longer holds it; look at what is stored already"
    );
    // Too late to give back what another holds.
    lease::release(tx, a).await.unwrap();
    assert!(lease::holder(tx, clock_of(), "job 1").await.unwrap().is_some());
    // The same holder, started again, need not wait; what it held before is stale.
    let again = take(tx, "b").await.unwrap();
    assert_eq!(again.term, 3);
    assert!(lease::renew(tx, clock_of(), &mut b, SECOND).await.is_err());
    lease::release(tx, again.clone()).await.unwrap();
    assert!(lease::renew(tx, clock_of(), &mut again.clone(), SECOND).await.is_err());
    assert_eq!(take(tx, "a").await.unwrap().term, 4);
}
