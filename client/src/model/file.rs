//! A released model in a file: JSON, with everything that is needed to use it.

use crate::error::{Error, Result, contradiction};
use crate::home;
use dyad_learn::{Job as Train, Plan};
use dyad_protos::study::{Draft, Label};
use dyad_protos::{Document, Hex, Job, Name};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Of the format.
pub const VERSION: u32 = 1;

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// [`VERSION`].
    pub version: u32,
    /// The job that trained it.
    pub job: Hex<32>,
    /// What both clouds signed for.
    pub release: Hex<32>,
    /// SHA-256 of all words: equal for all who got the same model.
    pub digest: Hex<32>,
    /// The study.
    pub study: Name,
    /// Its digest.
    pub study_digest: Hex<32>,
    /// How rows are encoded.
    pub schema: String,
    /// What is predicted.
    pub label: Label,
    /// How it was trained.
    pub train: Train,
    /// From the features to the answer.
    pub layers: Vec<Layer>,
}

/// A layer: z = x W + b. What counts are the words, which the digest is of; the numbers beside them
/// are for people and other programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Layer {
    /// Rows of W.
    pub inputs: usize,
    /// Columns of W.
    pub outputs: usize,
    /// W, row by row.
    pub weights: Vec<f64>,
    /// b.
    pub bias: Vec<f64>,
    /// Bits behind the point of the words of W.
    pub weight_scale: u8,
    /// And of b.
    pub bias_scale: u8,
    /// W as it was trained, to the last bit.
    pub weight_words: Vec<i64>,
    /// And b.
    pub bias_words: Vec<i64>,
}

impl Model {
    /// From the words of a released model, layer by layer.
    pub(crate) fn of(
        job: &Document<Job>,
        release: [u8; 32],
        draft: &Draft,
        plan: &Plan,
        words: &[u64],
    ) -> Result<Self> {
        let metas = plan.released();
        let expected: usize = metas.iter().map(|meta| meta.shape.len()).sum();
        if words.len() != expected {
            return contradiction(format!(
                "the model has {} weights, the job's has {expected}: nothing was stored",
                words.len()
            ));
        }
        let (mut layers, mut rest) = (Vec::new(), words);
        for pair in metas.chunks_exact(2) {
            let mut take = |count: usize| {
                let (these, others) = rest.split_at(count);
                rest = others;
                these.iter().map(|word| *word as i64).collect::<Vec<_>>()
            };
            let weight_words = take(pair[0].shape.len());
            let bias_words = take(pair[1].shape.len());
            layers.push(Layer {
                inputs: pair[0].shape.rows,
                outputs: pair[0].shape.cols,
                weights: numbers(&weight_words, pair[0].scale),
                bias: numbers(&bias_words, pair[1].scale),
                weight_scale: pair[0].scale,
                bias_scale: pair[1].scale,
                weight_words,
                bias_words,
            });
        }
        let digest = digest_of(&layers);
        Ok(Self {
            version: VERSION,
            job: Hex(job.digest()),
            release: Hex(release),
            digest,
            study: draft.name.clone(),
            study_digest: job.study,
            schema: draft.schema.clone(),
            label: draft.label.clone(),
            train: plan.job().clone(),
            layers,
        })
    }

    /// Reads one.
    pub fn read(path: &Path) -> Result<Self> {
        let none = || Error::file(path, std::io::ErrorKind::NotFound.into());
        let model: Self = home::read_json(path)?.ok_or_else(none)?;
        if model.version != VERSION {
            let (theirs, ours) = (model.version, VERSION);
            let what = format!("it has version {theirs}, this release reads {ours}");
            return Err(Error::damaged(path, what));
        }
        let plan = model.train.check()?;
        let fits = plan.released().chunks_exact(2).zip(&model.layers).all(|(pair, layer)| {
            (layer.inputs, layer.outputs) == (pair[0].shape.rows, pair[0].shape.cols)
                && layer.weight_words.len() == pair[0].shape.len()
                && layer.bias_words.len() == pair[1].shape.len()
                && (layer.weight_scale, layer.bias_scale) == (pair[0].scale, pair[1].scale)
        });
        if !fits || plan.released().len() != 2 * model.layers.len() {
            return Err(Error::damaged(path, "its layers are not those of its training"));
        }
        if digest_of(&model.layers) != model.digest {
            return Err(Error::damaged(path, "its words are not those it was written with"));
        }
        if !model.layers.iter().all(Layer::says_the_same) {
            let what = "its numbers are not those of its words, of which the digest is";
            return Err(Error::damaged(path, what));
        }
        Ok(model)
    }

    /// Writes it: whole, or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|error| Error::damaged(path, error))?;
        home::write(path, &text)
    }

    /// SHA-256 of all words, worked out anew.
    pub(crate) fn digest_of_words(&self) -> [u8; 32] {
        digest_of(&self.layers).0
    }

    /// Weights and biases in all.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.weights.len() + layer.bias.len()).sum()
    }
}

fn numbers(words: &[i64], scale: u8) -> Vec<f64> {
    let unit = (-f64::from(scale)).exp2();
    words.iter().map(|word| *word as f64 * unit).collect()
}

impl Layer {
    /// W and b as numbers, from the words.
    #[must_use]
    pub fn numbers(&self) -> (Vec<f64>, Vec<f64>) {
        (numbers(&self.weight_words, self.weight_scale), numbers(&self.bias_words, self.bias_scale))
    }

    /// Are the numbers beside the words theirs, but for how a decimal number is rounded?
    fn says_the_same(&self) -> bool {
        let same = |written: &[f64], derived: &[f64]| {
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs();
            written.len() == derived.len() && written.iter().zip(derived).all(near)
        };
        let (weights, bias) = self.numbers();
        same(&self.weights, &weights) && same(&self.bias, &bias)
    }
}

fn digest_of(layers: &[Layer]) -> Hex<32> {
    let mut hash = Sha256::new();
    for layer in layers {
        for word in layer.weight_words.iter().chain(&layer.bias_words) {
            hash.update(word.to_le_bytes());
        }
    }
    Hex(hash.finalize().into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::job::Training;
    use crate::upload::tests::draft;
    use dyad_protos::job::{Engine, Opening, Randomness, Upload, VERSION as JOB_VERSION};

    pub(crate) fn model(words: impl Fn(u64) -> u64) -> Model {
        let draft = draft();
        let training = Training::of("mlp:3".parse().unwrap());
        let train = training.describe(&draft, 80, true).unwrap();
        let plan = train.check().unwrap();
        let (digest, name): (_, Name) = (Hex([1; 32]), "north".parse().unwrap());
        let job = Document::write(&Job {
            version: JOB_VERSION,
            id: Hex([1; 16]),
            study: digest,
            author: name.clone(),
            release: String::new(),
            program: digest,
            opening: Opening::Each,
            recipients: vec![name.clone()],
            may_predict: vec![],
            left_out: 0,
            rows: 100,
            rows_digest: digest,
            test_rows: 20,
            split: 1,
            checkpoint: 1,
            engine: Engine::Share,
            randomness: Randomness::Dealer,
            uploads: vec![Upload { owner: name, manifest: digest, c0: digest, c1: digest }],
            train: toml::Table::try_from(&train).unwrap(),
        })
        .unwrap();
        let count: usize = plan.released().iter().map(|meta| meta.shape.len()).sum();
        let words: Vec<u64> = (0..count as u64).map(words).collect();
        assert!(Model::of(&job, [2; 32], &draft, &plan, &words[1..]).is_err());
        Model::of(&job, [2; 32], &draft, &plan, &words).unwrap()
    }

    #[test]
    fn a_model_is_read_as_it_was_written() {
        let model = model(|i| (i << 57).wrapping_sub(i).wrapping_neg());
        assert_eq!(model.parameters(), 3 * 3 + 3 + 3 + 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("models").join("a.json");
        model.write(&path).unwrap();
        assert_eq!(Model::read(&path).unwrap(), model);
        let text = std::fs::read_to_string(&path).unwrap();
        let word = model.layers[0].weight_words[3].to_string();
        std::fs::write(&path, text.replace(&word, "3")).unwrap();
        assert!(matches!(Model::read(&path), Err(Error::Damaged { .. })));
        assert!(matches!(Model::read(&folder.path().join("b")), Err(Error::File { .. })));
    }

    #[test]
    fn the_words_count_and_nothing_beside_them() {
        let model = model(|i| (i << 20) + 5);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let refused = |change: &dyn Fn(&mut Layer)| {
            let mut altered = model.clone();
            change(&mut altered.layers[0]);
            altered.write(&path).unwrap();
            matches!(Model::read(&path), Err(Error::Damaged { .. }))
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|layer| layer.weights[3] += 1.0));
        assert!(refused(&|layer| layer.bias[0] = -layer.bias[0]));
        assert!(refused(&|layer| layer.weights.push(0.0)));
        assert!(refused(&|layer| layer.weight_scale += 1));
        assert!(refused(&|layer| layer.bias_words.clear()));
    }
}
