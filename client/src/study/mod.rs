//! Studies: what their data mean and who is in them.

mod draft;
mod frozen;

pub use draft::{FRACTION_BITS, Proposed, check, draft};
pub use frozen::Frozen;
pub(crate) use frozen::{key_of, verify};

use crate::client::{Client, timed};
use crate::error::{Doing, Error, Result, contradiction};
use crate::home;
use dyad_bcp::{ClaimedKey, ProofContext, SecretKey};
use dyad_protos::study::{Draft, proof_context};
use dyad_protos::wire::kgc::v1::{
    CreateStudyRequest, JoinStudyRequest, StudiesRequest, StudyReply, StudyRequest,
};
use dyad_protos::{Document, Hex, Name};
use std::time::Duration;
use zeroize::Zeroizing;

/// In a study's folder: the key, what was published of it, the draft, the text and its signature,
/// and what turns identifiers into pseudonyms.
pub(crate) const KEY: &str = "key";
const CLAIM: &str = "claim";
const DRAFT: &str = "draft.toml";
const TEXT: &str = "study.toml";
const SIGNATURE: &str = "study.sig";
const PSEUDONYMS: &str = "pseudonyms";

/// How often a study that is not frozen is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A study as the key centre has it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Name.
    pub name: Name,
    /// What its author proposes; nothing if it is too long to be listed.
    pub draft: Option<Document<Draft>>,
    /// Those who have joined.
    pub joined: Vec<Name>,
    /// Those who are awaited.
    pub awaited: Vec<Name>,
    /// Is it frozen?
    pub frozen: bool,
    id: Hex<16>,
    text: Vec<u8>,
    signature: Vec<u8>,
}

impl Standing {
    fn read(reply: StudyReply) -> Result<Self> {
        let names = |names: Vec<String>| names.iter().map(|name| name.parse()).collect();
        let draft = (!reply.draft.is_empty()).then(|| Document::read(&reply.draft)).transpose()?;
        let (joined, awaited): (Result<_, _>, Result<Vec<_>, dyad_protos::Error>) =
            (names(reply.joined), names(reply.awaited));
        let awaited = awaited?;
        Ok(Self {
            name: reply.name.parse()?,
            draft,
            joined: joined?,
            frozen: awaited.is_empty() || !reply.text.is_empty(),
            awaited,
            id: Hex::try_from(&reply.id[..])?,
            text: reply.text.to_vec(),
            signature: reply.signature.to_vec(),
        })
    }

    fn draft(&self) -> Result<&Document<Draft>> {
        let none =
            || Error::Contradiction(format!("the key centre gave no draft of {}", self.name));
        self.draft.as_ref().ok_or_else(none)
    }
}

impl Client {
    /// Announces a study to its members. This owner is one of them.
    pub fn create_study<'a>(&'a self, draft: &'a Document<Draft>) -> Doing<'a, Standing> {
        Box::pin(async move {
            let request = CreateStudyRequest { draft: draft.text().to_vec().into() };
            let reply = self.ask_centre("to create a study", |mut centre| {
                let request = timed(request.clone());
                async move { centre.create_study(request).await }
            });
            Standing::read(reply.await?)
        })
    }

    /// A study that this owner is asked to take part in.
    pub fn study<'a>(&'a self, name: &'a Name) -> Doing<'a, Standing> {
        Box::pin(async move {
            let request = StudyRequest { name: name.to_string() };
            let reply = self.ask_centre("for a study", |mut centre| {
                let request = timed(request.clone());
                async move { centre.study(request).await }
            });
            let standing = Standing::read(reply.await?)?;
            if standing.name != *name {
                return contradiction(format!(
                    "the key centre was asked for {name}, not {}",
                    standing.name
                ));
            }
            Ok(standing)
        })
    }

    /// All of them.
    pub fn studies(&self) -> Doing<'_, Vec<Standing>> {
        Box::pin(async move {
            let reply = self.ask_centre("for the studies", |mut centre| async move {
                centre.studies(timed(StudiesRequest {})).await
            });
            reply.await?.studies.into_iter().map(Standing::read).collect()
        })
    }

    /// Agrees to a draft: makes the study's key, stores it, and shows what is public of it. The
    /// last member's joining freezes the study. Repeated, the same key is shown.
    pub fn join_study<'a>(&'a self, standing: &'a Standing) -> Doing<'a, Standing> {
        Box::pin(async move {
            let (name, draft) = (&standing.name, standing.draft()?);
            check(draft)?;
            if !draft.members.contains(self.name()) {
                return Err(Error::Request(format!(
                    "{} is no member of study {name}",
                    self.name()
                )));
            }
            let lock = self.home.lock("studies")?;
            let claim = tokio::task::block_in_place(|| self.claim(standing, draft))?;
            drop(lock);
            let request = JoinStudyRequest {
                name: name.to_string(),
                claim: claim.into(),
                draft: draft.digest().to_vec().into(),
            };
            let reply = self.ask_centre("to join a study", |mut centre| {
                let request = timed(request.clone());
                async move { centre.join_study(request).await }
            });
            let standing = Standing::read(reply.await?)?;
            if !standing.text.is_empty() {
                self.pin(&standing)?;
            }
            Ok(standing)
        })
    }

    /// What is public of this owner's key for a study, and the proof of it. Key and claim are
    /// stored before anybody sees them.
    fn claim(&self, standing: &Standing, draft: &Document<Draft>) -> Result<Vec<u8>> {
        let folder = self.home.study(&standing.name);
        if let Some(before) = home::read(&folder.join(DRAFT))?
            && before != draft.text()
        {
            return contradiction(format!(
                "study {} was joined with another draft before, which is in {}: the key centre now \
                 shows a different one; ask its author",
                standing.name,
                folder.display()
            ));
        }
        let context = proof_context(&standing.id, draft);
        let owner = self.name().as_str().as_bytes();
        let context = ProofContext { study: &context, owner };
        let secret = if let Some(bytes) = self.secret(&folder.join(KEY))? {
            SecretKey::from_bytes(&self.params, &bytes)?
        } else {
            let secret = SecretKey::generate(&self.params)?;
            self.keep_secret(&folder.join(KEY), &secret.to_bytes())?;
            secret
        };
        if let Some(claim) = home::read(&folder.join(CLAIM))? {
            // It may be of a key that was restored, or of another try at creating the study.
            let holds = ClaimedKey::from_bytes(&self.params, &claim)
                .and_then(|claim| claim.verify(&context))
                .is_ok_and(|key| key == *secret.public());
            if holds {
                return Ok(claim);
            }
        }
        let claim = secret.prove(&context)?.to_bytes();
        home::write(&folder.join(CLAIM), &claim)?;
        home::write(&folder.join(DRAFT), draft.text())?;
        Ok(claim)
    }

    /// Waits until all members have joined. `each` hears who is awaited, again and again.
    pub async fn until_frozen(
        &self,
        name: &Name,
        mut each: impl FnMut(&Standing),
    ) -> Result<Frozen> {
        loop {
            match self.frozen_study(name).await {
                Err(Error::NotYet(_)) => {}
                other => return other,
            }
            each(&self.study(name).await?);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// A study that all have joined: from the home folder, or from the key centre, checked.
    pub fn frozen_study<'a>(&'a self, name: &'a Name) -> Doing<'a, Frozen> {
        Box::pin(async move {
            if let Some(frozen) = self.pinned(name)? {
                return Ok(frozen);
            }
            let standing = self.study(name).await?;
            if standing.text.is_empty() {
                let awaited: Vec<_> = standing.awaited.iter().map(Name::as_str).collect();
                return Err(Error::NotYet(format!(
                    "study {name} waits for {}: each of them runs `dyad study join {name}`",
                    awaited.join(", ")
                )));
            }
            self.pin(&standing)
        })
    }

    /// What was checked and stored before.
    pub fn pinned(&self, name: &Name) -> Result<Option<Frozen>> {
        let folder = self.home.study(name);
        let text = home::read(&folder.join(TEXT))?;
        let signature = home::read(&folder.join(SIGNATURE))?;
        match (text, signature) {
            (Some(text), Some(signature)) => {
                // It lay in a file since: signed it must be still.
                verify(&self.me.kgc_sign, dyad_protos::study::FROZEN, &text, &signature)?;
                Frozen::stored(&text, signature).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Names of the studies in the home folder.
    pub fn pinned_studies(&self) -> Result<Vec<Name>> {
        let names = self.home.studies()?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The study of this digest, among those in the home folder.
    pub(crate) fn study_of(&self, digest: &[u8; 32]) -> Result<Frozen> {
        for name in self.pinned_studies()? {
            if let Some(frozen) = self.pinned(&name)?
                && frozen.study.digest() == *digest
            {
                return Ok(frozen);
            }
        }
        Err(Error::Request(format!(
            "study {} is not one that was joined from here; see `dyad study list`",
            Hex(*digest)
        )))
    }

    fn pin(&self, standing: &Standing) -> Result<Frozen> {
        let folder = self.home.study(&standing.name);
        let (Some(draft), true) = (home::read(&folder.join(DRAFT))?, folder.join(KEY).exists())
        else {
            return Err(Error::Request(format!(
                "study {} was not joined from here: run `dyad study join {}`, or restore the keys \
                 with `dyad key restore`",
                standing.name, standing.name
            )));
        };
        let draft = Document::read(&draft)?;
        let frozen = tokio::task::block_in_place(|| {
            let own = key_of(self, &standing.name)?;
            Frozen::check(self, &standing.text, &standing.signature, &draft, own.public())
        })?;
        if let Some(before) = self.pinned(&standing.name)?
            && before.study.digest() != frozen.study.digest()
        {
            return contradiction(format!(
                "study {} has another text than the one that is stored in {}; ask the key centre",
                standing.name,
                folder.display()
            ));
        }
        home::write(&folder.join(SIGNATURE), &frozen.signature)?;
        home::write(&folder.join(TEXT), frozen.study.text())?;
        Ok(frozen)
    }

    /// What identifiers of a study are hashed with: from the key centre, then from the home folder.
    pub(crate) async fn pseudonym_key(&self, name: &Name) -> Result<Zeroizing<Vec<u8>>> {
        let path = self.home.study(name).join(PSEUDONYMS);
        if let Some(key) = self.secret(&path)? {
            return Ok(key);
        }
        let request = StudyRequest { name: name.to_string() };
        let reply = self.ask_centre("for a study's pseudonyms", |mut centre| {
            let request = timed(request.clone());
            async move { centre.pseudonym_key(request).await }
        });
        let key = Zeroizing::new(reply.await?.key.to_vec());
        if key.len() < 16 {
            return contradiction("the key centre gave no key for pseudonyms");
        }
        self.keep_secret(&path, &key)?;
        Ok(key)
    }
}
