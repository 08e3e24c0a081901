//! Proposing a job: uploads that both clouds have and that fit together, a training that holds
//! together, and a text that says all of it.

use super::status::Status;
use super::training::{Training, signed};
use crate::client::{Client, Cloud, random, timed};
use crate::error::{Doing, Error, Result, contradiction, request};
use crate::home;
use crate::study::Frozen;
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
        Box::pin(async move {
            let [c0, c1] = self.clouds(&study.study)?;
            let (zero, one) = tokio::try_join!(received(&c0, study), received(&c1, study))?;
            let mut finished = Vec::new();
            for (manifest, c0) in zero {
                let there = one.iter().find(|(other, _)| other.digest() == manifest.digest());
                if let Some((_, c1)) = there {
                    finished.push(Finished { manifest, received: [c0, *c1] });
                }
            }
            finished.sort_by_cached_key(|upload| {
                (upload.manifest.owner.clone(), upload.manifest.digest())
            });
            Ok(finished)
        })
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
            let mut uploads = self.finished_uploads(&study).await?;
            if !proposal.uploads.is_empty() {
                let wanted = |upload: &[u8; 32]| {
                    uploads
                        .iter()
                        .find(|known| known.manifest.digest() == *upload)
                        .cloned()
                        .ok_or_else(|| {
                            Error::Request(format!(
                                "upload {} is not finished at both clouds",
                                Hex(*upload)
                            ))
                        })
                };
                uploads = proposal.uploads.iter().map(wanted).collect::<Result<_>>()?;
            }
            if uploads.is_empty() {
                return Err(Error::NotYet(format!(
                    "study {} has no finished upload yet; each owner runs `dyad upload FILE --study {}`",
                    proposal.study, proposal.study
                )));
            }
            let digests: Vec<_> = uploads.iter().map(|upload| upload.manifest.digest()).collect();
            let matched = self.match_rows(&study, &digests).await?;
            refuse_incomplete(&matched, proposal.leave_out)?;
            let job = self.written(proposal, &study, &uploads, &matched)?;
            let (job, training, cost) = tokio::task::block_in_place(|| with_program(job, &study))?;
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
            engine: Engine::Share,
            randomness: Randomness::Dealer,
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

/// What a cloud has received, whole.
async fn received(cloud: &Cloud, study: &Frozen) -> Result<Vec<(Document<Manifest>, Hex<32>)>> {
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
    let mut whole = Vec::new();
    for upload in uploads.into_iter().filter(|upload| !upload.digest.is_empty()) {
        let manifest = Document::<Manifest>::read(&upload.manifest)?;
        if upload.upload != manifest.digest()[..] || manifest.study.0 != study.study.digest() {
            return contradiction(format!("{} lists an upload under a wrong name", cloud.role));
        }
        whole.push((manifest, Hex::try_from(&upload.digest[..])?));
    }
    Ok(whole)
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

fn refuse_incomplete(matched: &Matched, leave_out: bool) -> Result<()> {
    if matched.complete == 0 {
        return request(format!(
            "no row has every column ({} rows lack some): upload the missing columns or the label, \
             for the same identifiers",
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
         train without them",
        matched.incomplete,
        lacking.join(", "),
        matched.complete
    ))
}

/// The same with the program's hash, which follows from everything else.
pub(crate) fn with_program(job: Job, study: &Frozen) -> Result<(Document<Job>, Signed, Count)> {
    let training = signed(&job, &study.study.draft)?;
    let (cost, program) = training.cost(0)?;
    let job = Document::write(&Job { program: Hex(program), ..job })?;
    Ok((job, training, cost.count()))
}
