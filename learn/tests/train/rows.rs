//! Rows to train on and rows to test on.

use dyad_data::schema::{Classes, Column, Draft, MissingLabel, Numeric, Scaling};
use dyad_data::{Encoded, Limits, ReadOptions, Sample, Schema, Table, TrainTest};
use dyad_learn::{Data, Error, Job, Plan};
use std::io::Write;
use std::path::PathBuf;

/// Rows of one kind.
pub(crate) struct Part {
    pub(crate) features: Vec<i64>,
    pub(crate) classes: Vec<u32>,
}

impl Part {
    pub(crate) fn data(&self, plan: &Plan) -> Data {
        Data::of_classes(plan, self.features.clone(), &self.classes).unwrap()
    }
}

/// To train on, to test on.
pub(crate) struct Parts {
    pub(crate) width: usize,
    pub(crate) train: Part,
    pub(crate) test: Part,
}

/// A shipped sample with so many bits behind the point, a fifth of it for testing.
pub(crate) fn sample(sample: &Sample, bits: u8) -> Parts {
    let schema = sample.schema.with_fraction_bits(bits.into()).unwrap();
    let encoded = schema.encode(&sample.table, &Limits::default()).unwrap();
    let split = TrainTest::by_share(encoded.rows(), 200, 1).unwrap();
    let of = |rows: &[u32]| part(&encoded.select(rows).unwrap());
    Parts { width: encoded.width(), train: of(&split.train), test: of(&split.test) }
}

impl Parts {
    /// The job's plan, and both parts as it wants them.
    pub(crate) fn plan(&self, job: &Job) -> Result<(Plan, Data, Data), Error> {
        let plan = job.check()?;
        let (train, test) = (self.train.data(&plan), self.test.data(&plan));
        Ok((plan, train, test))
    }
}

/// The file, or nothing if there is no data on this machine: it is looked for in the folder that
/// `DYAD_DATA` names, else in `../shared/data` beside the project.
fn file(name: &str) -> Option<PathBuf> {
    let promised = std::env::var_os("DYAD_DATA");
    let folder = promised.clone().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    assert!(promised.is_none(), "DYAD_DATA is set, but {} is not there", path.display());
    // Past what the test harness catches: a skipped test is to be seen.
    let line =
        format!("SKIPPED: no {}; set DYAD_DATA to the folder of data sets\n", path.display());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

fn part(encoded: &Encoded) -> Part {
    let classes = encoded.labels().unwrap().classes().unwrap().to_vec();
    Part { features: encoded.values().to_vec(), classes }
}

/// A table by the schema proposed for it, a fifth of it for testing, or by another file.
pub(crate) fn table(name: &str, label: &str, test: Option<&str>, bits: u8) -> Option<Parts> {
    let table = Table::read(file(name)?, &ReadOptions::default()).unwrap();
    let schema = Schema::suggest(&table, Some(label)).accept().unwrap();
    let Some(test) = test else {
        return Some(sample(&Sample { table, schema }, bits));
    };
    let schema = schema.with_fraction_bits(bits.into()).unwrap();
    let test = Table::read(file(test)?, &ReadOptions::default()).unwrap();
    let [train, test] =
        [table, test].map(|table| schema.encode(&table, &Limits::default()).unwrap());
    Some(Parts { width: train.width(), train: part(&train), test: part(&test) })
}

/// Images as MNIST has them, pixels as multiples of 1/256.
pub(crate) fn images(folder: &str) -> Option<Parts> {
    let mut pixels = Numeric::new("pixel", Scaling::MinMax { min: 0.0, max: 256.0 });
    pixels.count = Some(784);
    let label = Classes {
        name: "label".into(),
        classes: (0..10).map(|class| class.to_string()).collect(),
        missing: MissingLabel::Refuse,
        missing_markers: Vec::new(),
    };
    let columns = vec![Column::Numeric(pixels), Column::Classes(label)];
    let schema = Schema::new(Draft::of(columns)).unwrap().with_fraction_bits(8).unwrap();
    let read = |stem: &str| {
        let images = file(&format!("{folder}/{stem}-images-idx3-ubyte.gz"))?;
        let labels = file(&format!("{folder}/{stem}-labels-idx1-ubyte.gz"))?;
        let table = Table::read_idx(images, labels, &Limits::default()).unwrap();
        Some(part(&schema.encode(&table, &Limits::default()).unwrap()))
    };
    Some(Parts { width: 784, train: read("train")?, test: read("t10k")? })
}
