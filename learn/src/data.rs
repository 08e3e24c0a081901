//! Rows in the clear, as ring values: what owners have, what tests and the runs in the clear use.

use crate::error::{Error, Result};
use crate::plain::Matrix;
use crate::plan::Plan;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::Input;

/// Features and labels, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    features: Vec<i64>,
    labels: Vec<i64>,
    rows: usize,
}

impl Data {
    /// Features at the job's `scales.input` and labels at its `scales.label`.
    pub fn new(plan: &Plan, features: Vec<i64>, labels: Vec<i64>) -> Result<Self> {
        let (width, outputs) = (plan.job().features(), plan.job().outputs());
        let rows = labels.len() / outputs;
        if features.len() != rows * width || labels.len() != rows * outputs {
            let (features, labels) = (features.len(), labels.len());
            let what =
                format!("{features} features and {labels} labels, {width} and {outputs} a row");
            return Err(Error::Data(what));
        }
        within("features", &features, plan.features(rows))?;
        within("labels", &labels, plan.labels(rows))?;
        Ok(Self { features, labels, rows })
    }

    /// The same with each row's class: one-hot, or 0 and 1 where there is one output.
    pub fn of_classes(plan: &Plan, features: Vec<i64>, classes: &[u32]) -> Result<Self> {
        let outputs = plan.job().outputs();
        let one = 1 << plan.job().scales.label;
        if let Some(class) = classes.iter().find(|class| **class as usize >= outputs.max(2)) {
            return Err(Error::Data(format!("class {class} with {outputs} outputs")));
        }
        let labels = classes.iter().flat_map(|class| {
            (0..outputs as u32).map(move |k| if outputs == 1 { k + 1 } else { k } == *class)
        });
        Self::new(plan, features, labels.map(|hit| i64::from(hit) * one).collect())
    }

    /// How many rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// As inputs of a run, their names with this before them: `""` for training, [`TEST`] for what
    /// the metrics are measured on.
    #[must_use]
    pub fn inputs(&self, plan: &Plan, prefix: &str) -> Vec<Input> {
        let words = |x: &[i64]| x.iter().map(|x| *x as u64).collect();
        vec![
            Input::new(
                &format!("{prefix}features"),
                plan.features(self.rows),
                words(&self.features),
            ),
            Input::new(&format!("{prefix}labels"), plan.labels(self.rows), words(&self.labels)),
        ]
    }

    /// The labels as numbers, row by row.
    #[must_use]
    pub fn labels_as_numbers(&self, plan: &Plan) -> Vec<f64> {
        let unit = (-f64::from(plan.job().scales.label)).exp2();
        self.labels.iter().map(|y| *y as f64 * unit).collect()
    }

    pub(crate) fn features(&self, rows: &[u32], plan: &Plan) -> Matrix {
        select(&self.features, plan.job().features(), rows, plan.job().scales.input)
    }

    pub(crate) fn labels(&self, rows: &[u32], plan: &Plan) -> Matrix {
        select(&self.labels, plan.job().outputs(), rows, plan.job().scales.label)
    }
}

/// What the names of the rows to test on begin with.
pub const TEST: &str = "test ";

fn within(what: &str, x: &[i64], meta: Meta) -> Result<()> {
    let Some(at) = x.iter().position(|x| x.unsigned_abs() >> meta.bound.min(63) > 0) else {
        return Ok(());
    };
    let cols = meta.shape.cols.max(1);
    Err(Error::Data(format!(
        "{what}, row {}, column {}: not below 2^{} at scale {}; raise ranges.{}",
        at / cols,
        at % cols,
        meta.bound - meta.scale,
        meta.scale,
        if what == "labels" { "label" } else { "input" },
    )))
}

fn select(x: &[i64], cols: usize, rows: &[u32], scale: u8) -> Matrix {
    let unit = (-f64::from(scale)).exp2();
    let rows_of = rows.iter().flat_map(|row| &x[*row as usize * cols..(*row as usize + 1) * cols]);
    Matrix::new(rows_of.map(|x| *x as f64 * unit).collect(), rows.len(), cols)
}
