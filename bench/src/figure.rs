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
}

impl Figure {
    pub(crate) fn heading() -> String {
        format!(
            "{:<22} {:<34} {:>12} {:<6} {:>8}  {}",
            "figure", "parameters", "value", "unit", "ratio", "baseline"
        )
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("plain fields: {error}"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}x"));
        write!(
            f,
            "{:<22} {:<34} {:>12.4} {:<6} {:>8}  {}",
            self.bench,
            self.params,
            self.value,
            self.unit,
            ratio,
            self.baseline.unwrap_or("-")
        )
    }
}
