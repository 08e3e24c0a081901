//! A frozen study, as this owner has checked it.
//!
//! What is checked: the key centre's signature; that root, parameters and own keys are those this
//! owner has; that the draft is the one it agreed to; that every member proved its key. What is
//! stored once is the study from then on: another text under the same name is refused.

use super::draft;
use crate::client::Client;
use crate::error::{Error, Result, contradiction};
use dyad_bcp::{ClaimedKey, ProofContext, PublicKey, PublicParams, SecretKey, UnifiedKey};
use dyad_data::Schema;
use dyad_net::sign::{SignPublic, Signature};
use dyad_protos::study::{Draft, FROZEN, Study, proof_context};
use dyad_protos::{Document, Name, Role};
use std::collections::BTreeMap;

/// A frozen study.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// What it says.
    pub study: Document<Study>,
    /// Of the key centre.
    pub(crate) signature: Vec<u8>,
    /// How files are encoded.
    pub schema: Schema,
}

impl Frozen {
    /// Checks what the key centre says.
    pub(crate) fn check(
        client: &Client,
        text: &[u8],
        signature: &[u8],
        joined: &Document<Draft>,
        own: &PublicKey,
    ) -> Result<Self> {
        let study = Document::<Study>::read(text)?;
        let name = study.draft.name.clone();
        let wrong = |what: &str| {
            contradiction(format!(
                "study {name}: {what}; nothing is done with it. Ask the key centre and the other \
                 members"
            ))
        };
        if verify(&client.me.kgc_sign, FROZEN, study.text(), signature).is_err() {
            return wrong("its text is not signed by the key centre");
        }
        if study.root.0 != *client.me.root.fingerprint().bytes()
            || study.params.0 != *client.params.id().as_bytes()
        {
            return wrong("it is of another key centre, or of other parameters");
        }
        let draft = Document::write(&study.draft)?;
        if draft.digest() != joined.digest() {
            return wrong("it was frozen with another draft than the one that was joined");
        }
        let me = &client.me;
        let mine = study.member(client.name()).is_some_and(|mine| {
            mine.fingerprint.0 == *me.tls.fingerprint().bytes()
                && mine.sign.0 == me.sign.public().0
                && mine.seal.0 == me.seal.public().0
        });
        if !mine {
            return wrong("it was frozen with other keys of this owner than it has here");
        }
        let schema = draft::check(&draft)?;
        let frozen = Self { study, signature: signature.to_vec(), schema };
        let (keys, _) = frozen.keys(&client.params)?;
        if keys.get(client.name()) != Some(own) {
            return wrong("it was frozen with another BCP key of this owner than it has here");
        }
        Ok(frozen)
    }

    /// What was checked before.
    pub(crate) fn stored(text: &[u8], signature: Vec<u8>) -> Result<Self> {
        let study = Document::<Study>::read(text)?;
        let schema = Schema::from_toml(&study.draft.schema)?;
        Ok(Self { study, signature, schema })
    }

    /// Every member's key, its proof checked, and all of them in one.
    pub(crate) fn keys(
        &self,
        params: &PublicParams,
    ) -> Result<(BTreeMap<Name, PublicKey>, UnifiedKey)> {
        let draft = Document::write(&self.study.draft)?;
        let context = proof_context(&self.study.id, &draft);
        let (mut keys, mut in_order) = (BTreeMap::new(), Vec::new());
        for member in &self.study.members {
            let owner = member.name.as_str().as_bytes();
            let claimed = ClaimedKey::from_bytes(params, &member.key)?;
            let key = claimed.verify(&ProofContext { study: &context, owner })?;
            in_order.push(key.clone());
            keys.insert(member.name.clone(), key);
        }
        Ok((keys, UnifiedKey::new(&in_order)?))
    }

    /// Is this what the cloud signed?
    pub(crate) fn signed_by(
        &self,
        cloud: Role,
        label: &'static str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        let key = self.study.cloud(cloud).map(|cloud| SignPublic(cloud.sign.0));
        if key.is_some_and(|key| verify(&key, label, message, signature).is_ok()) {
            return Ok(());
        }
        contradiction(format!(
            "{cloud} gave no signature of its own on: {label}; nothing was stored. Try again, then \
             ask who runs it"
        ))
    }

    /// Names of the columns, the label's last.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let draft = &self.study.draft;
        let columns = draft.columns.iter().map(|column| column.name.clone());
        columns.chain([draft.label.name.clone()]).collect()
    }
}

/// Holds a signature against a key.
pub(crate) fn verify(
    key: &SignPublic,
    label: &'static str,
    message: &[u8],
    signature: &[u8],
) -> Result<(), dyad_net::Error> {
    let signature = signature.try_into().map_err(|_| dyad_net::Error::Signature)?;
    key.verify(label, message, &Signature(signature))
}

/// This owner's key of a study.
pub(crate) fn key_of(client: &Client, name: &Name) -> Result<SecretKey> {
    let path = client.home.study(name).join(super::KEY);
    match client.secret(&path)? {
        Some(bytes) => Ok(SecretKey::from_bytes(&client.params, &bytes)?),
        None => Err(Error::damaged(&path, "the key of the study is not there")),
    }
}
