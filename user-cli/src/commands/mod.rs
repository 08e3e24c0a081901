//! What the commands do.

pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod model;
pub(crate) mod study;
pub(crate) mod upload;

use crate::args::{Args, FileFormat, Reading};
use crate::ask;
use crate::screen::Screen;
use anyhow::{Context as _, bail};
use dyad_client::{Access, Client, Error, Home};
use dyad_data::{CsvOptions, Format, ReadOptions, Table};
use dyad_protos::Name;
use serde_json::Value;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// What all commands work with.
pub(crate) struct Context {
    pub home: Home,
    pub screen: Screen,
    pub yes: bool,
    insecure_demo: bool,
    patience: Duration,
}

impl Context {
    pub(crate) fn new(args: &Args, screen: Screen) -> anyhow::Result<Self> {
        let home = match &args.home {
            Some(folder) => Home::at(folder),
            None => Home::usual()?,
        };
        let (yes, insecure_demo) = (args.yes, args.insecure_demo);
        let patience = Duration::from_secs(args.patience);
        Ok(Self { home, screen, yes, insecure_demo, patience })
    }

    /// The enrolled owner; a passphrase is asked for only if one is needed.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let given = ask::given();
        let open =
            |passphrase: Option<&str>| Client::open(self.home.clone(), &self.access(passphrase));
        let opened = match open(given.as_ref().map(|given| given.as_str())) {
            Err(Error::Net(dyad_net::Error::Locked)) => {
                let typed = ask::passphrase("Passphrase of the keys")?;
                open(Some(&typed))
            }
            other => other,
        };
        Ok(opened?.patient(self.patience))
    }

    pub(crate) fn access<'a>(&self, passphrase: Option<&'a str>) -> Access<'a> {
        Access { passphrase, insecure_demo: self.insecure_demo }
    }
}

/// What a command has to say.
pub(crate) struct Output {
    json: Value,
    text: String,
    failed: bool,
}

impl Output {
    /// The same in both ways.
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), failed: false }
    }

    /// It was done, and did not end well.
    pub(crate) fn failed(self, failed: bool) -> Self {
        Self { failed, ..self }
    }

    pub(crate) fn print(&self, json: bool) -> anyhow::Result<ExitCode> {
        let mut stdout = io::stdout().lock();
        if json {
            writeln!(stdout, "{:#}", self.json)?;
        } else if !self.text.is_empty() {
            let end = if self.text.ends_with('\n') { "" } else { "\n" };
            write!(stdout, "{}{end}", self.text)?;
        }
        stdout.flush()?;
        Ok(if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Names as they were typed in.
pub(crate) fn names(texts: &[String]) -> anyhow::Result<Vec<Name>> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

impl Reading {
    pub(crate) fn options(&self) -> anyhow::Result<ReadOptions> {
        let separator = u8::try_from(self.separator).ok().filter(u8::is_ascii);
        let separator = separator.context("a separator is one ASCII character")?;
        let format = self.format.map(|format| match format {
            FileFormat::Csv => Format::Csv,
            FileFormat::Idx => Format::Idx,
            FileFormat::Npy => Format::Npy,
            #[cfg(feature = "parquet")]
            FileFormat::Parquet => Format::Parquet,
        });
        Ok(ReadOptions {
            format,
            csv: CsvOptions { separator, ..CsvOptions::default() },
            column_name: self.column_name.clone(),
            ..ReadOptions::default()
        })
    }

    pub(crate) fn table(&self) -> anyhow::Result<Table> {
        if !self.file.exists() {
            bail!("there is no file {}", self.file.display());
        }
        let table = Table::read(&self.file, &self.options()?)?;
        Ok(match &self.number_rows {
            Some(column) => table.with_row_numbers(column)?,
            None => table,
        })
    }
}
