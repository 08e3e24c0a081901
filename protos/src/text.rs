//! Documents: texts that are signed as they are, and what they say.

use crate::{Error, Result, digest, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Deref;

/// What can be written as a document.
pub trait Content: Serialize + DeserializeOwned {
    /// Study, job, upload: for errors, and so that no digest of one is that of another.
    const KIND: &'static str;
    /// Of the format.
    const VERSION: u32;

    /// What it says of its version.
    fn version(&self) -> u32;

    /// Does it contradict itself, or a limit?
    fn check(&self) -> std::result::Result<(), String>;
}

/// A text, its digest and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<T> {
    text: Vec<u8>,
    digest: [u8; 32],
    content: T,
}

impl<T: Content> Document<T> {
    /// Writes it.
    pub fn write(content: &T) -> Result<Self> {
        let wrong = |error: toml::ser::Error| text_error::<T>(&error.to_string());
        // Read again: what is signed is what others will read.
        Self::read(toml::to_string(content).map_err(wrong)?.as_bytes())
    }

    /// Reads it.
    pub fn read(text: &[u8]) -> Result<Self> {
        if text.len() > limits::DOCUMENT {
            return Err(text_error::<T>(&format!("{} bytes are too long", text.len())));
        }
        let string =
            std::str::from_utf8(text).map_err(|error| text_error::<T>(&error.to_string()))?;
        let version = toml::from_str::<Version>(string)
            .map_err(|error| text_error::<T>(error.message()))?
            .version;
        if version != T::VERSION {
            return Err(Error::Version { kind: T::KIND, theirs: version, ours: T::VERSION });
        }
        let content: T =
            toml::from_str(string).map_err(|error| text_error::<T>(error.message()))?;
        content.check().map_err(|what| Error::Content { kind: T::KIND, what })?;
        Ok(Self { text: text.to_vec(), digest: digest(T::KIND, &[text]), content })
    }

    /// What is signed.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// SHA-256 of the text, labelled with its kind.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &T {
        &self.content
    }
}

impl<T> Deref for Document<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
    }
}

/// The version alone, whatever else there may be.
#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

fn text_error<T: Content>(what: &str) -> Error {
    Error::Text { kind: T::KIND, what: what.to_owned() }
}
