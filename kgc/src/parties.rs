//! Who is enrolled.

use crate::error::{Cause, Result, refusal, refuse};
use crate::office::Office;
use dyad_net::authority::Serial;
use dyad_net::identity::{Fingerprint, Identity, Name, Role};
use dyad_node::clock::Time;
use dyad_node::store::{Row, Tx, sql};
use dyad_protos::wire::kgc::v1::Service;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A party, by its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) sign: [u8; 32],
    pub(crate) seal: [u8; 32],
    pub(crate) address: String,
}

const SELECT_BY_KEY: &str = "SELECT fingerprint, role, name, sign, seal, address FROM parties \
     WHERE fingerprint = $1 AND revoked IS NULL";
const SELECT_BY_NAME: &str = "SELECT fingerprint, role, name, sign, seal, address FROM parties \
     WHERE role = $1 AND name = $2 AND revoked IS NULL";
const SELECT_CLOUDS: &str = "SELECT fingerprint, role, name, sign, seal, address FROM parties \
     WHERE role <> 'owner' AND revoked IS NULL ORDER BY role";

impl Party {
    fn read(row: &Row) -> Result<Self> {
        let (role, name): (String, String) = (row.get("role")?, row.get("name")?);
        let role: Role = role.parse().map_err(|error| row.bad("role", error))?;
        let name: Name = name.parse().map_err(|error| row.bad("name", error))?;
        Ok(Self {
            identity: Identity::new(role, name),
            fingerprint: Fingerprint::from_bytes(row.get("fingerprint")?),
            sign: row.get("sign")?,
            seal: row.get("seal")?,
            address: row.get("address")?,
        })
    }
}

/// The party with this key, unless it was revoked.
pub(crate) async fn by_key(tx: &mut Tx, key: &Fingerprint) -> Result<Option<Party>> {
    let row = sql(SELECT_BY_KEY).bind(key.bytes()).optional(tx).await?;
    row.as_ref().map(Party::read).transpose()
}

/// The party of this name, unless it was revoked.
pub(crate) async fn by_name(tx: &mut Tx, identity: &Identity) -> Result<Option<Party>> {
    let (role, name) = (identity.role.as_str(), identity.name.as_str());
    let row = sql(SELECT_BY_NAME).bind(role).bind(name).optional(tx).await?;
    row.as_ref().map(Party::read).transpose()
}

/// C0 and C1, as far as they are enrolled.
pub(crate) async fn clouds(tx: &mut Tx) -> Result<Vec<Party>> {
    sql(SELECT_CLOUDS).all(tx).await?.iter().map(Party::read).collect()
}

/// The cloud of a role.
pub(crate) async fn cloud(tx: &mut Tx, role: Role) -> Result<Option<Party>> {
    Ok(clouds(tx).await?.into_iter().find(|party| party.identity.role == role))
}

/// Where the clouds are found.
pub(crate) async fn services(tx: &mut Tx) -> Result<Vec<Service>> {
    let clouds = clouds(tx).await?;
    let service = |party: Party| Service {
        role: party.identity.role.to_string(),
        name: party.identity.name.to_string(),
        address: party.address,
        fingerprint: party.fingerprint.bytes().to_vec().into(),
    };
    Ok(clouds.into_iter().map(service).collect())
}

/// Stores a new party.
pub(crate) async fn insert(tx: &mut Tx, party: &Party, now: Time) -> Result<()> {
    sql("INSERT INTO parties (fingerprint, role, name, sign, seal, address, enrolled) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)")
    .bind(party.fingerprint.bytes())
    .bind(party.identity.role.as_str())
    .bind(party.identity.name.as_str())
    .bind(party.sign)
    .bind(party.seal)
    .bind(&party.address)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Is a key of somebody who was ever enrolled among these?
pub(crate) async fn has_key(tx: &mut Tx, party: &Party) -> Result<bool> {
    let row = sql("SELECT name FROM parties WHERE fingerprint = $1 OR sign = $2 OR seal = $3")
        .bind(party.fingerprint.bytes())
        .bind(party.sign)
        .bind(party.seal)
        .optional(tx)
        .await?;
    Ok(row.is_some())
}

/// Stores a certificate.
pub(crate) async fn insert_certificate(
    tx: &mut Tx,
    party: &Fingerprint,
    issued: &dyad_net::Issued,
    now: Time,
) -> Result<()> {
    sql("INSERT INTO certificates (serial, party, issued, expires, der) \
         VALUES ($1, $2, $3, $4, $5)")
    .bind(issued.serial.bytes())
    .bind(party.bytes())
    .bind(now)
    .bind(time(issued.not_after))
    .bind(&issued.der)
    .execute(tx)
    .await?;
    Ok(())
}

/// The system's time as the store has it.
pub(crate) fn time(at: SystemTime) -> Time {
    let millis = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn system_time(at: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0))
}

/// A revocation list is made anew whenever it is asked for; this is how long an old one may be
/// taken for new.
const LIST_LASTS: Duration = Duration::from_hours(24);

impl Office {
    /// The caller as it is enrolled: a certificate alone is not enough.
    pub(crate) async fn caller(&self, tx: &mut Tx, peer: &dyad_net::Peer) -> Result<Party> {
        let party = by_key(tx, &peer.fingerprint).await?;
        party.filter(|party| party.identity == peer.identity).ok_or_else(|| {
            let who = &peer.identity;
            refusal(Cause::Revoked, format!("{who} is enrolled no more: ask for a new token"))
        })
    }

    /// The revocation list's number.
    pub(crate) async fn list_number(&self, tx: &mut Tx) -> Result<u64> {
        Ok(sql("SELECT number FROM revocations").one(tx).await?.get("number")?)
    }

    /// A fresh revocation list.
    pub(crate) async fn revocation_list(&self, tx: &mut Tx) -> Result<(u64, Vec<u8>)> {
        let number = self.list_number(tx).await?;
        // What has ended by itself need not be listed; a day more, for clocks that are behind.
        let rows = sql("SELECT serial, revoked FROM certificates \
                        WHERE revoked IS NOT NULL AND expires > $1")
        .bind(self.now().millis() - 86_400_000)
        .all(tx)
        .await?;
        let mut revoked = Vec::with_capacity(rows.len());
        for row in &rows {
            let when = system_time(row.get("revoked")?);
            revoked.push((Serial::from_bytes(row.get("serial")?), when));
        }
        Ok((number, self.keys.authority.crl(&revoked, number, LIST_LASTS)?))
    }

    /// Enrols a party no more: its certificates, and tokens in its name that nobody has used.
    pub(crate) async fn revoke(&self, identity: &Identity, by: &str) -> Result<u64> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let party = by_name(&mut tx, identity).await?;
        let tokens = self.revoke_tokens(&mut tx, identity).await?;
        let Some(party) = party else {
            if tokens == 0 {
                return refuse(Cause::Stranger, format!("{identity} is not enrolled"));
            }
            let detail = format!("{identity}, {tokens} unused tokens");
            self.note(&mut tx, by, "revoke", &[], &detail).await?;
            tx.commit().await?;
            return Ok(0);
        };
        let key = party.fingerprint;
        sql("UPDATE parties SET revoked = $1 WHERE fingerprint = $2")
            .bind(now)
            .bind(key.bytes())
            .execute(&mut tx)
            .await?;
        let revoked = sql("UPDATE certificates SET revoked = $1 \
                           WHERE party = $2 AND revoked IS NULL")
        .bind(now)
        .bind(key.bytes())
        .execute(&mut tx)
        .await?;
        sql("UPDATE revocations SET number = number + 1").execute(&mut tx).await?;
        self.note(&mut tx, by, "revoke", key.bytes(), &identity.to_string()).await?;
        tx.commit().await?;
        tracing::warn!(party = %identity, certificates = revoked, "revoked");
        Ok(revoked)
    }
}
