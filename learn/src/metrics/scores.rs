//! What was opened of a model's quality, as numbers.

use super::auc::PAIRS;
use crate::job::{Loss, Metric};
use crate::plan::Plan;
use dyad_mpc::Opened;
use std::fmt;

/// A model's quality, as far as it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// The mean loss.
    pub loss: Option<f64>,
    /// The share of rows whose class was found.
    pub accuracy: Option<f64>,
    /// Rows of the true class, columns of the class they were taken for.
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Area under the receiver's curve.
    pub auc: Option<Area>,
}

/// The area under the receiver's curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The area; not a number if all rows are of one class.
    pub value: f64,
    /// By how much it may be wrong: nothing where all pairs were compared.
    pub error: f64,
}

impl Scores {
    /// Of what was opened for the job's metrics, measured on so many rows. Nothing if it is not
    /// that.
    #[must_use]
    pub fn read(plan: &Plan, opened: &[Opened], rows: usize) -> Option<Self> {
        let mut opened = opened.iter();
        let mut scores = Self::default();
        let n = rows as f64;
        for metric in &plan.job().metrics {
            let one = opened.next()?;
            let first = *one.numbers().first()?;
            let mut next = || opened.next()?.numbers().first().copied();
            match metric {
                Metric::Loss => {
                    let half = if plan.job().loss == Loss::SquaredError { 0.5 } else { 1.0 };
                    scores.loss = Some(half * first / n);
                }
                Metric::Accuracy => scores.accuracy = Some(first / n),
                Metric::Confusion => {
                    let rows = one.words.chunks_exact(one.meta.shape.cols);
                    scores.confusion = Some(rows.map(<[u64]>::to_vec).collect());
                }
                Metric::Auc => {
                    let pairs = first * (n - first);
                    scores.auc = Some(if rows <= PAIRS {
                        Area { value: (pairs + next()?) / (2.0 * pairs), error: 0.0 }
                    } else {
                        let value = next()? / (2.0 * pairs);
                        Area { value, error: next()? / (2.0 * pairs) }
                    });
                }
            }
        }
        Some(scores)
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.loss.map(|loss| format!("loss {loss:.4}")));
        parts.extend(self.accuracy.map(|share| format!("accuracy {:.2} %", 100.0 * share)));
        parts.extend(self.auc.map(|Area { value, error }| match error {
            0.0 => format!("AUC {value:.4}"),
            _ => format!("AUC {value:.4} ± {error:.4}"),
        }));
        f.write_str(&parts.join(", "))?;
        // The table takes lines of its own; `{:#}` leaves it out.
        let table = self.confusion.as_ref().filter(|_| !f.alternate());
        for row in table.into_iter().flatten() {
            writeln!(f)?;
            for count in row {
                write!(f, "{count:>7}")?;
            }
        }
        Ok(())
    }
}
