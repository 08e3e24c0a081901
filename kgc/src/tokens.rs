//! One-time tokens. The store keeps what each is known by, not the token: a copy of the store
//! enrols nobody.

use crate::error::{Cause, Result, refuse};
use crate::office::{Office, beginning};
use crate::parties;
use dyad_net::identity::{Identity, Name, Role};
use dyad_net::member::Token;
use dyad_node::clock::Time;
use dyad_node::store::{Row, Tx, sql};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// How a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// It may be used.
    Open,
    /// It was.
    Used,
    /// Its time is over.
    Expired,
    /// It was taken back, or a newer one was made for the same name.
    Revoked,
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLine {
    /// The beginning of what it is known by.
    pub id: String,
    /// For whom.
    pub role: String,
    /// For whom.
    pub name: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub expires: i64,
    /// How it stands.
    pub state: TokenState,
}

/// A token as it is stored.
pub(crate) struct Known {
    pub(crate) id: [u8; 32],
    pub(crate) identity: Identity,
    created: Time,
    expires: Time,
    revoked: Option<Time>,
    /// Digest of the request it was used with, and the answer.
    pub(crate) used: Option<([u8; 32], Vec<u8>)>,
}

impl Known {
    fn read(row: &Row) -> Result<Self> {
        let (role, name): (String, String) = (row.get("role")?, row.get("name")?);
        let role: Role = role.parse().map_err(|error| row.bad("role", error))?;
        let name: Name = name.parse().map_err(|error| row.bad("name", error))?;
        let request: Option<Vec<u8>> = row.get("request")?;
        let used = match request {
            Some(_) => Some((row.get("request")?, row.get("certificate")?)),
            None => None,
        };
        Ok(Self {
            id: row.get("id")?,
            identity: Identity::new(role, name),
            created: row.get("created")?,
            expires: row.get("expires")?,
            revoked: row.get("revoked")?,
            used,
        })
    }

    pub(crate) fn state(&self, now: Time) -> TokenState {
        match self {
            Self { used: Some(_), .. } => TokenState::Used,
            Self { revoked: Some(_), .. } => TokenState::Revoked,
            Self { expires, .. } if *expires <= now => TokenState::Expired,
            _ => TokenState::Open,
        }
    }
}

impl Office {
    /// Makes one, to be told to somebody and to be forgotten here.
    pub(crate) async fn token(&self, identity: &Identity, valid: Duration) -> Result<Token> {
        if identity.role == Role::Kgc {
            return refuse(Cause::Role, "tokens are for c0, c1 and owner; there is one kgc");
        }
        let days = self.config.limits.token_days;
        if valid.is_zero() || valid > Duration::from_secs(days * 24 * 3600) {
            let text = format!("a token may be good for {days} days at most: limits.token_days");
            return refuse(Cause::Limit, text);
        }
        let own = &self.keys;
        let address = self.config.reached_by();
        let unreachable = |at: SocketAddr| at.ip().is_unspecified() || at.port() == 0;
        if address.parse().is_ok_and(unreachable) {
            let text = format!(
                "nobody reaches the key centre by {address}: set `address` in its configuration"
            );
            return refuse(Cause::Message, text);
        }
        let token = Token::new(address, own.identity.name.clone(), own.root.fingerprint())?;
        let (now, id) = (self.now(), token.id());
        let mut tx = self.db.begin().await?;
        free(&mut tx, identity).await?;
        self.revoke_tokens(&mut tx, identity).await?;
        sql("INSERT INTO tokens (id, role, name, created, expires) VALUES ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(identity.role.as_str())
            .bind(identity.name.as_str())
            .bind(now)
            .bind(now.plus(valid))
            .execute(&mut tx)
            .await?;
        self.note(&mut tx, "operator", "token", &id, &identity.to_string()).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// All that were made, the newest first.
    pub(crate) async fn tokens(&self) -> Result<Vec<TokenLine>> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let rows = sql("SELECT id, role, name, created, expires, revoked, request, certificate \
                        FROM tokens ORDER BY created DESC LIMIT 1000")
        .all(&mut tx)
        .await?;
        tx.rollback().await;
        let line = |row: &Row| {
            let known = Known::read(row)?;
            Ok(TokenLine {
                id: beginning(&known.id, 6),
                role: known.identity.role.to_string(),
                name: known.identity.name.to_string(),
                created: known.created.millis(),
                expires: known.expires.millis(),
                state: known.state(now),
            })
        };
        rows.iter().map(line).collect()
    }

    /// Those in this name that nobody has used are good no more.
    pub(crate) async fn revoke_tokens(&self, tx: &mut Tx, identity: &Identity) -> Result<u64> {
        let now = self.now();
        Ok(sql("UPDATE tokens SET revoked = $1 WHERE role = $2 AND name = $3 \
                AND revoked IS NULL AND request IS NULL AND expires > $1")
        .bind(now)
        .bind(identity.role.as_str())
        .bind(identity.name.as_str())
        .execute(tx)
        .await?)
    }
}

/// Is the name, or the one place of a cloud, free or this party's own?
pub(crate) async fn free(tx: &mut Tx, identity: &Identity) -> Result<()> {
    if identity.role == Role::Owner {
        return Ok(());
    }
    match parties::cloud(tx, identity.role).await? {
        Some(there) if there.identity.name != identity.name => {
            let (role, there) = (identity.role, &there.identity);
            let text = format!(
                "there is one {role} and it is {there}; for another one revoke it first: \
                 kgc revoke {role} {}",
                there.name
            );
            refuse(Cause::Taken, text)
        }
        _ => Ok(()),
    }
}

/// The token that is known by this.
pub(crate) async fn find(tx: &mut Tx, id: &[u8; 32]) -> Result<Option<Known>> {
    let row = sql("SELECT id, role, name, created, expires, revoked, request, certificate \
                   FROM tokens WHERE id = $1")
    .bind(id)
    .optional(tx)
    .await?;
    row.as_ref().map(Known::read).transpose()
}

/// It was used with this request, and this was the answer.
pub(crate) async fn mark_used(
    tx: &mut Tx,
    id: &[u8; 32],
    request: &[u8; 32],
    certificate: &[u8],
    now: Time,
) -> Result<()> {
    sql("UPDATE tokens SET used = $1, request = $2, certificate = $3 \
         WHERE id = $4 AND request IS NULL")
    .bind(now)
    .bind(request)
    .bind(certificate)
    .bind(id)
    .execute(tx)
    .await?;
    Ok(())
}
