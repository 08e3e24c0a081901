//! Studies: drafted by one owner, joined by all its members, then frozen: a text that names
//! everybody's keys, signed by the key centre, the same for ever.

use crate::error::{Cause, Result, message, refusal, refuse};
use crate::office::Office;
use crate::parties::{self, Party};
use dyad_bcp::{ClaimedKey, ProofContext};
use dyad_net::Peer;
use dyad_net::identity::{Identity, Name, Role};
use dyad_node::store::{Row, Tx, sql};
use dyad_protos::study::{self, Cloud, Draft, FROZEN, Member, Study};
use dyad_protos::wire::kgc::v1::{JoinStudyRequest, PseudonymKeyReply, StudyReply};
use dyad_protos::{Document, Hex};
use std::time::Duration;

/// A study as it is stored.
#[derive(Clone)]
struct Known {
    name: String,
    id: [u8; 16],
    draft: Vec<u8>,
    draft_digest: [u8; 32],
    author: String,
    frozen: Option<Frozen>,
}

#[derive(Clone)]
struct Frozen {
    text: Vec<u8>,
    signature: Vec<u8>,
}

/// A member as it is stored.
struct Place {
    name: String,
    joined: Option<Joined>,
}

struct Joined {
    fingerprint: [u8; 32],
    key_id: [u8; 32],
    claim: Vec<u8>,
}

impl Known {
    fn read(row: &Row) -> Result<Self> {
        let text: Option<Vec<u8>> = row.get("text")?;
        let frozen = match text {
            Some(text) => Some(Frozen { text, signature: row.get("signature")? }),
            None => None,
        };
        Ok(Self {
            name: row.get("name")?,
            id: row.get("id")?,
            draft: row.get("draft")?,
            draft_digest: row.get("draft_digest")?,
            author: row.get("author")?,
            frozen,
        })
    }

    /// Drafted by this party, and joined by nobody else so far?
    fn is_its_authors_alone(&self, party: &Party, places: &[Place]) -> bool {
        let name = party.identity.name.as_str();
        let others = places.iter().any(|place| place.name != name && place.joined.is_some());
        self.author == name && self.frozen.is_none() && !others
    }

    fn reply(&self, places: &[Place]) -> StudyReply {
        let names = |joined: bool| {
            let some = places.iter().filter(|place| place.joined.is_some() == joined);
            some.map(|place| place.name.clone()).collect()
        };
        let frozen = self.frozen.clone().unwrap_or(Frozen { text: vec![], signature: vec![] });
        StudyReply {
            name: self.name.clone(),
            joined: names(true),
            awaited: names(false),
            text: frozen.text.into(),
            signature: frozen.signature.into(),
            draft: self.draft.clone().into(),
            id: self.id.to_vec().into(),
        }
    }
}

async fn find(tx: &mut Tx, name: &str) -> Result<Option<Known>> {
    let row = sql("SELECT name, id, draft, draft_digest, author, text, signature FROM studies \
                   WHERE name = $1")
    .bind(name)
    .optional(tx)
    .await?;
    row.as_ref().map(Known::read).transpose()
}

async fn places(tx: &mut Tx, study: &str) -> Result<Vec<Place>> {
    let rows = sql("SELECT name, fingerprint, key_id, claim FROM members \
                    WHERE study = $1 ORDER BY place")
    .bind(study)
    .all(tx)
    .await?;
    let place = |row: &Row| {
        let claim: Option<Vec<u8>> = row.get("claim")?;
        let joined = match claim {
            Some(claim) => {
                let (fingerprint, key_id) = (row.get("fingerprint")?, row.get("key_id")?);
                Some(Joined { fingerprint, key_id, claim })
            }
            None => None,
        };
        Ok(Place { name: row.get("name")?, joined })
    };
    rows.iter().map(place).collect()
}

/// A study that one is asked to take part in. Others are told the same as if there were none.
async fn own(tx: &mut Tx, party: &Party, name: &str) -> Result<(Known, Vec<Place>)> {
    let name: Name = name.parse().map_err(|error| message(&error))?;
    let name = name.as_str();
    let none = || {
        let text = format!("{} takes part in no study `{name}`", party.identity);
        refuse(Cause::Stranger, text)
    };
    let Some(known) = find(tx, name).await? else { return none() };
    let places = places(tx, name).await?;
    if places.iter().any(|place| place.name == party.identity.name.as_str()) {
        Ok((known, places))
    } else {
        none()
    }
}

impl Office {
    /// An owner who asks.
    async fn owner(&self, tx: &mut Tx, peer: &Peer) -> Result<Party> {
        self.caller(tx, peer).await
    }

    /// Announces a study to its members.
    pub(crate) async fn create_study(&self, peer: &Peer, draft: &[u8]) -> Result<StudyReply> {
        let draft = Document::<Draft>::read(draft).map_err(|error| message(&error))?;
        let mut tx = self.db.begin().await?;
        let party = self.owner(&mut tx, peer).await?;
        if !draft.members.contains(&party.identity.name) {
            let text = format!("{} drafts a study without being a member of it", party.identity);
            return refuse(Cause::Stranger, text);
        }
        if let Some(known) = find(&mut tx, draft.name.as_str()).await? {
            let places = places(&mut tx, &known.name).await?;
            if known.draft_digest == draft.digest() {
                return Ok(known.reply(&places));
            }
            if !known.is_its_authors_alone(&party, &places) {
                let text =
                    format!("there is another study `{}` already: take another name", draft.name);
                return refuse(Cause::Taken, text);
            }
            // Its author thinks better of it, and nobody else has joined.
            self.delete_draft(&mut tx, &known, &party.identity.to_string()).await?;
        }
        self.all_enrolled(&mut tx, &draft).await?;
        let author = party.identity.name.as_str();
        let most = self.config.limits.studies;
        let count = sql("SELECT COUNT(*) AS n FROM studies WHERE author = $1").bind(author);
        if count.one(&mut tx).await?.get::<u64>("n")? >= u64::from(most) {
            let text = format!("{author} has created {most} studies, and no more are allowed");
            return refuse(Cause::Limit, text);
        }
        let id = *crate::keys::random::<16>()?;
        let name = draft.name.as_str();
        sql("INSERT INTO studies (name, id, draft, draft_digest, author, created) \
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(name)
        .bind(id)
        .bind(draft.text())
        .bind(draft.digest())
        .bind(author)
        .bind(self.now())
        .execute(&mut tx)
        .await?;
        for (place, member) in draft.members.iter().enumerate() {
            sql("INSERT INTO members (study, place, name) VALUES ($1, $2, $3)")
                .bind(name)
                .bind(place as i64)
                .bind(member.as_str())
                .execute(&mut tx)
                .await?;
        }
        let who = party.identity.to_string();
        self.note(&mut tx, &who, "create study", &draft.digest(), name).await?;
        let places = places(&mut tx, name).await?;
        let reply = find(&mut tx, name).await?.map(|known| known.reply(&places));
        tx.commit().await?;
        reply.ok_or_else(|| crate::Error::Broken("a study just stored is not there".into()))
    }

    /// Deletes a study that was never frozen: nothing was ever done under it.
    async fn delete_draft(&self, tx: &mut Tx, known: &Known, who: &str) -> Result<()> {
        for text in [
            "DELETE FROM members WHERE study = $1 AND \
             EXISTS (SELECT 1 FROM studies WHERE name = $1 AND text IS NULL)",
            "DELETE FROM studies WHERE name = $1 AND text IS NULL",
        ] {
            sql(text).bind(&known.name).execute(tx).await?;
        }
        self.note(tx, who, "delete draft", &known.draft_digest, &known.name).await
    }

    /// Deletes drafts that have waited for their members for too long.
    pub(crate) async fn delete_old_drafts(&self) -> Result<()> {
        let days = Duration::from_secs(self.config.limits.draft_days.saturating_mul(86_400));
        let days = i64::try_from(days.as_millis()).unwrap_or(i64::MAX);
        let before = self.now().millis().saturating_sub(days);
        let mut tx = self.db.begin().await?;
        let rows = sql("SELECT name, id, draft, draft_digest, author, text, signature \
                        FROM studies WHERE text IS NULL AND created <= $1")
        .bind(before)
        .all(&mut tx)
        .await?;
        for row in &rows {
            let known = Known::read(row)?;
            tracing::info!(study = known.name, "waited for its members for too long: deleted");
            self.delete_draft(&mut tx, &known, "kgc").await?;
        }
        if rows.is_empty() {
            tx.rollback().await;
            return Ok(());
        }
        Ok(tx.commit().await?)
    }

    /// Members and clouds must be there: their keys are what a study is frozen with.
    async fn all_enrolled(&self, tx: &mut Tx, draft: &Draft) -> Result<()> {
        let mut missing = Vec::new();
        for member in &draft.members {
            let member = Identity::new(Role::Owner, member.clone());
            if parties::by_name(tx, &member).await?.is_none() {
                missing.push(member.to_string());
            }
        }
        let clouds = parties::clouds(tx).await?;
        for role in [Role::C0, Role::C1] {
            if !clouds.iter().any(|cloud| cloud.identity.role == role) {
                missing.push(role.to_string());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (study, missing) = (&draft.name, missing.join(", "));
        refuse(Cause::Study, format!("study {study} needs these, who are not enrolled: {missing}"))
    }

    /// A member agrees to a draft, with its key. The last one freezes the study.
    pub(crate) async fn join_study(
        &self,
        peer: &Peer,
        request: &JoinStudyRequest,
    ) -> Result<StudyReply> {
        let mut tx = self.db.begin().await?;
        let party = self.owner(&mut tx, peer).await?;
        let (known, _) = own(&mut tx, &party, &request.name).await?;
        // A proof takes a while to check: meanwhile others may write.
        tx.rollback().await;
        let draft = Document::<Draft>::read(&known.draft)?;
        if request.draft != known.draft_digest[..] {
            let text = format!(
                "{} agrees to another draft of study {} than the one that is here: read it again",
                party.identity, known.name
            );
            return refuse(Cause::Draft, text);
        }
        let name = party.identity.name.clone();
        let key_id = self.proved(&name, &known, &draft, request.claim.to_vec()).await?;
        let mut tx = self.db.begin().await?;
        let (known, places) = own(&mut tx, &party, &request.name).await?;
        let mine = places.into_iter().find(|place| place.name == name.as_str());
        if let Some(before) = mine.and_then(|place| place.joined) {
            if before.key_id != key_id || before.fingerprint != *party.fingerprint.bytes() {
                let text = format!(
                    "{} has joined study {} with another key already: a new study is needed",
                    party.identity, known.name
                );
                return refuse(Cause::Taken, text);
            }
        } else {
            sql("UPDATE members SET joined = $1, fingerprint = $2, key_id = $3, claim = $4 \
                 WHERE study = $5 AND name = $6")
            .bind(self.now())
            .bind(party.fingerprint.bytes())
            .bind(key_id)
            .bind(&request.claim[..])
            .bind(&known.name)
            .bind(name.as_str())
            .execute(&mut tx)
            .await?;
            let who = party.identity.to_string();
            self.note(&mut tx, &who, "join study", &known.draft_digest, &known.name).await?;
        }
        // Also when joined before: the last to join may have come while a cloud was revoked.
        let places = places_of(&mut tx, &known).await?;
        let mut known = known;
        if known.frozen.is_none() && places.iter().all(|place| place.joined.is_some()) {
            known.frozen = Some(self.freeze(&mut tx, &known, &draft, &places).await?);
        }
        tx.commit().await?;
        Ok(known.reply(&places))
    }

    /// The id of a key whose proof holds.
    async fn proved(
        &self,
        owner: &Name,
        known: &Known,
        draft: &Document<Draft>,
        claim: Vec<u8>,
    ) -> Result<[u8; 32]> {
        let context = study::proof_context(&Hex(known.id), draft);
        let (params, owner) = (self.keys.params.clone(), owner.clone());
        let check = move || -> dyad_bcp::Result<[u8; 32]> {
            let claimed = ClaimedKey::from_bytes(&params, &claim)?;
            let owner = owner.as_str().as_bytes();
            let key = claimed.verify(&ProofContext { study: &context, owner })?;
            Ok(*key.id().as_bytes())
        };
        let checked = tokio::task::spawn_blocking(check).await;
        let checked = checked.map_err(|error| crate::Error::Broken(error.to_string()))?;
        checked.map_err(|error| refusal(Cause::Proof, format!("the BCP key: {error}")))
    }

    async fn freeze(
        &self,
        tx: &mut Tx,
        known: &Known,
        draft: &Document<Draft>,
        places: &[Place],
    ) -> Result<Frozen> {
        self.all_enrolled(tx, draft).await?;
        let mut members = Vec::with_capacity(places.len());
        for (name, place) in draft.members.iter().zip(places) {
            let identity = Identity::new(Role::Owner, name.clone());
            let party = parties::by_name(tx, &identity).await?;
            let joined = place.joined.as_ref();
            let (Some(party), Some(joined)) = (party, joined) else {
                return refuse(Cause::Study, format!("{identity} is awaited"));
            };
            if joined.fingerprint != *party.fingerprint.bytes() {
                let text = format!(
                    "{identity} was enrolled anew since it joined study {}: a new study is needed",
                    known.name
                );
                return refuse(Cause::Study, text);
            }
            members.push(Member {
                name: name.clone(),
                fingerprint: Hex(joined.fingerprint),
                sign: Hex(party.sign),
                seal: Hex(party.seal),
                key: joined.claim.clone(),
            });
        }
        let c0 = cloud(tx, Role::C0).await?;
        let c1 = cloud(tx, Role::C1).await?;
        let study = Document::write(&Study {
            version: study::VERSION,
            id: Hex(known.id),
            frozen: self.seconds(),
            root: Hex(*self.keys.root.fingerprint().bytes()),
            params: Hex(*self.keys.params.id().as_bytes()),
            c0,
            c1,
            members,
            draft: draft.content().clone(),
        })?;
        let signature = self.keys.sign.sign(FROZEN, study.text());
        sql("UPDATE studies SET frozen = $1, digest = $2, text = $3, signature = $4 \
             WHERE name = $5 AND text IS NULL")
        .bind(self.now())
        .bind(study.digest())
        .bind(study.text())
        .bind(signature.bytes())
        .bind(&known.name)
        .execute(tx)
        .await?;
        self.note(tx, "kgc", "freeze study", &study.digest(), &known.name).await?;
        tracing::info!(study = known.name, digest = %Hex(study.digest()), "frozen");
        Ok(Frozen { text: study.text().to_vec(), signature: signature.bytes().to_vec() })
    }

    /// A study that one takes part in.
    pub(crate) async fn study(&self, peer: &Peer, name: &str) -> Result<StudyReply> {
        let mut tx = self.db.begin().await?;
        let party = self.owner(&mut tx, peer).await?;
        let (known, places) = own(&mut tx, &party, name).await?;
        Ok(known.reply(&places))
    }

    /// All studies that one takes part in, or was asked to.
    pub(crate) async fn studies(&self, peer: &Peer) -> Result<Vec<StudyReply>> {
        let mut tx = self.db.begin().await?;
        let party = self.owner(&mut tx, peer).await?;
        let rows =
            sql("SELECT s.name, s.id, s.draft, s.draft_digest, s.author, s.text, s.signature \
                        FROM studies s JOIN members m ON m.study = s.name \
                        WHERE m.name = $1 ORDER BY s.created DESC, s.name")
            .bind(party.identity.name.as_str())
            .all(&mut tx)
            .await?;
        let mut replies = Vec::with_capacity(rows.len());
        let mut room = ROOM;
        for row in &rows {
            let known = Known::read(row)?;
            let places = places_of(&mut tx, &known).await?;
            let mut reply = known.reply(&places);
            // Texts of many studies do not fit into one message: then names alone, and the text is
            // asked for one by one.
            let size = reply.draft.len() + reply.text.len() + 8192;
            if size > room {
                (reply.draft, reply.text, reply.signature) = Default::default();
            } else {
                room -= size;
            }
            replies.push(reply);
        }
        Ok(replies)
    }

    /// What members turn identifiers into pseudonyms with.
    pub(crate) async fn pseudonyms(&self, peer: &Peer, name: &str) -> Result<PseudonymKeyReply> {
        let mut tx = self.db.begin().await?;
        let party = self.owner(&mut tx, peer).await?;
        let (known, places) = own(&mut tx, &party, name).await?;
        let Some(frozen) = &known.frozen else {
            return refuse(
                Cause::Study,
                format!("study {name} is not frozen: members are awaited"),
            );
        };
        let same = |place: &Place| {
            let joined = place.joined.as_ref();
            place.name == party.identity.name.as_str()
                && joined.is_some_and(|joined| joined.fingerprint == *party.fingerprint.bytes())
        };
        if !places.iter().any(same) {
            let text = format!("{} is a member of {name} with another key", party.identity);
            return refuse(Cause::Stranger, text);
        }
        let study = Document::<Study>::read(&frozen.text)?;
        let key = self.keys.pseudonym_key(&study.digest())?;
        Ok(PseudonymKeyReply { key: key.to_vec().into() })
    }

    /// A frozen study by its digest.
    pub(crate) async fn frozen(&self, tx: &mut Tx, digest: &[u8; 32]) -> Result<Document<Study>> {
        let row = sql("SELECT text FROM studies WHERE digest = $1").bind(digest).optional(tx);
        let Some(row) = row.await? else {
            let text = format!("no study {} was frozen here", Hex(*digest));
            return refuse(Cause::Study, text);
        };
        Ok(Document::read(&row.get::<Vec<u8>>("text")?)?)
    }
}

/// Bytes of texts that are told at once.
const ROOM: usize = dyad_protos::limits::MESSAGE / 2;

async fn places_of(tx: &mut Tx, known: &Known) -> Result<Vec<Place>> {
    places(tx, &known.name).await
}

async fn cloud(tx: &mut Tx, role: Role) -> Result<Cloud> {
    let Some(party) = parties::cloud(tx, role).await? else {
        return refuse(Cause::Study, format!("no {role} is enrolled"));
    };
    Ok(Cloud {
        name: party.identity.name,
        fingerprint: Hex(*party.fingerprint.bytes()),
        sign: Hex(party.sign),
        seal: Hex(party.seal),
    })
}
