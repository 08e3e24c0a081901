//! Proposing a job: uploads that both clouds have and that fit together, a training that holds
//! together, and a text that says all of it.

use super::estimate::costed;
use super::status::Status;
use super::training::{Training, signed};
use crate::client::{Client, Cloud, random, timed};
use crate::error::{Doing, Error, Result, contradiction, request};
use crate::home;
use crate::study::Frozen;
use dyad_bcp::PublicParams;
use dyad_learn::signed::Signed;
use dyad_mpc::Count;
use dyad_protos::consent::PROPOSED;
use dyad_protos::job::{Engine, Job, Opening, Randomness, Upload, VERSION};
use dyad_protos::wire::cloud::v1::{MatchReply, MatchRequest, ProposeRequest, UploadsRequest};
use dyad_protos::{Document, Hex, Manifest, Name, Role};

/// What is to be done with which uploads.
#[derive(Clone, Debug)]
pub struct Proposal<'a> {
    /// The study.
    pub study: &'a Name,
    /// How it is trained; or the whole description, as `learn` reads it.
    pub training: Described<'a>,
    /// How it is computed.
    pub engine: Engine,
    /// Where the clouds' correlated randomness comes from; on ciphertexts nothing is dealt.
    pub randomness: Randomness,
    /// How the model is opened.
    pub opening: Opening,
    /// Who gets it; all members if none is named.
    pub recipients: Vec<Name>,
    /// Who may ask the model that is still shared.
    pub may_predict: Vec<Name>,
    /// Digests of uploads; all that are finished if none is named.
    pub uploads: Vec<[u8; 32]>,
    /// Leave out rows that lack a column. Otherwise they are refused.
    pub leave_out: bool,
    /// Share of the rows that the model is measured on.
    pub test_share: f64,
    /// From which those are drawn.
    pub split: u64,
    /// Steps between checkpoints; an epoch's, at most 100, if none are given.
    pub checkpoint: Option<u64>,
}

/// A training in a few words or in all.
#[derive(Clone, Debug)]
pub enum Described<'a> {
    /// In a few.
    Short(&'a Training),
    /// In all, TOML. Rows are filled in.
    Whole(&'a str),
}

/// How the rows of several uploads fit together: both clouds say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Rows for which every column is there.
    pub complete: u64,
    /// Rows that lack a column.
    pub incomplete: u64,
    /// Each owner's rows, and how many of them are incomplete.
    pub owners: Vec<(Name, u64, u64)>,
    pub(crate) rows: [u8; 32],
}

impl Matched {
    fn read(reply: MatchReply) -> Result<Self> {
        let owners = reply
            .lacks
            .into_iter()
            .map(|lack| Ok::<_, Error>((lack.owner.parse()?, lack.rows, lack.unmatched)));
        let Hex(rows) = Hex::try_from(&reply.rows[..])?;
        let (complete, incomplete) = (reply.complete, reply.incomplete);
        Ok(Self { complete, incomplete, owners: owners.collect::<Result<_>>()?, rows })
    }
}

/// An upload that both clouds have.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What it is.
    pub manifest: Document<Manifest>,
    /// What C0 and C1 signed for.
    pub received: [Hex<32>; 2],
}

/// An upload as a cloud lists it, with the digest of all that came if it is whole.
type Listed = (Document<Manifest>, Option<Hex<32>>);

/// A study's uploads, those withdrawn left out, as C0 and C1 list them.
pub(crate) struct There([Vec<Listed>; 2]);

impl There {
    fn of(&self, cloud: usize, upload: &[u8; 32]) -> Option<Hex<32>> {
        let found = self.0[cloud].iter().find(|(manifest, _)| manifest.digest() == *upload);
        found.and_then(|(_, received)| *received)
    }

    /// All that one of them has, whole or not.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &Document<Manifest>> {
        let [zero, one] = &self.0;
        let known = |manifest: &Document<Manifest>| {
            zero.iter().any(|(other, _)| other.digest() == manifest.digest())
        };
        let more = one.iter().filter(move |(manifest, _)| !known(manifest));
        zero.iter().chain(more).map(|(manifest, _)| manifest)
    }

    /// Those that both have whole.
    pub(crate) fn finished(&self) -> Vec<Finished> {
        let whole = |manifest: &Document<Manifest>| {
            let digest = manifest.digest();
            let received = [self.of(0, &digest)?, self.of(1, &digest)?];
            Some(Finished { manifest: manifest.clone(), received })
        };
        let mut finished: Vec<_> = self.manifests().filter_map(whole).collect();
        finished
            .sort_by_cached_key(|upload| (upload.manifest.owner.clone(), upload.manifest.digest()));
        finished
    }

    /// The clouds that do not have this upload whole.
    pub(crate) fn lack(&self, upload: &[u8; 32]) -> Vec<Role> {
        let roles = [(0, Role::C0), (1, Role::C1)].into_iter();
        roles.filter(|(cloud, _)| self.of(*cloud, upload).is_none()).map(|(_, role)| role).collect()
    }

    /// Of uploads that one cloud has whole and the other has not: words behind an error.
    fn halves(&self) -> String {
        let half = |manifest: &Document<Manifest>| match self.lack(&manifest.digest())[..] {
            [cloud] => {
                let (digest, owner) = (Hex(manifest.digest()).to_string(), &manifest.owner);
                Some(format!("upload {} of {owner} is not whole at {cloud}", &digest[..8]))
            }
            _ => None,
        };
        let halves: Vec<_> = self.manifests().filter_map(half).collect();
        if halves.is_empty() {
            return String::new();
        }
        format!(
            ". Left out, as one cloud alone has all of them: {}; unless it is being sent just now, \
             its owner runs the same `dyad upload` again",
            halves.join(", ")
        )
    }
}

/// A job that is ready to be proposed, or has been.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its study.
    pub study: Frozen,
    /// What owners sign.
    pub job: Document<Job>,
    /// How rows fit together.
    pub matched: Matched,
    /// The uploads it uses.
    pub uploads: Vec<Finished>,
    /// What is computed.
    pub training: Signed,
    /// What it costs.
    pub cost: Count,
}

impl Client {
    /// The finished uploads of a study, of all owners.
    pub fn finished_uploads<'a>(&'a self, study: &'a Frozen) -> Doing<'a, Vec<Finished>> {
        Box::pin(async move { Ok(self.uploads_at(study).await?.finished()) })
    }

    /// What both clouds have of a study's uploads.
    pub(crate) async fn uploads_at(&self, study: &Frozen) -> Result<There> {
        let [c0, c1] = self.clouds(&study.study)?;
        let (zero, one) = tokio::try_join!(received(&c0, study), received(&c1, study))?;
        Ok(There([zero, one]))
    }

    /// Has a cloud lost an upload of this owner, for which it has signed?
    pub(crate) fn none_is_lost(
        &self,
        study: &Frozen,
        there: &There,
        wanted: &[[u8; 32]],
    ) -> Result<()> {
        for upload in self.uploads()? {
            let digest = upload.digest();
            let meant = upload.state == crate::upload::State::Finished
                && upload.manifest.study.0 == study.study.digest()
                && (wanted.is_empty() || wanted.contains(&digest));
            let lack = there.lack(&digest);
            if !meant || lack.is_empty() {
                continue;
            }
            let lack: Vec<_> = lack.iter().map(ToString::to_string).collect();
            let digits = &Hex(digest).to_string()[..8];
            return contradiction(format!(
                "{} had signed for upload {digits} of {} and does not have it any more: its store \
                 was set back, or the upload was withdrawn from elsewhere. Run `dyad withdraw \
                 {digits}`, and upload the file anew",
                lack.join(" and "),
                upload.file.display()
            ));
        }
        Ok(())
    }

    /// How the rows of uploads fit together. Each cloud works it out for itself.
    pub fn match_rows<'a>(
        &'a self,
        study: &'a Frozen,
        uploads: &'a [[u8; 32]],
    ) -> Doing<'a, Matched> {
        Box::pin(async move {
            let [c0, c1] = self.clouds(&study.study)?;
            let (zero, one) =
                tokio::try_join!(matched(&c0, study, uploads), matched(&c1, study, uploads))?;
            if zero == one {
                return Ok(one);
            }
            contradiction(format!(
                "C0 finds {} complete rows, C1 {}, and they should find the same: one of them has other \
             pseudonyms than the other; owners withdraw and upload anew",
                zero.complete, one.complete
            ))
        })
    }

    /// Puts a job together. Nothing is sent but questions.
    pub fn prepare<'a>(&'a self, proposal: &'a Proposal<'a>) -> Doing<'a, Prepared> {
        Box::pin(async move {
            self.refresh().await?;
            let study = self.frozen_study(proposal.study).await?;
            let there = self.uploads_at(&study).await?;
            self.none_is_lost(&study, &there, &proposal.uploads)?;
            let mut uploads = there.finished();
            if !proposal.uploads.is_empty() {
                let wanted = |upload: &[u8; 32]| {
                    uploads
                        .iter()
                        .find(|known| known.manifest.digest() == *upload)
                        .cloned()
                        .ok_or_else(|| {
                            let lack = there.lack(upload);
                            let lack: Vec<_> = lack.iter().map(ToString::to_string).collect();
                            Error::Request(format!(
                                "upload {} is not finished at {}",
                                Hex(*upload),
                                lack.join(" and ")
                            ))
                        })
                };
                uploads = proposal.uploads.iter().map(wanted).collect::<Result<_>>()?;
            }
            if uploads.is_empty() {
                return Err(Error::NotYet(format!(
                    "study {} has no finished upload yet; each owner runs `dyad upload FILE --study \
                     {}`{}",
                    proposal.study,
                    proposal.study,
                    there.halves()
                )));
            }
            let digests: Vec<_> = uploads.iter().map(|upload| upload.manifest.digest()).collect();
            let matched = self.match_rows(&study, &digests).await?;
            let halves = if proposal.uploads.is_empty() { there.halves() } else { String::new() };
            refuse_incomplete(&matched, proposal.leave_out, &halves)?;
            let job = self.written(proposal, &study, &uploads, &matched)?;
            let (job, training, cost) =
                tokio::task::block_in_place(|| with_program(job, &study, &self.params))?;
            Ok(Prepared { study, job, matched, uploads, training, cost })
        })
    }

    /// The job's text, but for its program.
    fn written(
        &self,
        proposal: &Proposal<'_>,
        study: &Frozen,
        uploads: &[Finished],
        matched: &Matched,
    ) -> Result<Job> {
        let draft = &study.study.draft;
        let rows = matched.complete;
        let share = proposal.test_share;
        if !(0.0..=0.9).contains(&share) {
            return request(format!("a share of {share} to test on: 0 to 0.9 may be"));
        }
        let test_rows = (rows as f64 * share).round() as u64;
        let test_rows = if share > 0.0 { test_rows.max(1) } else { 0 };
        if rows <= test_rows {
            return request(format!("{rows} complete rows, {test_rows} of them to test on"));
        }
        let train = match proposal.training {
            Described::Short(training) => {
                training.describe(draft, rows - test_rows, test_rows > 0)?
            }
            Described::Whole(text) => {
                let train: dyad_learn::Job = toml::from_str(text).map_err(|error| {
                    Error::Request(format!("the training's description: {}", error.message()))
                })?;
                dyad_learn::Job { rows: (rows - test_rows) as usize, ..train }
            }
        };
        let per_epoch = train.check()?.steps_per_epoch().max(1);
        let mut recipients = proposal.recipients.clone();
        if recipients.is_empty() {
            recipients.clone_from(&draft.members);
        }
        let named = recipients.iter().chain(&proposal.may_predict);
        if let Some(stranger) = named.into_iter().find(|name| !draft.members.contains(name)) {
            return request(format!("{stranger} is no member of study {}", draft.name));
        }
        let train = toml::Table::try_from(&train)
            .map_err(|error| Error::Request(format!("the training's description: {error}")))?;
        Ok(Job {
            version: VERSION,
            id: Hex(random()?),
            study: Hex(study.study.digest()),
            author: self.name().clone(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            program: Hex([0; 32]),
            opening: proposal.opening,
            recipients,
            may_predict: proposal.may_predict.clone(),
            left_out: matched.incomplete,
            rows,
            rows_digest: Hex(matched.rows),
            test_rows,
            split: proposal.split,
            checkpoint: proposal.checkpoint.unwrap_or(per_epoch.min(100)),
            engine: proposal.engine,
            randomness: proposal.randomness,
            uploads: uploads.iter().map(named_in_job).collect(),
            train,
        })
    }

    /// Shows a job to both clouds. Repeated, it does nothing more.
    pub fn propose<'a>(&'a self, prepared: &'a Prepared) -> Doing<'a, [Status; 2]> {
        Box::pin(async move {
            let job = &prepared.job;
            let signature = self.me.sign.sign(PROPOSED, &job.digest());
            let study = &prepared.study;
            home::write(&self.job_folder(&job.digest()).join("job.toml"), job.text())?;
            let request = ProposeRequest {
                job: job.text().to_vec().into(),
                signature: signature.0.to_vec().into(),
                study: study.study.text().to_vec().into(),
                study_signature: study.signature.clone().into(),
            };
            let [c0, c1] = self.clouds(&study.study)?;
            let propose = |cloud: Cloud| {
                let request = request.clone();
                async move {
                    let reply = cloud.ask("to take a job", |mut cloud| {
                        let request = timed(request.clone());
                        async move { cloud.propose(request).await }
                    });
                    reply.await
                }
            };
            tokio::try_join!(propose(c0), propose(c1))?;
            self.statuses(study, &job.digest()).await
        })
    }

    pub(crate) fn job_folder(&self, job: &[u8; 32]) -> std::path::PathBuf {
        self.home.jobs().join(Hex(*job).to_string())
    }
}

fn named_in_job(upload: &Finished) -> Upload {
    Upload {
        owner: upload.manifest.owner.clone(),
        manifest: Hex(upload.manifest.digest()),
        c0: upload.received[0],
        c1: upload.received[1],
    }
}

/// What a cloud has of each upload, and the digest of all of it where it is whole.
async fn received(cloud: &Cloud, study: &Frozen) -> Result<Vec<Listed>> {
    let digest = study.study.digest();
    let mut request = UploadsRequest { study: digest.to_vec().into(), ..Default::default() };
    let mut uploads = Vec::new();
    loop {
        let reply = cloud.ask("for the uploads of a study", |mut cloud| {
            let request = timed(request.clone());
            async move { cloud.uploads(request).await }
        });
        let reply = match reply.await {
            // Nobody has shown it the study yet.
            Err(error) if error.is_unknown() => break,
            other => other?,
        };
        uploads.extend(reply.uploads);
        if !is_further(cloud.role, &request.after, &reply.next)? {
            break;
        }
        request.after = reply.next;
    }
    let mut listed = Vec::new();
    for upload in uploads {
        let manifest = Document::<Manifest>::read(&upload.manifest)?;
        if upload.upload != manifest.digest()[..] || manifest.study.0 != study.study.digest() {
            return contradiction(format!("{} lists an upload under a wrong name", cloud.role));
        }
        let received = Some(&upload.digest[..]).filter(|digest| !digest.is_empty());
        listed.push((manifest, received.map(Hex::try_from).transpose()?));
    }
    Ok(listed)
}

/// Is there another page of a list, and does it lie further on?
pub(super) fn is_further(by: Role, after: &[u8], next: &[u8]) -> Result<bool> {
    if !next.is_empty() && next <= after {
        return contradiction(format!("{by} lists the same over and over"));
    }
    Ok(!next.is_empty())
}

async fn matched(cloud: &Cloud, study: &Frozen, uploads: &[[u8; 32]]) -> Result<Matched> {
    let request = MatchRequest {
        study: study.study.digest().to_vec().into(),
        uploads: uploads.iter().map(|upload| upload.to_vec().into()).collect(),
    };
    let reply = cloud.ask("how rows match", |mut cloud| {
        let request = timed(request.clone());
        async move { cloud.r#match(request).await }
    });
    Matched::read(reply.await?)
}

/// `halves`: what else may be missing.
fn refuse_incomplete(matched: &Matched, leave_out: bool, halves: &str) -> Result<()> {
    if matched.complete == 0 {
        return request(format!(
            "no row has every column ({} rows lack some): upload the missing columns or the label, \
             for the same identifiers{halves}",
            matched.incomplete
        ));
    }
    if matched.incomplete == 0 || leave_out {
        return Ok(());
    }
    let lacking = matched.owners.iter().filter(|(_, _, incomplete)| *incomplete > 0);
    let lacking: Vec<_> = lacking
        .map(|(owner, rows, incomplete)| format!("{incomplete} of {rows} of {owner}"))
        .collect();
    request(format!(
        "{} rows lack a column ({}), {} are complete: upload what is missing, or say --leave-out to \
         train without them{halves}",
        matched.incomplete,
        lacking.join(", "),
        matched.complete
    ))
}

/// The same with the program's hash, which follows from everything else.
pub(crate) fn with_program(
    job: Job,
    study: &Frozen,
    params: &PublicParams,
) -> Result<(Document<Job>, Signed, Count)> {
    let training = signed(&job, &study.study.draft)?;
    let key = || Ok(study.keys(params)?.1.key().clone());
    let (cost, program) = costed(&job, &training, key)?;
    let job = Document::write(&Job { program: Hex(program), ..job })?;
    Ok((job, training, cost))
}
