//! One measured figure and how it is printed.

use serde::Serialize;
use std::fmt;

/// A line of output. The names of the fields are those of the JSON.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figure {
    pub bench: &'static str,
    pub params: String,
    pub value: f64,
    pub unit: &'static str,
    /// What `ratio` compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<&'static str>,
    /// The baseline's time over ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Times the clouds wait for each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u64>,
    /// Bytes a cloud sends to the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<u64>,
    /// Bytes the dealer sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_dealt: Option<u64>,
    /// The most memory it held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_mib: Option<f64>,
    /// Rows of a table in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_s: Option<f64>,
    /// Bytes in a second, in thousands of millions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gb_per_s: Option<f64>,
}

impl Figure {
    pub(crate) fn heading() -> String {
        format!(
            "{:<22} {:<34} {:>12} {:<6} {:>8} {:>6} {:>10} {:>10} {:>8}  {}",
            "figure",
            "parameters",
            "value",
            "unit",
            "ratio",
            "rounds",
            "sent MiB",
            "dealt MiB",
            "peak MiB",
            "baseline"
        )
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("plain fields: {error}"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map_or_else(nothing, ratio);
        let mib = |bytes: u64| format!("{:.3}", bytes as f64 / f64::from(1 << 20));
        write!(
            f,
            "{:<22} {:<34} {:>12.4} {:<6} {ratio:>8} {:>6} {:>10} {:>10} {:>8}  {}",
            self.bench,
            self.params,
            self.value,
            self.unit,
            self.rounds.map_or_else(nothing, |rounds| rounds.to_string()),
            self.bytes_sent.map_or_else(nothing, mib),
            self.bytes_dealt.map_or_else(nothing, mib),
            self.peak_mib.map_or_else(nothing, |mib| format!("{mib:.0}")),
            self.baseline.unwrap_or("-")
        )
    }
}

fn nothing() -> String {
    "-".to_owned()
}

/// How much faster than the baseline; below 1, how much slower, which one digit of it hides.
fn ratio(ratio: f64) -> String {
    if ratio < 0.95 && ratio > 0.0 {
        format!("1/{:.1}", 1.0 / ratio)
    } else {
        format!("{ratio:.1}x")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_below_one_is_a_slow_down() {
        let all = [19.34, 1.0, 0.96, 0.8, 1.0 / 18.7, 0.0].map(ratio);
        assert_eq!(all, ["19.3x", "1.0x", "1.0x", "1/1.2", "1/18.7", "0.0x"]);
    }

    #[test]
    fn a_line_has_every_column() {
        let figure = Figure {
            bench: "train.mlp",
            params: "784-10, batch 128".to_owned(),
            value: 0.0178,
            unit: "s",
            baseline: Some("f32"),
            ratio: Some(1.0 / 19.5),
            rounds: Some(58),
            bytes_sent: Some(3 << 20),
            bytes_dealt: Some(1 << 19),
            peak_mib: Some(417.6),
            ..Figure::default()
        };
        let line = figure.to_string();
        let columns: Vec<_> = line.split_whitespace().skip(4).collect();
        assert_eq!(columns, ["0.0178", "s", "1/19.5", "58", "3.000", "0.500", "418", "f32"]);
        // Under their headings.
        let end = |text: &str, word: &str| text.find(word).map(|at| at + word.len());
        for (name, value) in [("ratio", "1/19.5"), ("dealt MiB", "0.500"), ("peak MiB", "418")] {
            assert_eq!(end(&Figure::heading(), name), end(&line, value), "{name}");
        }
    }
}
