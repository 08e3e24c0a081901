//! The command `audit` of every service: the audit table, and whether its chain holds.

use crate::audit::{Head, Record, read, verify};
use crate::store::{Db, StoreError};
use anyhow::Context as _;
use serde::Serialize;
use std::fmt::Write as _;

/// How many rows are read at a time.
const PAGE: u32 = 1000;

/// Flags of the command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AuditArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// A head that was noted earlier, as it was printed: the table must contain it
    #[arg(long, value_name = "ROW:LINK")]
    remembered: Option<Remembered>,
}

/// A head, as text.
#[derive(Clone, Copy, Debug)]
struct Remembered(Head);

impl std::str::FromStr for Remembered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a head is a row's number, a colon and 64 hexadecimal digits".to_owned();
        let (seq, digits) = text.split_once(':').ok_or_else(wrong)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut link = [0; 32];
        for (byte, at) in link.iter_mut().zip((0..64).step_by(2)) {
            let digits = digits.get(at..at + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(Head { seq: seq.parse().map_err(|_| wrong())?, link }))
    }
}

/// A row, as JSON has it.
#[derive(Serialize)]
struct Line<'a> {
    row: i64,
    at: String,
    who: &'a str,
    what: &'a str,
    hash: String,
    detail: &'a str,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Self {
        let Record { seq, who, what, hash, at, detail, .. } = record;
        Self { row: *seq, at: at.to_string(), who, what, hash: hex(hash), detail }
    }
}

/// What stands at the end.
#[derive(Serialize)]
struct Verdict {
    rows: i64,
    chain_holds: bool,
    /// What to note, and to name next time.
    head: Option<String>,
    why_not: Option<String>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a string does not fail.
        write!(out, "{byte:02x}").ok();
        out
    })
}

/// What others write is shown without what would steer a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Writes the table of the store at `url` to `out`, the service running or not, and says whether its
/// chain holds; if not, that is the error.
pub async fn print_audit(
    url: &str,
    args: &AuditArgs,
    out: &mut impl std::io::Write,
) -> anyhow::Result<()> {
    let db = Db::open_to_read(url).await.context("the audit table cannot be read")?;
    let mut tx = db.snapshot().await?;
    let mut rows = 0;
    loop {
        let page = read(&mut tx, rows, PAGE).await?;
        let Some(last) = page.last() else { break };
        rows = last.seq;
        for record in &page {
            let line = Line::of(record);
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&line)?)?;
            } else {
                let Line { row, at, who, what, hash, detail } = line;
                let (who, what, detail) = (shown(who), shown(what), shown(detail));
                let short = hash.get(..16).unwrap_or(&hash);
                writeln!(out, "{row:>7}  {at}  {who:<20}  {what:<20}  {short:<16}  {detail}")?;
            }
        }
    }
    // From the same state as the rows that were written.
    let verified = verify(&mut tx, args.remembered.map(|Remembered(head)| head)).await;
    tx.rollback().await;
    db.close().await;
    let (verdict, failed) = match verified {
        Ok(head) => {
            let head = format!("{}:{}", head.seq, hex(&head.link));
            (Verdict { rows, chain_holds: true, head: Some(head), why_not: None }, None)
        }
        Err(error @ StoreError::Corrupt { .. }) => {
            let why_not = Some(error.to_string());
            (Verdict { rows, chain_holds: false, head: None, why_not }, Some(error))
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&verdict)?)?;
    } else if let Some(head) = &verdict.head {
        writeln!(out, "{rows} rows; each follows from the one before. Head: {head}")?;
    }
    match failed {
        None => Ok(()),
        Some(error) => Err(anyhow::Error::from(error).context("the audit table was changed")),
    }
}

/// The same, to standard output.
pub async fn audit_command(url: &str, args: &AuditArgs) -> anyhow::Result<()> {
    print_audit(url, args, &mut std::io::stdout()).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::{Entry, append};
    use crate::clock::Time;
    use crate::store::sql;

    async fn filled(url: &str, rows: i64) -> Db {
        let db = Db::open(url, &[]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for i in 0..rows {
            let entry = Entry {
                who: "owner north",
                what: "job approved",
                hash: &[i as u8; 32],
                at: Time::from_millis(i),
                detail: "\u{1b}[2J",
            };
            append(&mut tx, &entry).await.unwrap();
        }
        tx.commit().await.unwrap();
        db
    }

    async fn printed(url: &str, args: &AuditArgs) -> (String, anyhow::Result<()>) {
        let mut out = Vec::new();
        let result = print_audit(url, args, &mut out).await;
        (String::from_utf8(out).unwrap(), result)
    }

    #[tokio::test]
    async fn the_table_is_shown_while_the_service_runs_and_changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
        assert!(printed(&url, &AuditArgs { json: false, remembered: None }).await.1.is_err());
        let db = filled(&url, 3).await;
        let text = AuditArgs { json: false, remembered: None };
        let (out, result) = printed(&url, &text).await;
        result.unwrap();
        assert_eq!(out.lines().count(), 4, "{out}");
        assert!(!out.contains('\u{1b}'));
        assert!(out.contains("job approved") && out.contains("each follows from the one before"));
        let json = AuditArgs { json: true, remembered: None };
        let (out, result) = printed(&url, &json).await;
        result.unwrap();
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(last["chain_holds"], true);
        let head = last["head"].as_str().unwrap().parse().unwrap();
        // What was remembered is found again, after more rows too.
        db.close().await;
        let db = filled(&url, 2).await;
        let remembered = AuditArgs { json: true, remembered: Some(head) };
        printed(&url, &remembered).await.1.unwrap();
        db.close().await;
        // Changed behind the triggers' back.
        let db = filled(&url, 0).await;
        let mut tx = db.begin().await.unwrap();
        let change = "UPDATE audit SET who = 'owner south' WHERE seq = 2";
        for text in ["DROP TRIGGER audit_no_update", change] {
            sql(text).execute(&mut tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        let (out, result) = printed(&url, &json).await;
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(last["chain_holds"], false);
        assert!(result.is_err_and(|error| format!("{error:#}").contains("row 2")));
    }

    #[test]
    fn heads_are_read() {
        let text = format!("12:{}", "0f".repeat(32));
        assert_eq!(text.parse::<Remembered>().unwrap().0, Head { seq: 12, link: [15; 32] });
        for wrong in ["", "12", "12:", "x:00", &text[..60]] {
            assert!(wrong.parse::<Remembered>().is_err(), "{wrong}");
        }
    }
}
