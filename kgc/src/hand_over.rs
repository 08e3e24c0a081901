//! The master key goes to C0, once.
//!
//! ```text
//! asked   the key is sealed to C0's certified key; asked again, the same C0 gets the same
//! done    C0 says by the key's digest that it has opened and stored it: a row says so,
//!         then the files are destroyed (a kill between the two is made up for at the next start)
//! after   nobody gets it here any more
//! ```

use crate::error::{Cause, Error, Result, refuse};
use crate::office::Office;
use crate::parties::Party;
use dyad_net::seal::{SealPublic, seal};
use dyad_net::{Peer, contexts};
use dyad_node::clock::Time;
use dyad_node::store::{Tx, sql};
use dyad_protos::master_key_digest;
use dyad_protos::wire::kgc::v1::HandOverReply;

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandOver {
    pub(crate) fingerprint: [u8; 32],
    digest: [u8; 32],
    pub(crate) done: Option<Time>,
}

/// None: nobody has asked for it.
pub(crate) async fn state(tx: &mut Tx) -> Result<Option<HandOver>> {
    let row = sql("SELECT fingerprint, digest, done FROM hand_over").optional(tx).await?;
    let Some(row) = row else { return Ok(None) };
    let (fingerprint, digest) = (row.get("fingerprint")?, row.get("digest")?);
    Ok(Some(HandOver { fingerprint, digest, done: row.get("done")? }))
}

const GONE: &str = "the master key was handed over and destroyed here: C0 alone has it. If C0 has \
     lost it, nothing that was uploaded can be used: make a new key centre";

impl Office {
    /// Seals it to the C0 that asks.
    pub(crate) async fn hand_over(&self, peer: &Peer) -> Result<HandOverReply> {
        let mut tx = self.db.begin().await?;
        let party = self.caller(&mut tx, peer).await?;
        let before = state(&mut tx).await?;
        let params = self.keys.params.to_bytes();
        if let Some(before) = before {
            if before.done.is_some() {
                return refuse(Cause::HandOver, GONE);
            }
            same(&before, &party)?;
            // Asked before, but not known to have arrived.
            if let Some(sealed) = self.keys.sealed()? {
                return Ok(HandOverReply { sealed: sealed.into(), params: params.into() });
            }
        }
        let Some(master) = self.keys.master()? else {
            let text = "the master key is not here, though nobody is known to have it: was the \
                        database restored from an older copy, or the key file lost?";
            return Err(Error::Broken(text.into()));
        };
        let context = contexts::master_key(&self.keys.identity.name, &party.identity.name);
        let sealed = seal(&SealPublic(party.seal), &context, &master)?;
        // The file first: a row without it would be sealed anew, to the same C0.
        self.keys.keep_sealed(&sealed)?;
        if before.is_none() {
            let digest = master_key_digest(&master);
            sql("INSERT INTO hand_over (one, fingerprint, asked, digest) VALUES (1, $1, $2, $3)")
                .bind(party.fingerprint.bytes())
                .bind(self.now())
                .bind(digest)
                .execute(&mut tx)
                .await?;
            let who = party.identity.to_string();
            self.note(&mut tx, &who, "hand over", party.fingerprint.bytes(), "asked").await?;
        }
        tx.commit().await?;
        tracing::info!(to = %party.identity, "the master key is sealed to C0");
        Ok(HandOverReply { sealed: sealed.into(), params: params.into() })
    }

    /// C0 has it: it is destroyed here.
    pub(crate) async fn hand_over_done(&self, peer: &Peer, digest: &[u8]) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let party = self.caller(&mut tx, peer).await?;
        let Some(before) = state(&mut tx).await? else {
            return refuse(Cause::HandOver, "the master key was not asked for so far");
        };
        same(&before, &party)?;
        if before.digest != digest {
            let text = "this is not the digest of the master key that was sealed: it is kept here. \
                        Ask for it again, and check the disk of C0";
            return refuse(Cause::HandOver, text);
        }
        if before.done.is_none() {
            sql("UPDATE hand_over SET done = $1 WHERE done IS NULL")
                .bind(self.now())
                .execute(&mut tx)
                .await?;
            let who = party.identity.to_string();
            self.note(&mut tx, &who, "hand over", party.fingerprint.bytes(), "done").await?;
            tx.commit().await?;
            tracing::info!(to = %party.identity, "C0 has the master key: it is destroyed here");
        }
        self.keys.destroy_master()
    }

    /// Makes up for a kill after the row was written.
    pub(crate) async fn finish_hand_over(&self, tx: &mut Tx) -> Result<()> {
        match state(tx).await? {
            Some(HandOver { done: Some(_), .. }) => self.keys.destroy_master(),
            _ => Ok(()),
        }
    }
}

fn same(before: &HandOver, party: &Party) -> Result<()> {
    if before.fingerprint == *party.fingerprint.bytes() {
        return Ok(());
    }
    let text = format!(
        "the master key was sealed to another C0 before, which may have it; {} does not get it. \
         Make a new key centre if the first C0 is lost",
        party.identity
    );
    refuse(Cause::HandOver, text)
}
