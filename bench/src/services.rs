//! Figures of the services: real ones, over mutual TLS on the loopback.

use crate::figure::Figure;
use crate::measure::median;
use crate::train::{BATCH, MLP, on_shares, rows};
use crate::{Bench, Done, Show};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use dyad_bcp::packing::{STATISTICAL_BITS, SlotLayout};
use dyad_client::job::{Described, Prepared, Proposal, State, Training};
use dyad_client::study::{Proposed, draft};
use dyad_client::upload::Request;
use dyad_client::{Access, Client, Home};
use dyad_data::ReadOptions;
use dyad_mpc::link::{Link, LinkError};
use dyad_mpc::together::Lines;
use dyad_protos::job::{Engine, Opening, Randomness};
use dyad_protos::upload::Mode;
use dyad_protos::{Name, Role};
use dyad_tests::faults::{Fault, When};
use dyad_tests::scenario::{Scenario, play};
use dyad_tests::{Processes, Services};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "upload.sealed",
        about: "an owner's file of 784 columns to both clouds, from the file to the receipts",
        run: |show| {
            upload(Mode::Sealed, Form::Npy, show)?;
            upload(Mode::Sealed, Form::Csv, show)
        },
    },
    Bench {
        name: "upload.packed",
        about: "the same as packed ciphertexts",
        run: |show| upload(Mode::Packed, Form::Csv, show),
    },
    Bench {
        name: "link.grpc",
        about: "round trip of 8 bytes over a link, and its bandwidth, TLS on",
        run: link,
    },
    Bench {
        name: "train.mlp.services",
        about: "train.mlp with key centre and clouds as processes",
        run: train,
    },
    Bench {
        name: "resume",
        about: "from a kill to training again, each service in turn",
        run: resume,
    },
    Bench {
        name: "local.start",
        about: "from the start of dyad-local to the first step of training",
        run: local,
    },
];

/// One owner, who has joined a study of so many columns.
struct Owner {
    // Dropped last to first: the processes end before their folder goes.
    client: Client,
    study: Name,
    processes: Processes,
    folder: tempfile::TempDir,
}

/// Columns `x0`, `x1` ... of pixels, `id`, and last the label, ten classes.
fn schema(columns: usize) -> String {
    let identifier = "version = 1\nfraction_bits = 8\nvalue_bits = 10\n\
                      [[columns]]\nname = \"id\"\nkind = \"identifier\"\n";
    let column = |column| {
        format!(
            "[[columns]]\nname = \"x{column}\"\nkind = \"numeric\"\n\
             scaling = {{ min-max = {{ min = 0, max = 255 }} }}\n"
        )
    };
    let classes: Vec<_> = (0..10).map(|class| format!("\"{class}\"")).collect();
    let classes = classes.join(", ");
    let label =
        format!("[[columns]]\nname = \"x{columns}\"\nkind = \"classes\"\nclasses = [{classes}]\n");
    let columns: Vec<_> = (0..columns).map(column).collect();
    [identifier, &columns.concat(), &label].concat()
}

/// What an owner's file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Text.
    Csv,
    /// An array of bytes.
    Npy,
}

/// A file of such columns, rows numbered by whoever uploads it: a fifth of the pixels are not 0.
fn file(folder: &Path, form: Form, columns: usize, rows: usize) -> anyhow::Result<PathBuf> {
    let mut state = 1_u64;
    let mut cell = |row: usize, column: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let x = state >> 33;
        match column {
            _ if column == columns => (row % 10) as u8,
            _ if x.is_multiple_of(5) => (x >> 4) as u8,
            _ => 0,
        }
    };
    let name = if form == Form::Npy { "npy" } else { "csv" };
    let path = folder.join(format!("rows-{rows}.{name}"));
    let mut out = BufWriter::new(File::create(&path)?);
    if form == Form::Npy {
        let shape = format!("({rows}, {})", columns + 1);
        let head = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        out.write_all(b"\x93NUMPY\x01\x00\x76\x00")?;
        writeln!(out, "{head:<117}")?;
    } else {
        let names: Vec<_> = (0..=columns).map(|column| format!("x{column}")).collect();
        writeln!(out, "{}", names.join(","))?;
    }
    for row in 0..rows {
        let cells: Vec<u8> = (0..=columns).map(|column| cell(row, column)).collect();
        if form == Form::Npy {
            out.write_all(&cells)?;
        } else {
            let cells: Vec<_> = cells.iter().map(u8::to_string).collect();
            writeln!(out, "{}", cells.join(","))?;
        }
    }
    out.flush()?;
    Ok(path)
}

async fn owner(columns: usize) -> anyhow::Result<Owner> {
    let folder = tempfile::Builder::new().prefix("dyad-bench-").tempdir()?;
    let processes = Processes::start(folder.path()).await?;
    let token = processes.token(Role::Owner, "owner").await?;
    let access = Access { passphrase: None, insecure_demo: true };
    let home = Home::at(folder.path().join("owner"));
    let client = Client::enrol(home, &token, &access).await?;
    let study: Name = "study".parse()?;
    let (schema, members) = (schema(columns), ["owner".parse()?]);
    let proposed =
        Proposed { name: study.as_str(), schema: &schema, members: &members, label: None };
    client.create_study(&draft(&proposed)?).await?;
    let standing = client.study(&study).await?;
    client.join_study(&standing).await?;
    Ok(Owner { client, study, processes, folder })
}

/// Rows of an upload.
const SEALED_ROWS: usize = 20_000;
const PACKED_ROWS: usize = 40;

fn upload(mode: Mode, form: Form, show: Show<'_>) -> Done {
    let (rows, bench) = match mode {
        Mode::Sealed => (SEALED_ROWS, "upload.sealed"),
        Mode::Packed => (PACKED_ROWS, "upload.packed"),
    };
    let runtime = Runtime::new()?;
    let figure = runtime.block_on(async {
        let owner = owner(784).await?;
        let (mut times, mut alone) = (Vec::new(), Vec::new());
        let mut values = 0;
        for turn in 0..3 {
            // Another file each time: the same one would be found to be there already.
            let file = file(owner.folder.path(), form, 784, rows + turn)?;
            let options = ReadOptions::default();
            let request = Request { study: &owner.study, file: &file, mode, options };
            let start = Instant::now();
            let upload = owner.client.upload_numbered(&request, "id", &|_, _, _| {}).await?;
            times.push(start.elapsed().as_secs_f64());
            values = upload.manifest.rows * (784 + 10);
            if mode == Mode::Packed {
                alone.push(encrypting(values as usize)?);
            }
        }
        let seconds = median(&mut times);
        let rows_per_s = Some(rows as f64 / seconds);
        let form = if form == Form::Npy { "NPY" } else { "CSV" };
        let params = format!("784 columns, {rows} rows, {form}");
        Ok::<_, anyhow::Error>(match mode {
            Mode::Sealed => Figure {
                bench,
                params,
                value: values as f64 * 8.0 / seconds / 1e6,
                unit: "MB/s",
                rows_per_s,
                ..Figure::default()
            },
            Mode::Packed => Figure {
                bench,
                params,
                value: values as f64 / seconds,
                unit: "values/s",
                baseline: Some("bcp.encrypt of the same, packed"),
                ratio: Some(median(&mut alone) / seconds),
                rows_per_s,
                ..Figure::default()
            },
        })
    })?;
    show(figure)
}

/// Seconds that encrypting so many packed values takes, both parts, and nothing else.
fn encrypting(values: usize) -> anyhow::Result<f64> {
    let (params, _) = dyad_bcp::ParaGen::new(dyad_bcp::KeySize::default()).run()?;
    let key = dyad_bcp::SecretKey::generate(&params)?;
    let layout = SlotLayout::new(&params, 10, STATISTICAL_BITS)?;
    let slots = (0..values).map(|_| layout.blind()).collect::<Result<Vec<_>, _>>()?;
    let plaintexts = layout.pack(&slots)?;
    key.public().encrypt_many(&plaintexts[..8])?;
    let start = Instant::now();
    for _ in 0..2 {
        key.public().encrypt_many(&plaintexts)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Round trips in a turn, and a bandwidth's pieces.
const TRIPS: u32 = 5_000;
const PIECE: usize = 1 << 20;
const PIECES: usize = 256;

fn link(show: Show<'_>) -> Done {
    let (mut ours, mut theirs, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..7 {
        theirs.push(raw_trip()?);
        let pair = dyad_net::link::loopback_pair()?;
        let (trip, rate) = over(pair.dialler, pair.acceptor)?;
        ours.push(trip);
        rates.push(rate);
    }
    let value = median(&mut ours);
    show(Figure {
        bench: "link.grpc",
        params: "8 bytes there and back".to_owned(),
        value: value * 1e6,
        unit: "us",
        baseline: Some("raw TCP, no TLS"),
        ratio: Some(median(&mut theirs) / value),
        gb_per_s: Some(median(&mut rates)),
        ..Figure::default()
    })
}

fn raw_trip() -> Result<f64, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut one = TcpStream::connect(listener.local_addr()?)?;
    let (mut other, _) = listener.accept()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut bytes = [0; 8];
        while other.read_exact(&mut bytes).is_ok() && other.write_all(&bytes).is_ok() {}
    });
    let mut bytes = [0; 8];
    let mut trip = |_| {
        one.write_all(&bytes)?;
        one.read_exact(&mut bytes)
    };
    (0..TRIPS).try_for_each(&mut trip)?;
    let start = Instant::now();
    (0..TRIPS).try_for_each(&mut trip)?;
    let seconds = start.elapsed().as_secs_f64() / f64::from(TRIPS);
    drop(one);
    echo.join().map_err(|_| "the echo failed")?;
    Ok(seconds)
}

fn over(
    mut one: impl Link + 'static,
    mut other: impl Link + 'static,
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let late = || Instant::now() + Duration::from_secs(20);
    let echo = thread::spawn(move || -> Result<(), LinkError> {
        for _ in 0..2 * TRIPS {
            let frame = other.recv(late())?;
            other.send(frame)?;
        }
        for _ in 0..PIECES {
            other.recv(late())?;
        }
        other.send(Bytes::from_static(b"done"))
    });
    let mut trip = |_| {
        one.send(Bytes::from_static(b"12345678"))?;
        one.recv(late()).map(drop)
    };
    (0..TRIPS).try_for_each(&mut trip)?;
    let start = Instant::now();
    (0..TRIPS).try_for_each(&mut trip)?;
    let seconds = start.elapsed().as_secs_f64() / f64::from(TRIPS);
    let piece = Bytes::from(vec![7; PIECE]);
    let start = Instant::now();
    for _ in 0..PIECES {
        one.send(piece.clone())?;
    }
    one.recv(late())?;
    let rate = (PIECE * PIECES) as f64 / start.elapsed().as_secs_f64() / 1e9;
    echo.join().map_err(|_| "the echo failed")??;
    Ok((seconds, rate))
}

/// Rows and epochs of the training: long enough that its rate settles.
const TRAIN_ROWS: usize = 10 * BATCH;
const EPOCHS: u32 = 40;

fn train(show: Show<'_>) -> Done {
    let runtime = Runtime::new()?;
    let (prepared, seconds) = runtime.block_on(over_services())?;
    // The very same training, in one process over loopback sockets.
    let plan = prepared.training.plan();
    let inputs = rows(plan);
    let mut alone = Vec::new();
    for _ in 0..5 {
        alone.push(on_shares(plan, &inputs, Lines::Tcp, 40)?);
    }
    let alone = median(&mut alone);
    show(Figure {
        bench: "train.mlp.services",
        params: format!("{}, batch {BATCH}", MLP.map(|width| width.to_string()).join("-")),
        value: seconds,
        unit: "s",
        baseline: Some("train.mlp, one process, TCP"),
        ratio: Some(alone / seconds),
        ..Figure::default()
    })
}

async fn over_services() -> anyhow::Result<(Prepared, f64)> {
    let owner = owner(784).await?;
    let file = file(owner.folder.path(), Form::Csv, 784, TRAIN_ROWS)?;
    let options = ReadOptions::default();
    let request = Request { study: &owner.study, file: &file, mode: Mode::Sealed, options };
    owner.client.upload_numbered(&request, "id", &|_, _, _| {}).await?;
    let training = Training {
        epochs: EPOCHS,
        batch: BATCH,
        metrics: Some(vec![]),
        ..Training::of("mlp:128,128".parse()?)
    };
    let proposal = Proposal {
        study: &owner.study,
        training: Described::Short(&training),
        engine: Engine::Share,
        randomness: Randomness::Dealer,
        opening: Opening::Each,
        recipients: vec![],
        may_predict: vec![],
        uploads: vec![],
        leave_out: false,
        test_share: 0.0,
        split: 1,
        checkpoint: Some(100),
    };
    let prepared = owner.client.prepare(&proposal).await?;
    owner.client.propose(&prepared).await?;
    let job = prepared.job.digest();
    let reviewed = owner.client.review(&prepared.study, &job).await?;
    owner.client.approve(&reviewed, Duration::from_hours(1)).await?;
    let mut seen: Vec<(Instant, u64)> = Vec::new();
    loop {
        let [_, status] = owner.client.job(&prepared.study, &job).await?;
        let now = Instant::now();
        if status.state == State::Running && status.step > 0 {
            seen.push((now, status.step));
        }
        if status.state.is_over() {
            ensure!(status.state == State::Released, "{}: {}", status.state, status.reason);
            break;
        }
        // Asked seldom: the answer takes time that the training wants.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let steps = prepared.training.plan().steps();
    // Without the beginning, where the dealer is ahead, and the end, where nothing more is dealt.
    let middle = seen.iter().filter(|(_, step)| (steps / 8..steps - steps / 8).contains(step));
    let middle: Vec<_> = middle.collect();
    let (first, last) = (middle.first(), middle.last());
    let ((start, from), (end, to)) = first.zip(last).context("the training was not seen")?;
    ensure!(to > from, "the training was seen once only");
    drop(owner.processes);
    Ok((prepared, (*end - *start).as_secs_f64() / (to - from) as f64))
}

/// Kills in a turn of each service.
const KILLS: u64 = 3;

fn resume(show: Show<'_>) -> Done {
    let runtime = Runtime::new()?;
    for who in [Role::C0, Role::C1, Role::Kgc] {
        let mut times = runtime.block_on(async {
            let folder = tempfile::Builder::new().prefix("dyad-bench-").tempdir()?;
            let mut processes = Processes::start(folder.path()).await?;
            let fault = |i| Fault::killed(who, When::Step(20 + 60 * i), 0);
            let mut scenario = Scenario::new()?;
            scenario.training.epochs = 12;
            scenario.faults = (0..KILLS).map(fault).collect();
            let outcome = play(&mut processes, folder.path(), &scenario).await?;
            let times = outcome.resumed.iter().map(|(after, _)| after.as_secs_f64());
            Ok::<_, anyhow::Error>(times.collect::<Vec<_>>())
        })?;
        if times.is_empty() {
            return Err(format!("{who}: no kill was seen to interrupt the training").into());
        }
        show(Figure {
            bench: "resume",
            params: format!("{who} killed, {} times", times.len()),
            value: median(&mut times),
            unit: "s",
            ..Figure::default()
        })?;
    }
    Ok(())
}

/// What `dyad-local` says.
const FIRST_STEP: &str = "from start to the first step seen";

fn local(show: Show<'_>) -> Done {
    let here = std::env::current_exe()?;
    let program = here.with_file_name("dyad-local");
    let mut times = Vec::new();
    for _ in 0..3 {
        let output = Command::new(&program).stderr(Stdio::null()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix(FIRST_STEP));
        let seconds = line.and_then(|line| line.trim().strip_suffix(" s")?.parse::<f64>().ok());
        let missing = || format!("{} shows no first step", program.display());
        times.push(seconds.ok_or_else(missing)?);
    }
    show(Figure {
        bench: "local.start",
        params: "Breast Cancer, three owners".to_owned(),
        value: median(&mut times),
        unit: "s",
        ..Figure::default()
    })
}
