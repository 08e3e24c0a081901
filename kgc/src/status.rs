//! How the key centre stands, for its operator.

use crate::error::Result;
use crate::hand_over::{self, HandOver};
use crate::office::{Office, beginning};
use dyad_node::store::{Tx, sql};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is called.
    pub name: String,
    /// How others reach it.
    pub address: String,
    /// Fingerprint of the root certificate.
    pub root: String,
    /// Id of the parameters.
    pub params: String,
    /// Bits of the modulus.
    pub bits: usize,
    /// Is the master key public?
    pub insecure_demo: bool,
    /// What has become of the master key, in words.
    pub master_key: String,
    /// Who is enrolled.
    pub parties: Vec<PartyLine>,
    /// Studies that wait for members.
    pub studies_open: u64,
    /// Studies that are frozen.
    pub studies_frozen: u64,
    /// Jobs whose dealer's secret is still here.
    pub jobs_open: u64,
    /// Number of the revocation list.
    pub revocations: u64,
}

/// A party as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyLine {
    /// What it is.
    pub role: String,
    /// Who it is.
    pub name: String,
    /// Where a service is reached.
    pub address: String,
    /// When its newest certificate ends, in milliseconds since 1970.
    pub certificate_ends: i64,
}

async fn count(tx: &mut Tx, text: &'static str) -> Result<u64> {
    Ok(sql(text).one(tx).await?.get("n")?)
}

impl Office {
    pub(crate) async fn status(&self) -> Result<Status> {
        let mut tx = self.db.begin().await?;
        let master_key = match hand_over::state(&mut tx).await? {
            None => "here: C0 has not asked for it".to_owned(),
            Some(HandOver { done: None, fingerprint, .. }) => {
                let to = beginning(&fingerprint, 8);
                format!("here: sealed to C0 {to}, which has not acknowledged it")
            }
            Some(HandOver { done: Some(at), .. }) => {
                format!("destroyed here on {at}: C0 alone has it")
            }
        };
        let rows = sql("SELECT p.role, p.name, p.address, MAX(c.expires) AS ends FROM parties p \
                        JOIN certificates c ON c.party = p.fingerprint \
                        WHERE p.revoked IS NULL GROUP BY p.role, p.name, p.address \
                        ORDER BY p.role, p.name")
        .all(&mut tx)
        .await?;
        let mut parties = Vec::with_capacity(rows.len());
        for row in &rows {
            parties.push(PartyLine {
                role: row.get("role")?,
                name: row.get("name")?,
                address: row.get("address")?,
                certificate_ends: row.get("ends")?,
            });
        }
        let keys = &self.keys;
        Ok(Status {
            name: keys.identity.name.to_string(),
            address: self.config.reached_by().to_owned(),
            root: keys.root.fingerprint().to_string(),
            params: dyad_protos::Hex(*keys.params.id().as_bytes()).to_string(),
            bits: keys.params.size().bits(),
            insecure_demo: keys.is_demo(),
            master_key,
            parties,
            studies_open: count(&mut tx, "SELECT COUNT(*) AS n FROM studies WHERE text IS NULL")
                .await?,
            studies_frozen: count(
                &mut tx,
                "SELECT COUNT(*) AS n FROM studies WHERE text IS NOT NULL",
            )
            .await?,
            jobs_open: count(&mut tx, "SELECT COUNT(*) AS n FROM jobs WHERE ended IS NULL").await?,
            revocations: self.list_number(&mut tx).await?,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key centre   {} at {}", self.name, self.address)?;
        writeln!(f, "root         {}", self.root)?;
        let warning =
            if self.insecure_demo { ", INSECURE DEMO: the master key is public" } else { "" };
        writeln!(f, "parameters   {} bits, {:.16}{warning}", self.bits, self.params)?;
        writeln!(f, "master key   {}", self.master_key)?;
        writeln!(f, "studies      {} frozen, {} open", self.studies_frozen, self.studies_open)?;
        writeln!(f, "jobs         {} not ended", self.jobs_open)?;
        write!(f, "revocations  list {}", self.revocations)?;
        for party in &self.parties {
            let ends = dyad_node::Time::from_millis(party.certificate_ends).to_string();
            let PartyLine { role, name, address, .. } = party;
            write!(f, "\n{role:<12} {name:<24} certificate until {ends:.10}  {address}")?;
        }
        Ok(())
    }
}
