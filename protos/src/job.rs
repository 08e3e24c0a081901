//! A job: what is to be trained on which uploads, and who gets the model. Every owner whose data
//! it uses signs its digest.

use crate::text::Content;
use crate::{Hex, Name, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Of the format.
pub const VERSION: u32 = 1;

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Job {
    /// [`VERSION`].
    pub version: u32,
    /// Drawn by the author's program: no id is used twice.
    pub id: Hex<16>,
    /// The study's digest.
    pub study: Hex<32>,
    /// Who proposes it.
    pub author: Name,
    /// The release whose program it is, for people; `program` is what counts.
    pub release: String,
    /// Hash of the program's operations.
    pub program: Hex<32>,
    /// Who may have the model, and how it is opened.
    pub opening: Opening,
    /// Those who get it.
    pub recipients: Vec<Name>,
    /// Who may ask the model that is still shared, later.
    #[serde(default)]
    pub may_predict: Vec<Name>,
    /// Rows left out because a column is missing; none means that such rows are refused.
    pub left_out: u64,
    /// Rows that are used.
    pub rows: u64,
    /// Digest of their pseudonyms, in order.
    pub rows_digest: Hex<32>,
    /// Of these, rows that the metrics are measured on and that are not trained on.
    pub test_rows: u64,
    /// From which the test rows are drawn.
    pub split: u64,
    /// Steps between checkpoints.
    pub checkpoint: u64,
    /// How it is computed.
    pub engine: Engine,
    /// Where the clouds' correlated randomness comes from.
    pub randomness: Randomness,
    /// The uploads, each with what both clouds signed for.
    pub uploads: Vec<Upload>,
    /// The training itself, as `learn` describes it.
    pub train: toml::Table,
}

/// How the model is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opening {
    /// With partial decryptions of all owners.
    Joint,
    /// Each cloud seals its share to each recipient.
    Each,
}

/// How it is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// On shares.
    #[default]
    Share,
    /// On ciphertexts under the unified key, as in the paper: C1 holds them, C0 opens what is
    /// blinded.
    Cipher,
}

/// Where correlated randomness comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Randomness {
    /// The key centre deals it, and is online while the job runs.
    #[default]
    Dealer,
    /// The two clouds make it with each other, by oblivious transfers.
    Pairwise,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Share => "share",
            Self::Cipher => "cipher",
        })
    }
}

impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dealer => "dealer",
            Self::Pairwise => "pairwise",
        })
    }
}

/// An upload of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Whose.
    pub owner: Name,
    /// Digest of the manifest.
    pub manifest: Hex<32>,
    /// What C0 signed for.
    pub c0: Hex<32>,
    /// What C1 signed for.
    pub c1: Hex<32>,
}

impl Content for Job {
    const KIND: &'static str = "job";
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), String> {
        let distinct = |names: &[Name]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
        if !distinct(&self.recipients) || !distinct(&self.may_predict) {
            return Err("a recipient is named twice".into());
        }
        if self.recipients.is_empty() {
            return Err("nobody gets the model".into());
        }
        if self.uploads.is_empty() || self.uploads.len() > limits::UPLOADS {
            return Err(format!("{} uploads, 1 to {} may be", self.uploads.len(), limits::UPLOADS));
        }
        let uploads: BTreeSet<_> = self.uploads.iter().map(|upload| upload.manifest).collect();
        if uploads.len() != self.uploads.len() {
            return Err("an upload is named twice".into());
        }
        if !(1..=limits::ROWS).contains(&self.rows) || self.test_rows >= self.rows {
            let (rows, test) = (self.rows, self.test_rows);
            return Err(format!("{rows} rows, {test} of them to test on"));
        }
        if self.checkpoint == 0 {
            return Err("checkpoints every 0 steps".into());
        }
        if self.engine == Engine::Cipher {
            if self.randomness != Randomness::Pairwise {
                return Err("on ciphertexts nothing is dealt: take pairwise randomness".into());
            }
            if self.opening != Opening::Joint {
                return Err("a model trained on ciphertexts is under the unified key and in no \
                            shares: take the joint release"
                    .into());
            }
        }
        // Owners are shown it when they are asked to agree.
        if self.release.len() > limits::RELEASE
            || !self.release.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(format!(
                "a release's version has at most {} visible letters of ASCII",
                limits::RELEASE
            ));
        }
        Ok(())
    }
}

impl Job {
    /// Does the key centre deal randomness to it?
    #[must_use]
    pub fn is_dealt(&self) -> bool {
        self.randomness == Randomness::Dealer
    }

    /// The owners whose data it uses: those who must sign.
    #[must_use]
    pub fn owners(&self) -> Vec<&Name> {
        let owners: BTreeSet<_> = self.uploads.iter().map(|upload| &upload.owner).collect();
        owners.into_iter().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn job(engine: Engine, randomness: Randomness, opening: Opening) -> Job {
        let north: Name = "north".parse().unwrap();
        let zero = Hex([0; 32]);
        Job {
            version: VERSION,
            id: Hex([0; 16]),
            study: zero,
            author: north.clone(),
            release: "1".into(),
            program: zero,
            opening,
            recipients: vec![north.clone()],
            may_predict: vec![],
            left_out: 0,
            rows: 2,
            rows_digest: zero,
            test_rows: 0,
            split: 1,
            checkpoint: 1,
            engine,
            randomness,
            uploads: vec![Upload { owner: north, manifest: zero, c0: zero, c1: zero }],
            train: toml::Table::new(),
        }
    }

    #[test]
    fn engines_randomness_and_releases_that_go_together() {
        use {Engine::*, Opening::*, Randomness::*};
        for (engine, randomness, opening, refused) in [
            (Share, Dealer, Each, None),
            (Share, Dealer, Joint, None),
            (Share, Pairwise, Each, None),
            (Share, Pairwise, Joint, None),
            (Cipher, Pairwise, Joint, None),
            (Cipher, Dealer, Joint, Some("pairwise")),
            (Cipher, Pairwise, Each, Some("joint")),
        ] {
            let checked = job(engine, randomness, opening).check();
            match refused {
                None => assert_eq!(checked, Ok(()), "{engine} {randomness}"),
                Some(remedy) => assert!(checked.unwrap_err().contains(remedy)),
            }
        }
    }

    /// Signed texts say them in these words.
    #[test]
    fn their_words() {
        let text = toml::to_string(&job(Engine::Cipher, Randomness::Pairwise, Opening::Joint));
        let text = text.unwrap();
        for line in ["engine = \"cipher\"", "randomness = \"pairwise\"", "opening = \"joint\""] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(Engine::Cipher.to_string(), "cipher");
        assert_eq!(Randomness::Pairwise.to_string(), "pairwise");
        let other = text.replace("\"cipher\"", "\"clear\"");
        assert!(toml::from_str::<Job>(&other).is_err());
    }
}
