//! Peak memory of each party as a process of its own, on rows as many as MNIST has.

use super::{MLP, job, rows};
use crate::figure::Figure;
use crate::{Done, Show};
use dyad_learn::{Loss, Plan, Run};
use dyad_mpc::correlations::{AHEAD, LinkSink, LinkSource};
use dyad_mpc::link::Link;
use dyad_mpc::link::tcp::TcpLink;
use dyad_mpc::prg::{Attempt, Label, Party as Side, Prg, Seed, Stream};
use dyad_mpc::together::{Input, Program, cost};
use dyad_mpc::{Contract, Dealer, LIMIT, Party, Session};
use std::env;
use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

const ROWS: usize = 60_000;
/// Steps until nothing new is allocated.
const STEPS: u64 = 12;
/// Set in the processes that are parties: which, and the ports of the two lines.
const VARIABLE: &str = "DYAD_BENCH_PARTY";
const PARTIES: [&str; 3] = ["C0", "C1", "dealer"];

pub(super) fn memory(show: Show<'_>) -> Done {
    // Ports that are free now.
    let free = || -> std::io::Result<u16> {
        Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
    };
    let (clouds, dealing) = (free()?, free()?);
    let mut children = Vec::new();
    for name in ["C1", "C0", "dealer"] {
        let child = Command::new(env::current_exe()?)
            .env(VARIABLE, format!("{name} {clouds} {dealing}"))
            .stdout(Stdio::piped())
            .spawn()?;
        children.push((name, child));
    }
    for (name, child) in children {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("{name} failed").into());
        }
        let peak: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        show(Figure {
            bench: "train.memory",
            params: format!("{name}, {ROWS} rows of 784, {STEPS} steps"),
            value: peak,
            unit: "MiB",
            peak_mib: Some(peak),
            ..Figure::default()
        })?;
    }
    Ok(())
}

/// In a process that is a party: runs it and prints its peak. Elsewhere: nothing.
pub(crate) fn as_party() -> Option<Done> {
    let told = env::var(VARIABLE).ok()?;
    Some(party(&told))
}

fn party(told: &str) -> Done {
    let words: Vec<&str> = told.split(' ').collect();
    let [name, clouds, dealing] = words[..] else { return Err("no such party".into()) };
    let plan = job(&MLP, Loss::Softmax, 128, ROWS).check()?;
    let run = Run { until: STEPS, ..Run::all(&plan) };
    let attempt = Attempt { job: [1; 32], nonces: [[2; 16], [3; 16]] };
    let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&[4; 32], &attempt, side));
    let contract = Contract::new(attempt, cost(&run)?.1, [&seeds[0], &seeds[1]]);
    match PARTIES.iter().position(|party| *party == name) {
        Some(0) => {
            let mut party = Party::zero(&seeds[0], &attempt, call(clouds)?);
            give(&plan, &mut party, Side::Zero);
            cloud(party, &run, &contract)?;
        }
        Some(1) => {
            let (zero, dealer) = (listen(clouds)?, listen(dealing)?);
            let source = LinkSource::new(answer(&dealer)?, &attempt.job, AHEAD, LIMIT);
            let link = answer(&zero)?;
            let mut party = Party::one(&seeds[1], &attempt, link, Box::new(source));
            give(&plan, &mut party, Side::One);
            cloud(party, &run, &contract)?;
        }
        _ => {
            let sink = LinkSink::new(call(dealing)?, &attempt.job, LIMIT);
            let mut dealer = Dealer::new([&seeds[0], &seeds[1]], Box::new(sink));
            dealer.greet(&contract)?;
            let mut session = Session::new(dealer);
            run.run(&mut session)?;
            session.into_engine().finish()?;
        }
    }
    println!("{:.1}", peak_mib()?);
    Ok(())
}

fn cloud(mut party: Party, run: &Run<'_>, contract: &Contract) -> Done {
    party.greet(contract)?;
    run.run(&mut Session::new(party))?;
    Ok(())
}

/// A cloud's shares of the rows: C0's drawn, C1's what lacks.
fn give(plan: &Plan, party: &mut Party, side: Side) {
    let prg = Prg::new(&Seed::from_bytes([5; 32]));
    let names = [("features", plan.features(ROWS)), ("labels", plan.labels(ROWS))];
    let inputs = match side {
        Side::Zero => vec![],
        Side::One => rows(plan),
    };
    let mut inputs = inputs.into_iter();
    for (operation, (name, meta)) in names.into_iter().enumerate() {
        let label = Label { step: 0, operation: operation as u32, stream: Stream::Share };
        let share = match inputs.next() {
            None => {
                let mut share = vec![0; meta.shape.len()];
                prg.fill(label, 0, &mut share);
                share
            }
            Some(Input { mut words, .. }) => {
                let mut drawn = vec![0; 1 << 14];
                for (i, words) in words.chunks_mut(drawn.len()).enumerate() {
                    let drawn = &mut drawn[..words.len()];
                    prg.fill(label, (i << 14) as u64, drawn);
                    for (word, drawn) in words.iter_mut().zip(drawn) {
                        *word = word.wrapping_sub(*drawn);
                    }
                }
                words
            }
        };
        party.give(name, meta, share);
    }
}

fn listen(port: &str) -> Result<TcpListener, Box<dyn Error>> {
    Ok(TcpListener::bind(("127.0.0.1", port.parse()?))?)
}

fn answer(listener: &TcpListener) -> Result<Box<dyn Link>, Box<dyn Error>> {
    Ok(Box::new(TcpLink::new(listener.accept()?.0)?))
}

/// Connects, as soon as the other end listens.
fn call(port: &str) -> Result<Box<dyn Link>, Box<dyn Error>> {
    let port = port.parse()?;
    for _ in 0..600 {
        if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
            return Ok(Box::new(TcpLink::new(socket)?));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err("the other party does not listen".into())
}

/// The most this process held, by the kernel's account.
fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.ok_or("no VmHWM here")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
