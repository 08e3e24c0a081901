//! Schemas as TOML and JSON. Fields that are not known are refused.

use super::{Draft, Schema};
use crate::{Error, Result};

impl Schema {
    /// Reads and checks a schema in TOML.
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::new(toml::from_str(text).map_err(|error| unread("TOML", &error))?)
    }

    /// Reads and checks a schema in JSON.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::new(serde_json::from_str(text).map_err(|error| unread("JSON", &error))?)
    }

    /// The schema in TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        self.draft.to_toml()
    }

    /// The schema in JSON, over many lines or in one.
    #[must_use]
    pub fn to_json(&self, pretty: bool) -> String {
        let text = if pretty {
            serde_json::to_string_pretty(&self.draft)
        } else {
            serde_json::to_string(&self.draft)
        };
        // A draft has text keys and, once checked, finite numbers: there is nothing that could not
        // be written.
        text.unwrap_or_default()
    }
}

impl Draft {
    /// The draft in TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // As above; infinities can be written too.
        toml::to_string(self).unwrap_or_default()
    }
}

fn unread(language: &'static str, error: &dyn std::fmt::Display) -> Error {
    Error::SchemaText { language, message: error.to_string().trim_end().to_owned() }
}
