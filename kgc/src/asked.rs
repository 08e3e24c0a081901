//! What a cloud asks for when it begins an attempt, and whether it may: checked against the study
//! and the owners' signatures alone. What was asked before is checked in `attempts`.

use crate::error::{Cause, Result, message, refusal, refuse};
use dyad_learn::checkpoint::bind;
use dyad_learn::signed::{Facts, Signed};
use dyad_mpc::prg::Attempt;
use dyad_net::sign::{SignPublic, Signature};
use dyad_protos::wire::kgc::v1::{Approval, AttemptRequest};
use dyad_protos::{Document, Hex, Job, Name, Study, consent, limits};

/// A request for an attempt, read.
pub(crate) struct Asked {
    pub(crate) job: Document<Job>,
    pub(crate) attempt: Attempt,
    /// What it goes on from.
    pub(crate) from: Option<Before>,
    approvals: Vec<Approval>,
}

/// The attempt and the step of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) attempt: Attempt,
    pub(crate) step: u64,
}

impl Asked {
    pub(crate) fn read(request: AttemptRequest) -> Result<Self> {
        let job = Document::<Job>::read(&request.job).map_err(|error| message(&error))?;
        if !job.is_dealt() {
            let what =
                format!("the job's randomness is {}: nothing is dealt to it", job.randomness);
            return refuse(Cause::Message, what);
        }
        let digest = job.digest();
        let attempt = Attempt { job: digest, nonces: nonces(&request.nonces)? };
        if attempt.nonces[0] == attempt.nonces[1] {
            return refuse(Cause::Nonce, "both nonces are the same: each cloud draws its own");
        }
        let from = match (&request.from_nonces[..], request.from_step) {
            ([], 0) => None,
            (nonces_before, step) if step > 0 => Some(Before {
                attempt: Attempt { job: digest, nonces: nonces(nonces_before)? },
                step,
            }),
            _ => return refuse(Cause::Message, "a checkpoint has two nonces and a step above 0"),
        };
        if from.is_some_and(|from| from.attempt == attempt) {
            return refuse(Cause::Nonce, "an attempt goes on from itself: draw new nonces");
        }
        if request.approvals.len() > limits::MEMBERS {
            let count = request.approvals.len();
            return refuse(Cause::Message, format!("{count} approvals"));
        }
        Ok(Self { job, attempt, from, approvals: request.approvals })
    }

    /// Everybody it names must be of the study.
    pub(crate) fn check_people(&self, study: &Study) -> Result<()> {
        let job = &self.job;
        let named = [&job.author].into_iter().chain(&job.recipients).chain(&job.may_predict);
        let mut named = named.chain(job.uploads.iter().map(|upload| &upload.owner));
        match named.find(|name| study.member(name).is_none()) {
            None => Ok(()),
            Some(name) => {
                let text = format!("{name} is no member of study {}", study.draft.name);
                refuse(Cause::Stranger, text)
            }
        }
    }

    /// Every owner whose data it uses has signed this very text, for longer than `at`.
    pub(crate) fn check_approvals(&self, study: &Study, at: u64) -> Result<()> {
        let job = Hex(self.job.digest());
        for owner in self.job.owners() {
            let found = self.approvals.iter().find(|approval| approval.owner == owner.as_str());
            let Some(approval) = found else {
                let text =
                    format!("{owner} has not approved of job {job}: ask for `dyad job approve`");
                return refuse(Cause::Approval, text);
            };
            self.check_approval(study, owner, approval)?;
            if approval.expires <= at {
                let text = format!(
                    "the approval of job {job} by {owner} ended {} seconds before the job began: \
                     ask for `dyad job approve` again, and compare clocks",
                    at - approval.expires
                );
                return refuse(Cause::ApprovalExpired, text);
            }
        }
        Ok(())
    }

    fn check_approval(&self, study: &Study, owner: &Name, approval: &Approval) -> Result<()> {
        let wrong = || {
            let text = format!("this is no signature of {owner} on job {}", Hex(self.job.digest()));
            refusal(Cause::Approval, text)
        };
        let member = study.member(owner).ok_or_else(wrong)?;
        let signature =
            Signature(<[u8; 64]>::try_from(&approval.signature[..]).map_err(|_| wrong())?);
        let said = consent::approval(&self.job.digest(), approval.expires);
        let key = SignPublic(member.sign.0);
        key.verify(consent::APPROVED, &said, &signature).map_err(|_| wrong())
    }
}

fn nonces(nonces: &[bytes::Bytes]) -> Result<[[u8; 16]; 2]> {
    let nonce = |bytes: &bytes::Bytes| <[u8; 16]>::try_from(&bytes[..]).ok();
    match nonces {
        [zero, one] => Option::zip(nonce(zero), nonce(one)).map(<[_; 2]>::from),
        _ => None,
    }
    .ok_or_else(|| refusal(Cause::Message, "an attempt has two nonces of 16 bytes"))
}

/// The program of a job, as this release runs it.
pub(crate) struct Program {
    pub(crate) training: Signed,
    pub(crate) from: u64,
    /// What clouds and dealer hold against each other: of the program's operations, and of the
    /// checkpoint it goes on from.
    pub(crate) hash: [u8; 32],
}

impl Program {
    /// Derives it from the signed texts; it must be the one that was signed. Takes a while for a
    /// long job.
    pub(crate) fn check(asked: &Asked, study: &Study, most_steps: u64) -> Result<Self> {
        let (job, draft) = (&asked.job, &study.draft);
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
        let no_job = |error: &dyn std::fmt::Display| refusal(Cause::Program, error.to_string());
        let training = Signed::read(&facts).map_err(|error| no_job(&error))?;
        let steps = training.plan().steps();
        if steps > most_steps {
            let text = format!("{steps} steps, {most_steps} are dealt for: limits.steps");
            return refuse(Cause::TooLong, text);
        }
        let from = asked.from.map_or(0, |from| from.step);
        if from > steps {
            let text = format!("a checkpoint of step {from} in a job of {steps} steps");
            return refuse(Cause::Message, text);
        }
        let (_, whole) = training.cost(0).map_err(|error| no_job(&error))?;
        if whole != job.program.0 {
            let ours = env!("CARGO_PKG_VERSION");
            let text = format!(
                "the job was proposed with release {}, whose program is {}; the key centre is \
                 release {ours}, whose program is {}: install the same release everywhere",
                job.release.chars().take(40).collect::<String>(),
                job.program,
                Hex(whole)
            );
            return refuse(Cause::Program, text);
        }
        let hash = match asked.from {
            None => whole,
            Some(before) => {
                let (_, rest) = training.cost(from).map_err(|error| no_job(&error))?;
                bind(rest, &before.attempt, before.step)
            }
        };
        Ok(Self { training, from, hash })
    }
}
