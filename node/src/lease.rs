//! Leases: who works on what, until when. A row each, in the store, so that a runner that died
//! keeps nothing locked.
//!
//! A lease has a term, which grows with each acquisition; what is written under a lease should be
//! written in one transaction with [`renew`], which fails if the lease has gone to another.

use crate::clock::{Clock, Time};
use crate::store::{Result, StoreError, Tx, sql};
use std::time::Duration;

/// A lease that was acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// What is worked on.
    pub name: String,
    /// Who works on it.
    pub holder: String,
    /// The how-manieth acquisition it is.
    pub term: i64,
    /// Until when.
    pub expires: Time,
}

/// Takes the lease `name` for `length`; `None` if another holds it and it has not expired.
///
/// The same holder gets it again at once, with a new term: after a kill a runner need not wait for
/// itself. So two runners must not have one name.
pub async fn acquire(
    tx: &mut Tx,
    clock: &dyn Clock,
    name: &str,
    holder: &str,
    length: Duration,
) -> Result<Option<Lease>> {
    let now = clock.now();
    let expires = now.plus(length);
    let row = sql("INSERT INTO lease (name, holder, term, expires) VALUES ($1, $2, 1, $3) \
                   ON CONFLICT (name) DO UPDATE \
                   SET holder = excluded.holder, term = lease.term + 1, expires = excluded.expires \
                   WHERE lease.expires <= $4 OR lease.holder = excluded.holder \
                   RETURNING term")
    .bind(name)
    .bind(holder)
    .bind(expires)
    .bind(now)
    .optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let term = row.get("term")?;
    Ok(Some(Lease { name: name.to_owned(), holder: holder.to_owned(), term, expires }))
}

/// Prolongs the lease to `length` from now. [`StoreError::Conflict`] if it was released, or has
/// expired and another took it. One that expired and that nobody took is given again.
pub async fn renew(
    tx: &mut Tx,
    clock: &dyn Clock,
    lease: &mut Lease,
    length: Duration,
) -> Result<()> {
    let expires = clock.now().plus(length);
    let rows = sql("UPDATE lease SET expires = $1 \
                    WHERE name = $2 AND holder = $3 AND term = $4 AND expires <> 0")
    .bind(expires)
    .bind(&lease.name)
    .bind(&lease.holder)
    .bind(lease.term)
    .execute(tx)
    .await?;
    if rows == 0 {
        return Err(StoreError::Conflict {
            place: format!("lease {}", lease.name),
            why: format!("{} no longer holds it", lease.holder),
        });
    }
    lease.expires = expires;
    Ok(())
}

/// Gives it back. One that another holds by now is left alone.
pub async fn release(tx: &mut Tx, lease: Lease) -> Result<()> {
    sql("UPDATE lease SET expires = 0 WHERE name = $1 AND holder = $2 AND term = $3")
        .bind(&lease.name)
        .bind(&lease.holder)
        .bind(lease.term)
        .execute(tx)
        .await?;
    Ok(())
}

/// Who holds the lease `name` now, if anybody does.
pub async fn holder(tx: &mut Tx, clock: &dyn Clock, name: &str) -> Result<Option<Lease>> {
    let row = sql("SELECT holder, term, expires FROM lease WHERE name = $1 AND expires > $2")
        .bind(name)
        .bind(clock.now())
        .optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Lease {
        name: name.to_owned(),
        holder: row.get("holder")?,
        term: row.get("term")?,
        expires: row.get("expires")?,
    }))
}
