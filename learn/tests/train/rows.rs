//! Rows to train on and rows to test on.

use dyad_data::{Limits, Sample, TrainTest};
use dyad_learn::{Data, Error, Job, Plan};

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
pub(crate) fn sample(sample: Sample, bits: u8) -> Parts {
    let schema = sample.schema.with_fraction_bits(bits.into()).unwrap();
    let encoded = schema.encode(&sample.table, &Limits::default()).unwrap();
    let split = TrainTest::by_share(encoded.rows(), 200, 1).unwrap();
    let part = |rows: &[u32]| {
        let part = encoded.select(rows).unwrap();
        let classes = part.labels().unwrap().classes().unwrap().to_vec();
        Part { features: part.values().to_vec(), classes }
    };
    Parts { width: encoded.width(), train: part(&split.train), test: part(&split.test) }
}

impl Parts {
    /// The job's plan, and both parts as it wants them.
    pub(crate) fn plan(&self, job: &Job) -> Result<(Plan, Data, Data), Error> {
        let plan = job.check()?;
        let (train, test) = (self.train.data(&plan), self.test.data(&plan));
        Ok((plan, train, test))
    }
}
