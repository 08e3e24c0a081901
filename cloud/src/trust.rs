//! What a cloud believes: nothing that it has not checked itself. The key centre's word on who is
//! who, and owners' signatures on everything else.

use crate::ledger::Approval;
use crate::refusal::{Cause, Refusal, refuse};
use dyad_bcp::{ClaimedKey, ProofContext, PublicKey, PublicParams, UnifiedKey};
use dyad_learn::signed::{Facts, Signed};
use dyad_net::member::Member;
use dyad_net::sign::{SignPublic, Signature};
use dyad_protos::study::{self, FROZEN, Study};
use dyad_protos::{Document, Job, Manifest, Name, Role, consent, upload};
use std::collections::BTreeMap;

/// A study whose text the key centre signed, whose members' keys hold, and in which this cloud is
/// itself.
pub struct Frozen {
    /// The text.
    pub study: Document<Study>,
    /// Each member's BCP key.
    pub keys: BTreeMap<Name, PublicKey>,
    /// All of them in one.
    pub unified: UnifiedKey,
    /// Names of the study's columns, the label's last.
    pub columns: Vec<String>,
}

impl Frozen {
    /// Checks one.
    pub fn check(
        text: &[u8],
        signature: &[u8],
        me: &Member,
        params: &PublicParams,
    ) -> Result<Self, Refusal> {
        let study = Document::<Study>::read(text)?;
        verify(&me.kgc_sign, FROZEN, study.text(), signature, "the key centre, on the study")?;
        if study.params.0 != *params.id().as_bytes()
            || study.root.0 != *me.root.fingerprint().bytes()
        {
            let what = "the study is of another key centre, or of other parameters";
            return refuse(Cause::Changed, what);
        }
        let mine = study.cloud(me.identity.role);
        let same = mine.is_some_and(|mine| {
            mine.fingerprint.0 == *me.tls.fingerprint().bytes()
                && mine.sign.0 == me.sign.public().0
                && mine.seal.0 == me.seal.public().0
        });
        if !same {
            let what = format!(
                "study {} was frozen with other keys of {} than it has now: a new study is needed",
                study.draft.name, me.identity
            );
            return refuse(Cause::Changed, what);
        }
        let draft = Document::write(&study.draft)?;
        let context = study::proof_context(&study.id, &draft);
        let mut keys = BTreeMap::new();
        for member in &study.members {
            let claimed = ClaimedKey::from_bytes(params, &member.key)?;
            let owner = member.name.as_str().as_bytes();
            let key = claimed.verify(&ProofContext { study: &context, owner })?;
            keys.insert(member.name.clone(), key);
        }
        let in_order: Vec<_> = study.members.iter().map(|m| keys[&m.name].clone()).collect();
        let unified = UnifiedKey::new(&in_order)?;
        let columns = study.draft.columns.iter().map(|column| column.name.clone());
        let columns = columns.chain([study.draft.label.name.clone()]).collect();
        Ok(Self { study, keys, unified, columns })
    }

    /// The other cloud's key for signatures.
    #[must_use]
    pub fn peer_sign(&self, me: Role) -> SignPublic {
        let peer = if me == Role::C0 { &self.study.c1 } else { &self.study.c0 };
        SignPublic(peer.sign.0)
    }

    /// Is this what the member of this name signed?
    pub fn signed_by(
        &self,
        owner: &Name,
        label: &'static str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let Some(member) = self.study.member(owner) else {
            let what = format!("{owner} is no member of study {}", self.study.draft.name);
            return refuse(Cause::Stranger, what);
        };
        let what = format!("{owner}, on: {label}");
        verify(&SignPublic(member.sign.0), label, message, signature, &what)
    }

    /// Is this the certificate that the member had when the study was frozen?
    pub fn is_member(&self, owner: &Name, fingerprint: &[u8; 32]) -> Result<(), Refusal> {
        match self.study.member(owner) {
            Some(member) if member.fingerprint.0 == *fingerprint => Ok(()),
            Some(_) => {
                let what = format!(
                    "{owner} comes with another key than study {} was frozen with",
                    self.study.draft.name
                );
                refuse(Cause::Changed, what)
            }
            None => {
                let what = format!("{owner} is no member of study {}", self.study.draft.name);
                refuse(Cause::Stranger, what)
            }
        }
    }

    /// A manifest of a member, signed by it, that fits the study.
    pub fn manifest(
        &self,
        manifest: &Document<Manifest>,
        signature: &[u8],
    ) -> Result<upload::Places, Refusal> {
        self.signed_by(&manifest.owner, upload::ANNOUNCED, &manifest.digest(), signature)?;
        manifest.places(&self.study).map_err(|what| Refusal::new(Cause::Data, what))
    }

    /// What is trained, by what the job says.
    pub fn training(&self, job: &Job) -> Result<Signed, Refusal> {
        let draft = &self.study.draft;
        let facts = Facts {
            train: &job.train,
            rows: job.rows,
            test_rows: job.test_rows,
            split: job.split,
            checkpoint: job.checkpoint,
            features: draft.width(),
            classes: draft.label.classes.len(),
            fraction_bits: draft.fraction_bits,
            value_bits: draft.value_bits,
            dealt: job.is_dealt(),
        };
        Signed::read(&facts).map_err(|error| Refusal::new(Cause::Message, error.to_string()))
    }

    /// The program that would run here must be the one that was signed.
    pub fn same_program(&self, job: &Job, training: &Signed) -> Result<(), Refusal> {
        let cost = training.cost(0);
        let (_, program) = cost.map_err(|error| Refusal::new(Cause::Message, error.to_string()))?;
        if program == job.program.0 {
            return Ok(());
        }
        let ours = env!("CARGO_PKG_VERSION");
        let what = format!(
            "the job was proposed with release {}, whose program is {}; this is release {ours}, \
             whose program is {}: install the same release everywhere",
            job.release,
            job.program,
            dyad_protos::Hex(program),
        );
        refuse(Cause::Release, what)
    }

    /// Names, recipients and uploads' owners of a job are the study's.
    pub fn people(&self, job: &Job) -> Result<(), Refusal> {
        let uploaded = job.uploads.iter().map(|upload| &upload.owner);
        let named = [&job.author].into_iter().chain(&job.recipients).chain(&job.may_predict);
        match named.chain(uploaded).find(|name| self.study.member(name).is_none()) {
            None => Ok(()),
            Some(name) => {
                let what = format!("{name} is no member of study {}", self.study.draft.name);
                refuse(Cause::Stranger, what)
            }
        }
    }

    /// Owners whose approval is still awaited: signatures are checked, and their ends.
    #[must_use]
    pub fn awaited(&self, job: &Document<Job>, approvals: &[Approval], now: u64) -> Vec<Name> {
        let stands = |owner: &Name| {
            approvals.iter().any(|approval| {
                let message = consent::approval(&job.digest(), approval.expires);
                approval.owner == *owner
                    && approval.expires > now
                    && self
                        .signed_by(owner, consent::APPROVED, &message, &approval.signature)
                        .is_ok()
            })
        };
        job.owners().into_iter().filter(|owner| !stands(owner)).cloned().collect()
    }
}

/// Holds a signature against a key.
pub fn verify(
    key: &SignPublic,
    label: &'static str,
    message: &[u8],
    signature: &[u8],
    whose: &str,
) -> Result<(), Refusal> {
    let wrong = || Refusal::new(Cause::Signature, format!("this is no signature of {whose}"));
    let signature = Signature(signature.try_into().map_err(|_| wrong())?);
    key.verify(label, message, &signature).map_err(|_| wrong())
}
