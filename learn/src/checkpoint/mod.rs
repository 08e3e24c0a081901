//! What a cloud stores between steps: its shares of the model, and nothing that is masked.
//!
//! A checkpoint is one half of two: halves of different attempts or
//! steps give random weights, silently. Neither party sees the other's half, so what the run that
//! goes on is agreed on by, its contract, names the attempt and the step of one's own
//! ([`Checkpoint::bind`]): unequal halves are refused at the greeting, before a step.
//! A run that goes on is a new attempt: masks are drawn anew, the weights are the same bits.
//!
//! Of a run on ciphertexts C1 stores ciphertexts, and C0 the attempt and the step alone.

mod format;

pub use format::{Fault, VERSION};

use crate::mlp::{NAMES, metas};
use crate::plan::Plan;
use crate::train::Training;
use dyad_mpc::cipher::{Kept, Secret};
use dyad_mpc::engine::Engine;
use dyad_mpc::prg::{Attempt, Party};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::Input;
use dyad_mpc::{Shared, files};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Whose state this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A cloud's shares.
    Cloud(Party),
    /// A cloud's end of a run on ciphertexts: C1 has them, as words, and C0 nothing.
    Ciphertexts(Party),
    /// The numbers themselves, of a run in the clear.
    Clear,
}

/// A party's state after a step.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    attempt: Attempt,
    holder: Holder,
    step: u64,
    tensors: Vec<Input>,
}

/// A tensor that can be stored between steps.
pub trait Stored {
    /// Its words; none while it waits for a message.
    fn words(&self) -> Option<Vec<u64>>;
}

impl Stored for Vec<u64> {
    fn words(&self) -> Option<Vec<u64>> {
        Some(self.clone())
    }
}

impl Stored for Secret {
    fn words(&self) -> Option<Vec<u64>> {
        self.kept().map(|kept| kept.to_words())
    }
}

/// Shares are not printed.
impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, holder, step, tensors } = self;
        write!(f, "Checkpoint({attempt:?}, {holder:?}, step {step}, {} tensors)", tensors.len())
    }
}

/// Why a checkpoint cannot be used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The file system.
    #[error("checkpoint {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What it says.
        source: io::Error,
    },
    /// Not a checkpoint, or cut short, or altered.
    #[error("checkpoint {path}: {what}; take an older one, of both clouds")]
    Damaged {
        /// The file.
        path: String,
        /// In what way.
        what: &'static str,
    },
    /// Of another release.
    #[error("checkpoint {path} has version {theirs}, this release reads {VERSION}")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        theirs: u32,
    },
    /// Of another job.
    #[error("the checkpoint is of job {theirs}, not of {ours}")]
    Job {
        /// First bytes of its job's hash.
        theirs: String,
        /// And of what is expected.
        ours: String,
    },
    /// Of another attempt: its other half is not the one that is at hand.
    #[error("the checkpoint is of another attempt: agree with the other cloud which one to use")]
    Attempt,
    /// Of another step.
    #[error("the checkpoint is of step {theirs}, not {ours}: agree with the other cloud")]
    Step {
        /// Its step.
        theirs: u64,
        /// What is expected.
        ours: u64,
    },
    /// No checkpoint can be taken here.
    #[error("step {0} was not agreed on: a run agrees every `agree_every` steps and at its end")]
    NotAgreed(u64),
    /// The engine has put something off.
    #[error("the state after step {0} is not whole yet: something of it waits for the other cloud")]
    Waits(u64),
    /// The other half, or the dealer's record, names another attempt or step; or, as for every
    /// run, the releases differ.
    #[error(
        "a run that goes on is refused, its halves are of different attempts or steps, or the \
         programs differ: agree on one checkpoint ({0})"
    )]
    Halves(dyad_mpc::Error),
    /// Of another party.
    #[error("the checkpoint is of {theirs:?}, not of {ours:?}")]
    Holder {
        /// Whose it is.
        theirs: Holder,
        /// Whose it should be.
        ours: Holder,
    },
    /// Its tensors are not the job's.
    #[error("the checkpoint does not fit the job: {0}")]
    Shape(String),
}

impl Checkpoint {
    /// Of a training, between steps; after those alone that the parties agreed on.
    pub fn of<E: Engine<Shared: Stored>>(
        training: &Training<'_, E>,
        attempt: Attempt,
        holder: Holder,
    ) -> Result<Self, Refused> {
        let step = training.done();
        if !training.is_agreed() {
            return Err(Refused::NotAgreed(step));
        }
        let kept = |(name, x): (String, &Shared<E>)| {
            let words = x.data().words().ok_or(Refused::Waits(step))?;
            Ok(Input::new(&name, x.meta(), words))
        };
        let tensors = training.model().tensors().into_iter().map(kept);
        Ok(Self { attempt, holder, step, tensors: tensors.collect::<Result<_, Refused>>()? })
    }

    /// The attempt in which it was made.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Steps done.
    #[must_use]
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// The state: shares, or numbers of a run in the clear.
    #[must_use]
    pub fn tensors(&self) -> &[Input] {
        &self.tensors
    }

    /// Of these what is released: weights and biases, layer by layer, and nothing of how they moved.
    pub fn released(&self) -> impl Iterator<Item = &Input> {
        let [weights, bias, ..] = NAMES;
        self.tensors.iter().filter(move |tensor| {
            let name = tensor.name.rsplit_once(' ').map(|(name, _)| name);
            name == Some(weights) || name == Some(bias)
        })
    }

    /// What a run that goes on from here is agreed on by, in place of its program's hash: the hash
    /// of it, and of the attempt and the step that the state is of; on ciphertexts also of how they
    /// lie.
    #[must_use]
    pub fn bind(&self, program: [u8; 32]) -> [u8; 32] {
        let bound = bind(program, &self.attempt, self.step);
        let Holder::Ciphertexts(_) = self.holder else { return bound };
        // How ciphertexts lie both clouds keep, and it must be the same.
        let lies = self.tensors.iter().map(|tensor| tensor.words.first().copied().unwrap_or(0));
        let mut hash = Sha256::new().chain_update(b"dyad-learn/kept/1\0").chain_update(bound);
        lies.for_each(|lies| hash.update(lies.to_le_bytes()));
        hash.finalize().into()
    }

    /// Is it this one, and does it fit? Gives the inputs of [`Training::resume`].
    pub fn expect(
        &self,
        plan: &Plan,
        attempt: &Attempt,
        holder: Holder,
        step: u64,
    ) -> Result<&[Input], Refused> {
        if self.attempt.job != attempt.job {
            let (theirs, ours) = (short(&self.attempt.job), short(&attempt.job));
            return Err(Refused::Job { theirs, ours });
        }
        if self.attempt.nonces != attempt.nonces {
            return Err(Refused::Attempt);
        }
        if self.holder != holder {
            return Err(Refused::Holder { theirs: self.holder, ours: holder });
        }
        if self.step != step {
            return Err(Refused::Step { theirs: self.step, ours: step });
        }
        let kept = if plan.momentum() > 0 { NAMES.len() } else { 2 };
        let expected = plan.layers().iter().enumerate().flat_map(|(l, layer)| {
            let named = NAMES.iter().zip(metas(plan, layer)).take(kept);
            named.map(move |(name, meta)| (format!("{name} {l}"), meta))
        });
        let expected: Vec<(String, Meta)> = expected.collect();
        if self.tensors.len() != expected.len() {
            let what = format!("{} tensors, not {}", self.tensors.len(), expected.len());
            return Err(Refused::Shape(what));
        }
        for (tensor, (name, meta)) in self.tensors.iter().zip(expected) {
            if (tensor.name.as_str(), tensor.meta) != (name.as_str(), meta) {
                let what = format!("{} {}, not {name} {meta}", tensor.name, tensor.meta);
                return Err(Refused::Shape(what));
            }
            let (words, entries) = (tensor.words.len(), meta.shape.len());
            let whole = match holder {
                Holder::Cloud(_) | Holder::Clear => words == entries,
                // How many ciphertexts there should be depends on the key: the engine says.
                Holder::Ciphertexts(party) => {
                    let kept = Kept::of_words(&tensor.words);
                    kept.is_some_and(|kept| kept.words.is_empty() == (party == Party::Zero))
                }
            };
            if !whole {
                let what = format!("{name} has {words} words for {entries} entries");
                return Err(Refused::Shape(what));
            }
        }
        Ok(&self.tensors)
    }

    /// Writes it, all or nothing: another file is written, made durable, and takes the name. One
    /// writer a name: what another has left of the other file, or is still writing, is removed.
    pub fn write(&self, path: &Path) -> Result<(), Refused> {
        let failed = |source| Refused::Io { path: path.display().to_string(), source };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        // A file that is there already keeps its mode, and may be a link to elsewhere.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file = files::create_private(&new).map_err(failed)?;
        file.write_all(&self.to_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)?;
        // The name is durable once its folder is.
        files::sync_folder(files::folder(path)).map_err(failed)
    }

    /// Reads one: [`from_bytes`](Self::from_bytes) of a file.
    pub fn read(path: &Path) -> Result<Self, Refused> {
        let bytes = fs::read(path)
            .map_err(|source| Refused::Io { path: path.display().to_string(), source })?;
        Self::from_bytes(&bytes).map_err(|fault| match fault {
            Fault::Version(theirs) => Refused::Version { path: path.display().to_string(), theirs },
            Fault::Damaged(what) => Refused::Damaged { path: path.display().to_string(), what },
        })
    }
}

/// The same for the dealer, which has no state: it goes by the attempt and step it is told of.
#[must_use]
pub fn bind(program: [u8; 32], before: &Attempt, step: u64) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"dyad-learn/resumed/1\0")
        .chain_update(program)
        .chain_update(before.job)
        .chain_update(before.nonces[0])
        .chain_update(before.nonces[1])
        .chain_update(step.to_le_bytes())
        .finalize()
        .into()
}

fn short(job: &[u8; 32]) -> String {
    format!("{:08x}", u32::from_be_bytes([job[0], job[1], job[2], job[3]]))
}
