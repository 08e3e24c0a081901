//! The audit table: who did what to which hash, when. Append-only: triggers refuse change and
//! deletion, and each row is chained to the one before, so that a change made behind the
//! database's back shows.
//!
//! Not promised: whoever can write the file can also write a whole new chain, or cut its end off.
//! That shows only to those who remember a [`Head`]: services log it.

use crate::clock::Time;
use crate::store::{Result, Row, StoreError, Tx, sql};
use sha2::{Digest, Sha256};

/// Separates these hashes from all others, and names the layout.
const LABEL: &[u8] = b"dyad audit 1";
/// How many rows [`verify`] holds at a time.
const PAGE: u32 = 1000;

/// What is to be written down.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Who did it: role and name as in the certificate.
    pub who: &'a str,
    /// What: a verb such as `approve` or `refused`.
    pub what: &'a str,
    /// To which hash: of a job, an upload, a key; may be empty.
    pub hash: &'a [u8],
    /// When.
    pub at: Time,
    /// More, for a reader. Never a secret, never a value of an owner's data.
    pub detail: &'a str,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its number, from 1 on without gaps.
    pub seq: i64,
    /// Who did it.
    pub who: String,
    /// What.
    pub what: String,
    /// To which hash.
    pub hash: Vec<u8>,
    /// When.
    pub at: Time,
    /// More.
    pub detail: String,
    link: [u8; 32],
}

/// The chain's last link: stands for all rows up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last row; 0 if there is none.
    pub seq: i64,
    /// Its link; zeros if there is none.
    pub link: [u8; 32],
}

impl Head {
    const EMPTY: Self = Self { seq: 0, link: [0; 32] };

    fn follow(&self, entry: &Entry<'_>) -> Self {
        let seq = self.seq + 1;
        let mut hash = Sha256::new();
        hash.update(LABEL);
        hash.update(self.link);
        hash.update(seq.to_le_bytes());
        hash.update(entry.at.millis().to_le_bytes());
        for field in
            [entry.who.as_bytes(), entry.what.as_bytes(), entry.hash, entry.detail.as_bytes()]
        {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        Self { seq, link: hash.finalize().into() }
    }
}

/// The chain as it stands.
pub async fn head(tx: &mut Tx) -> Result<Head> {
    let row = sql("SELECT seq, link FROM audit ORDER BY seq DESC LIMIT 1").optional(tx).await?;
    row.map_or(Ok(Head::EMPTY), |row| Ok(Head { seq: row.get("seq")?, link: row.get("link")? }))
}

/// Appends a row, in the transaction of what it tells of: both last, or neither.
pub async fn append(tx: &mut Tx, entry: &Entry<'_>) -> Result<Head> {
    let head = head(tx).await?.follow(entry);
    sql("INSERT INTO audit (seq, who, what, hash, at, detail, link) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)")
    .bind(head.seq)
    .bind(entry.who)
    .bind(entry.what)
    .bind(entry.hash)
    .bind(entry.at)
    .bind(entry.detail)
    .bind(head.link)
    .execute(tx)
    .await?;
    Ok(head)
}

/// At most `limit` rows after number `after`, in order.
pub async fn read(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Record>> {
    let rows = sql("SELECT seq, who, what, hash, at, detail, link FROM audit \
                    WHERE seq > $1 ORDER BY seq LIMIT $2")
    .bind(after)
    .bind(limit)
    .all(tx)
    .await?;
    rows.iter().map(record).collect()
}

fn record(row: &Row) -> Result<Record> {
    Ok(Record {
        seq: row.get("seq")?,
        who: row.get("who")?,
        what: row.get("what")?,
        hash: row.get("hash")?,
        at: row.get("at")?,
        detail: row.get("detail")?,
        link: row.get("link")?,
    })
}

/// Follows the chain from its start. [`StoreError::Corrupt`] names the first row that does not fit.
/// Whoever remembers an earlier head passes it: the chain must contain it.
pub async fn verify(tx: &mut Tx, remembered: Option<Head>) -> Result<Head> {
    let mut head = Head::EMPTY;
    let mut met = remembered.is_none_or(|remembered| remembered == head);
    loop {
        let page = read(tx, head.seq, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            let entry = Entry {
                who: &row.who,
                what: &row.what,
                hash: &row.hash,
                at: row.at,
                detail: &row.detail,
            };
            let next = head.follow(&entry);
            if next.seq != row.seq || next.link != row.link {
                let why = format!("row {} does not follow from the one before", row.seq);
                return Err(StoreError::Corrupt { place: "audit table".to_owned(), why });
            }
            head = next;
            met |= remembered == Some(head);
        }
    }
    if !met {
        let seq = remembered.map_or(0, |remembered| remembered.seq);
        let why = format!("row {seq}, seen earlier, is gone or another: an old copy?");
        return Err(StoreError::Corrupt { place: "audit table".to_owned(), why });
    }
    Ok(head)
}
