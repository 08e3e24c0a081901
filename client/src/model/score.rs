//! Using a released model on own rows, here: nothing leaves this machine.

use super::file::{Layer, Model};
use crate::error::{Error, Result, request};
use dyad_data::schema::{self, Scaling};
use dyad_data::{Encoded, Labels, Limits, ReadOptions, Schema, Table};
use dyad_learn::plain::Plain;
use dyad_learn::{Data, Loss, Metric, Plan, Scores};
use serde::Serialize;
use std::path::Path;

/// What a model says of rows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scored {
    /// One for each row, in the file's order.
    pub predictions: Vec<Prediction>,
    /// How good they are, if the file has the label.
    #[serde(skip)]
    pub scores: Option<Scores>,
    /// Rows that were left out because a cell is missing.
    pub dropped: usize,
}

/// What a model says of one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Prediction {
    /// Its identifier, or its number in the file.
    pub row: String,
    /// The likeliest class; or nothing, where the label is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How likely each class is; or the number, in the label's own unit.
    pub values: Vec<f64>,
}

/// Reads a file and has a model say what it takes its rows for.
pub fn score(model: &Model, path: &Path, options: &ReadOptions) -> Result<Scored> {
    score_table(model, &Table::read(path, options)?)
}

/// The same of a table.
pub fn score_table(model: &Model, table: &Table) -> Result<Scored> {
    let schema = Schema::from_toml(&model.schema)?;
    let here: Vec<String> =
        schema.columns().map(|(name, _)| name).filter(|name| table.find(name).is_some()).collect();
    let here: Vec<&str> = here.iter().map(String::as_str).collect();
    let all: Vec<_> = schema.feature_names();
    let restricted = schema.restrict(&here)?;
    let kept: Vec<usize> = here.iter().filter_map(|name| table.find(name)).collect();
    let encoded = restricted.encode(&table.select_columns(&kept)?, &Limits::default())?;
    if encoded.width() != all.len() {
        let missing = all.iter().find(|name| !encoded.features().iter().any(|f| f.name == **name));
        return request(format!(
            "{}: the model needs feature `{}`, which no column of the file gives",
            table.file(),
            missing.map_or("", |name| name)
        ));
    }
    let plan = model.train.check()?;
    let plan = with_all_metrics(&plan)?;
    let layers: Vec<_> = model.layers.iter().map(Layer::numbers).collect();
    let plain = Plain::with(&plan, &layers);
    let data = data(&plan, &schema, &encoded)?;
    let answers = plain.answer(&data);
    let name = |row: usize| match encoded.identifiers() {
        Some(names) => names[row].clone(),
        None => (encoded.rows_of_table()[row] + 1).to_string(),
    };
    let target = target(&schema);
    let predictions = answers.chunks_exact(plan.job().outputs()).enumerate();
    let predictions = predictions.map(|(row, z)| {
        let values = values(plan.job().loss, model.label.classes.len(), z, target);
        let class = likeliest(&values).filter(|_| !model.label.classes.is_empty());
        let class = class.and_then(|class| model.label.classes.get(class).cloned());
        Prediction { row: name(row), class, values }
    });
    Ok(Scored {
        predictions: predictions.collect(),
        scores: encoded.labels().map(|_| plain.scores(&data)),
        dropped: encoded.dropped_rows().len(),
    })
}

/// Here everything may be measured.
fn with_all_metrics(plan: &Plan) -> Result<Plan> {
    let mut job = plan.job().clone();
    job.metrics = vec![Metric::Loss];
    let more = [Metric::Accuracy, Metric::Confusion, Metric::Auc];
    for metric in more {
        job.metrics.push(metric);
        if job.check().is_err() {
            job.metrics.pop();
        }
    }
    Ok(job.check()?)
}

/// Rows at the scales of the training.
fn data(plan: &Plan, schema: &Schema, encoded: &Encoded) -> Result<Data> {
    let (job, point) = (plan.job(), schema.draft().fraction_bits);
    let raised = |to: u8| u32::from(to).checked_sub(point);
    let coarse = || Error::Request("the model's numbers are coarser than its schema's".into());
    let raise = raised(job.scales.input).ok_or_else(coarse)?;
    let features = encoded.values().iter().map(|x| x << raise).collect();
    match encoded.labels() {
        Some(Labels::Classes { numbers, .. }) => Ok(Data::of_classes(plan, features, numbers)?),
        Some(Labels::Numbers { values, .. }) => {
            let raise = raised(job.scales.label).ok_or_else(coarse)?;
            Ok(Data::new(plan, features, values.iter().map(|y| y << raise).collect())?)
        }
        // Made up, and not looked at.
        _ => Ok(Data::new(plan, features, vec![0; encoded.rows() * job.outputs()])?),
    }
}

/// How likely each class is; or the number.
fn values(loss: Loss, classes: usize, z: &[f64], target: Scaling) -> Vec<f64> {
    match loss {
        Loss::Sigmoid => {
            let p = 1.0 / (1.0 + (-z[0]).exp());
            vec![1.0 - p, p]
        }
        Loss::Softmax => {
            let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = z.iter().map(|z| (z - most).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|power| power / sum).collect()
        }
        Loss::SquaredError if classes > 0 => z.to_vec(),
        Loss::SquaredError => z.iter().map(|z| unscaled(target, *z)).collect(),
    }
}

fn likeliest(values: &[f64]) -> Option<usize> {
    let best = values.iter().enumerate().max_by(|(_, x), (_, y)| x.total_cmp(y));
    best.map(|(at, _)| at)
}

/// How the label was scaled.
fn target(schema: &Schema) -> Scaling {
    let label = schema.draft().columns.iter().find_map(|column| match column {
        schema::Column::Target(target) => Some(target.scaling),
        _ => None,
    });
    label.unwrap_or(Scaling::None)
}

/// Back to the label's own unit.
fn unscaled(scaling: Scaling, z: f64) -> f64 {
    match scaling {
        Scaling::None => z,
        Scaling::MinMax { min, max } => min + z * (max - min),
        Scaling::Standard { mean, deviation } => mean + z * deviation,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::file::tests::model;
    use super::*;

    fn table(csv: &str) -> Table {
        Table::from_bytes("rows.csv", csv.as_bytes(), &ReadOptions::default()).unwrap()
    }

    #[test]
    fn rows_are_scored_with_and_without_labels() {
        // Zero weights: both classes are equally likely.
        let model = model(|_| 0);
        let without = score_table(&model, &table("id,age,c\nA,1,a\nB,2,b\nC,2,?\n")).unwrap();
        assert_eq!((without.predictions.len(), without.dropped), (2, 1));
        assert_eq!(without.predictions[1].row, "B");
        assert!((without.predictions[0].values[1] - 0.5).abs() < 1e-9);
        assert!(without.scores.is_none());
        let with = score_table(&model, &table("age,c,y\n1,a,no\n2,b,yes\n")).unwrap();
        let scores = with.scores.unwrap();
        assert!((scores.loss.unwrap() - 2f64.ln()).abs() < 1e-9);
        assert!(scores.auc.is_some() && scores.confusion.is_some());
        assert_eq!(with.predictions[1].row, "2");
    }

    #[test]
    fn rows_are_scored_by_the_words() {
        let (mut model, rows) = (model(|i| i << 14), table("id,age,c\nA,1,a\nB,2,b\n"));
        let before = score_table(&model, &rows).unwrap();
        model.layers[1].bias.fill(-1e6);
        assert_eq!(score_table(&model, &rows).unwrap().predictions, before.predictions);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = score_table(&model(|_| 0), &table("id,age\nA,1\n")).unwrap_err().to_string();
        assert!(error.contains("rows.csv") && error.contains("`c=a`"), "{error}");
    }

    #[test]
    fn numbers_come_back_in_their_own_unit() {
        let scaling = Scaling::Standard { mean: 20.0, deviation: 4.0 };
        assert!((unscaled(scaling, scaling.apply(7.5)) - 7.5).abs() < 1e-12);
        let scaling = Scaling::MinMax { min: -3.0, max: 9.0 };
        assert!((unscaled(scaling, scaling.apply(7.5)) - 7.5).abs() < 1e-12);
    }
}
