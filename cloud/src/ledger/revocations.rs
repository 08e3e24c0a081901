//! Approvals that owners took back. Each is remembered by its end, whether it had come or not: one
//! that comes later, held up on its way, does not count either.

use super::{Ledger, Result};
use dyad_node::audit::{Entry, append};
use dyad_node::store::{Row, Tx, sql};
use dyad_protos::Name;

/// What an owner signed when it took approvals back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub owner: Name,
    /// Of the approvals, in seconds since 1970.
    pub ends: Vec<u64>,
    /// Of the owner.
    pub signature: [u8; 64],
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    New,
    /// It had come before, and changes nothing.
    Known,
    /// The job has begun, or is over: approvals matter no more.
    Late,
}

fn write(ends: &[u64]) -> Vec<u8> {
    ends.iter().flat_map(|end| end.to_be_bytes()).collect()
}

fn read(row: &Row) -> Result<Revocation> {
    let ends: Vec<u8> = row.get("ends")?;
    Ok(Revocation {
        owner: row.get::<String>("owner")?.parse()?,
        ends: ends.as_chunks().0.iter().map(|end| u64::from_be_bytes(*end)).collect(),
        signature: row.get("signature")?,
    })
}

/// Has the owner taken back the approval that ends then?
pub(super) async fn is_revoked(
    tx: &mut Tx,
    job: &[u8; 32],
    owner: &str,
    expires: u64,
) -> Result<bool> {
    let query = sql("SELECT owner, ends, signature FROM revocations WHERE job = $1 AND owner = $2");
    for row in query.bind(&job[..]).bind(owner).all(tx).await? {
        if read(&row)?.ends.contains(&expires) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Ledger {
    /// What owners took back, with their signatures.
    pub async fn revocations(&self, job: &[u8; 32]) -> Result<Vec<Revocation>> {
        let query = sql("SELECT owner, ends, signature FROM revocations WHERE job = $1 \
                         ORDER BY owner, signature");
        self.all(query.bind(&job[..])).await?.iter().map(read).collect()
    }

    /// An owner takes back all that it has given, and the approvals that it names.
    pub async fn revoke(
        &self,
        job: &[u8; 32],
        revocation: &Revocation,
        deed: &Entry<'_>,
    ) -> Result<Taken> {
        self.take_back(job, revocation, deed, None).await
    }

    /// The other cloud shows what an owner told it: the approvals that are named are taken back, and
    /// no others, so that an old one, shown again, touches no later approval. `idle`: the job does
    /// not run over there, so it need not here.
    pub async fn revoke_as_shown(
        &self,
        job: &[u8; 32],
        revocation: &Revocation,
        idle: bool,
        deed: &Entry<'_>,
    ) -> Result<Taken> {
        self.take_back(job, revocation, deed, Some(idle)).await
    }

    async fn take_back(
        &self,
        job: &[u8; 32],
        revocation: &Revocation,
        deed: &Entry<'_>,
        shown: Option<bool>,
    ) -> Result<Taken> {
        let (owner, signature) = (revocation.owner.as_str(), &revocation.signature[..]);
        let mut tx = self.db.begin().await?;
        let row = sql("SELECT state, heads FROM jobs WHERE digest = $1").bind(&job[..]);
        let row = row.one(&mut tx).await?;
        let (state, heads) = (row.get::<String>("state")?, row.get::<Option<Vec<u8>>>("heads")?);
        let early = matches!(state.as_str(), "proposed" | "approved");
        let begun = state == "running" && heads.is_none() && shown == Some(true);
        if !early && !begun {
            return Ok(Taken::Late);
        }
        let mut changed = 0;
        if !revocation.ends.is_empty() {
            changed += sql("INSERT INTO revocations (job, owner, ends, signature) \
                            VALUES ($1, $2, $3, $4) ON CONFLICT (job, owner, signature) DO NOTHING")
            .bind(&job[..])
            .bind(owner)
            .bind(write(&revocation.ends))
            .bind(signature)
            .execute(&mut tx)
            .await?;
        }
        let given = sql("SELECT signature, expires FROM approvals \
                         WHERE job = $1 AND owner = $2 AND revoked IS NULL");
        for row in given.bind(&job[..]).bind(owner).all(&mut tx).await? {
            let named = revocation.ends.contains(&(row.get::<i64>("expires")? as u64));
            if shown.is_some() && !named {
                continue;
            }
            changed += sql("UPDATE approvals SET ended = 'revoked', revoked = $4 \
                            WHERE job = $1 AND owner = $2 AND signature = $3")
            .bind(&job[..])
            .bind(owner)
            .bind(row.get::<Vec<u8>>("signature")?)
            .bind(signature)
            .execute(&mut tx)
            .await?;
        }
        if changed == 0 {
            return Ok(Taken::Known);
        }
        // If the owner has another that stands, it is approved again a moment later; one that runs
        // goes on then.
        let back = sql("UPDATE jobs SET state = 'proposed' WHERE digest = $1");
        back.bind(&job[..]).execute(&mut tx).await?;
        append(&mut tx, deed).await?;
        tx.commit().await?;
        Ok(Taken::New)
    }
}
