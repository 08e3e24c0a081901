//! Deeds and the lines that tell of them: both last, or neither.

use dyad_cloud::ledger::{Answer, Approval, Ledger, MIGRATIONS, Result, Revocation, State, Tidied};
use dyad_mpc::prg::Attempt;
use dyad_node::audit::{Entry, read};
use dyad_node::clock::Time;
use dyad_node::store::{Db, sql};
use dyad_protos::upload::Mode;
use dyad_protos::{Document, Hex, Job, Manifest};

const JOB: [u8; 32] = [1; 32];
const UPLOAD: [u8; 32] = [2; 32];
const DEED: Entry<'static> =
    Entry { who: "north", what: "deed", hash: &JOB, at: Time::from_millis(0), detail: "" };

/// A job in this state, and uploads.
async fn ledger(state: &str) -> Ledger {
    let db = Db::open("sqlite::memory:", &[MIGRATIONS]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    for text in [
        "INSERT INTO studies (digest, text, signature) VALUES ($1, $1, $1)",
        "INSERT INTO jobs (digest, id, study, text, signature, state, reason, step, steps, \
         attempts) VALUES ($1, $1, $1, $1, $1, '', '', 0, 1, 0)",
    ] {
        sql(text).bind(&JOB[..]).execute(&mut tx).await.unwrap();
    }
    sql("UPDATE jobs SET state = $1, text = $2")
        .bind(state)
        .bind(job().text())
        .execute(&mut tx)
        .await
        .unwrap();
    // One that no job uses, and one that the proposed job does.
    for (upload, state) in [(UPLOAD, "open"), (JOB, "complete")] {
        sql("INSERT INTO uploads (digest, study, owner, id, manifest, signature, state) \
             VALUES ($1, $2, 'north', $1, $1, $1, $3)")
        .bind(&upload[..])
        .bind(&JOB[..])
        .bind(state)
        .execute(&mut tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    Ledger::new(db)
}

/// All that there is but the audit table, as text.
async fn all(ledger: &Ledger) -> Vec<String> {
    let mut out = Vec::new();
    let mut tx = ledger.db().snapshot().await.unwrap();
    for text in [
        "SELECT state || reason || tidied || hex(COALESCE(heads, '')) || attempts AS t FROM jobs",
        "SELECT state || hex(COALESCE(received, '')) AS t FROM uploads",
        "SELECT owner || COALESCE(ended, '') AS t FROM approvals",
        "SELECT owner AS t FROM revocations",
        "SELECT owner || folder AS t FROM answers",
        "SELECT recipient AS t FROM fetched",
        "SELECT hex(nonce_0) AS t FROM attempts",
    ] {
        for row in sql(text).all(&mut tx).await.unwrap() {
            out.push(row.get::<String>("t").unwrap());
        }
    }
    tx.rollback().await;
    out
}

async fn lines(ledger: &Ledger) -> usize {
    let mut tx = ledger.db().snapshot().await.unwrap();
    let lines = read(&mut tx, 0, 100).await.unwrap().len();
    tx.rollback().await;
    lines
}

fn manifest() -> Document<Manifest> {
    Document::write(&Manifest {
        version: dyad_protos::upload::VERSION,
        id: Hex([3; 16]),
        study: Hex(JOB),
        owner: "north".parse().unwrap(),
        mode: Mode::Sealed,
        columns: vec!["age".into()],
        rows: 1,
        chunk_rows: 1,
        file: Hex([0; 32]),
    })
    .unwrap()
}

fn job() -> Document<Job> {
    let text = format!(
        "version = 1\nid = \"{id}\"\nstudy = \"{d}\"\nauthor = \"north\"\nrelease = \"1\"\n\
         program = \"{d}\"\nopening = \"each\"\nrecipients = [\"north\"]\nleft-out = 0\nrows = 1\n\
         rows-digest = \"{d}\"\ntest-rows = 0\nsplit = 0\ncheckpoint = 1\nengine = \"share\"\n\
         randomness = \"dealer\"\n[[uploads]]\nowner = \"north\"\nmanifest = \"{d}\"\nc0 = \"{d}\"\n\
         c1 = \"{d}\"\n[train]\n",
        id = Hex([4; 16]),
        d = Hex(JOB)
    );
    Document::read(text.as_bytes()).unwrap()
}

/// Does the deed of this number, of those below.
async fn deed(ledger: &Ledger, which: usize) -> Result<()> {
    let nonces = [[5; 16], [6; 16]];
    let revocation = Revocation { owner: "north".parse()?, ends: vec![1000], signature: [9; 64] };
    let approval = Approval { owner: "north".parse()?, expires: 1000, signature: [7; 64] };
    let answer = Answer {
        owner: "north".parse()?,
        recipient: "south".parse()?,
        parts: 1,
        folder: "f".to_owned(),
    };
    match which {
        0 => ledger.open_upload(&manifest(), &[0; 64], &DEED).await,
        1 => ledger.complete_upload(&UPLOAD, &[8; 32], &[8; 64], &DEED).await,
        2 => ledger.withdraw_upload(&JOB, &UPLOAD, [&DEED, &DEED]).await.map(drop),
        3 => ledger.propose(&job(), &[0; 64], 1, &DEED).await.map(drop),
        4 => ledger.approve(&JOB, &approval, &DEED).await.map(drop),
        5 => ledger.revoke(&JOB, &revocation, &DEED).await.map(drop),
        6 => ledger.move_on(&JOB, &[State::Approved], State::Cancelled, "", &DEED).await.map(drop),
        7 => ledger.begin_attempt(&Attempt { job: JOB, nonces }, 0, &DEED).await.map(drop),
        8 => ledger.fail(&JOB, "because", &DEED).await.map(drop),
        9 => ledger.seal(&JOB, &[8; 32], &[8; 64], &DEED).await.map(drop),
        10 => ledger.answered(&JOB, &answer, [&DEED, &DEED]).await.map(drop),
        11 => ledger.fetched(&JOB, "south", 0, &DEED).await,
        12 => ledger.tidied(&JOB, Tidied::All, &DEED).await,
        _ => ledger.sealed_by_peer(&JOB, &[8; 64], State::Sealed, &DEED).await,
    }
}

#[tokio::test]
async fn a_deed_and_its_line_last_both_or_neither() {
    for which in 0..14 {
        let state = match which {
            9 | 13 => "trained",
            10 => "sealed",
            _ => "approved",
        };
        // What was killed, or found no room, before the line was written.
        let cut = ledger(state).await;
        let mut tx = cut.db().begin().await.unwrap();
        sql("CREATE TRIGGER no_line BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
            .execute(&mut tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let before = all(&cut).await;
        assert!(deed(&cut, which).await.is_err(), "{which}");
        assert_eq!(all(&cut).await, before, "{which}");

        let whole = ledger(state).await;
        deed(&whole, which).await.unwrap();
        assert_eq!(lines(&whole).await, 1, "{which}");
        assert!(which == 0 || all(&whole).await != before, "{which}");
        // Repeated, it changes nothing, and needs no second line: but for an answer, which is
        // another each time.
        if ![10, 12].contains(&which) {
            drop(deed(&whole, which).await);
            assert_eq!(lines(&whole).await, 1, "{which}");
        }
    }
}
