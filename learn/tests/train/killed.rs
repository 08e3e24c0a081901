//! Processes that are killed (SIGKILL) in the middle of a training, and others that go on from what
//! they left: three processes each time, C0, C1 and the dealer, over sockets. They are this test
//! binary again, told by their environment what to be.

use super::rows::{Parts, sample};
use dyad_learn::checkpoint::{Checkpoint, Holder, bind};
use dyad_learn::together::clear;
use dyad_learn::{Data, Error, Job, Loss, Plan, Run, Start, Training};
use dyad_mpc::correlations::{AHEAD, LinkSink, LinkSource};
use dyad_mpc::link::tcp::TcpLink;
use dyad_mpc::prg::{Attempt, Label, Party as Side, Prg, Seed, Stream};
use dyad_mpc::together::{Input, JOB, cost};
use dyad_mpc::{Contract, Dealer, Opened, Party, Session};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

/// Steps between checkpoints.
const EVERY: u64 = 10;
const STEPS: u64 = 60;
/// The dealer's, for the job.
const SECRET: [u8; 32] = [0x77; 32];
const LIMIT: Duration = Duration::from_mins(1);

fn job(parts: &Parts) -> (Plan, Data) {
    let rows = parts.train.classes.len();
    let job = Job::mlp(rows, &[parts.width, 16, 10], Loss::SquaredError, 64, 3);
    let (plan, train, _) =
        parts.plan(&Job { momentum: 0.75, start: Start::Dealer, ..job }).unwrap();
    (plan, train)
}

fn digits() -> Parts {
    sample(&dyad_data::digits().unwrap(), 8)
}

/// What a process is told: who it is, its attempt, the step to go on from and that one's attempt,
/// its folder, ports of those it calls, and the step before whose checkpoint it waits to be killed.
const TOLD: &str = "DYAD_TEST_PARTY";

struct Told {
    who: String,
    attempt: Attempt,
    from: u64,
    before: Attempt,
    folder: PathBuf,
    ports: Vec<u16>,
    hold: u64,
}

fn attempt(number: u8) -> Attempt {
    Attempt { job: JOB, nonces: [[number; 16], [number + 100; 16]] }
}

impl Told {
    fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split('|').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        Self {
            who: words[0].to_owned(),
            attempt: attempt(number(1) as u8),
            from: number(2),
            before: attempt(number(3) as u8),
            folder: words[4].into(),
            ports: words[5].split_whitespace().map(|port| port.parse().unwrap()).collect(),
            hold: number(6),
        }
    }

    fn run<'p>(&self, plan: &'p Plan) -> Run<'p> {
        let run = Run { agree_every: EVERY, until: STEPS, open_model: true, ..Run::all(plan) };
        Run { from: self.from, ..run }
    }

    /// One of the three, from its beginning to its end.
    fn be(&self) {
        let (plan, train) = job(&digits());
        let run = self.run(&plan);
        let seeds = [Side::Zero, Side::One].map(|side| Seed::derive(&SECRET, &self.attempt, side));
        let mut program = cost(&run).unwrap().1;
        let call = |i: usize| {
            let link = TcpLink::new(TcpStream::connect(("127.0.0.1", self.ports[i])).unwrap());
            Box::new(link.unwrap())
        };
        let side = match &self.who[..] {
            "C0" => Side::Zero,
            "C1" => Side::One,
            _ => {
                if self.from > 0 {
                    program = bind(program, &self.before, self.from);
                }
                let sink = LinkSink::new(Box::new(answer()), &JOB, LIMIT);
                let mut dealer = Dealer::new([&seeds[0], &seeds[1]], Box::new(sink));
                for Input { name, meta, words } in plan.dealer_inputs(&SECRET, &JOB) {
                    dealer.give(&name, meta, words);
                }
                dealer
                    .greet(&Contract::new(self.attempt, program, [&seeds[0], &seeds[1]]))
                    .unwrap();
                let mut session = Session::new(dealer);
                run.each(&mut session, &mut |_| Ok::<_, Error>(())).unwrap();
                session.into_engine().finish().unwrap();
                return;
            }
        };
        let mut party = match side {
            Side::Zero => Party::zero(&seeds[0], &self.attempt, Box::new(answer())),
            Side::One => {
                let source = LinkSource::new(call(1), &JOB, AHEAD, LIMIT);
                Party::one(&seeds[1], &self.attempt, call(0), Box::new(source))
            }
        };
        for (i, Input { name, meta, words }) in train.inputs(&plan, "").into_iter().enumerate() {
            party.give(&name, meta, share(side, i as u32, &words));
        }
        if self.from > 0 {
            let state = Checkpoint::read(&self.path(self.from)).unwrap();
            // What C1 has must be of the step it was told; C0 trusts its own file, to see that
            // unequal halves are found all the same.
            let step = if side == Side::One { self.from } else { state.step() };
            let holder = Holder::Cloud(side);
            for share in state.expect(&plan, &self.before, holder, step).unwrap() {
                party.give(&share.name, share.meta, share.words.clone());
            }
            program = state.bind(program);
        }
        let contract = Contract::new(self.attempt, program, [&seeds[0], &seeds[1]]);
        if let Err(error) = party.greet(&contract) {
            say(&format!("refused {error}"));
            return;
        }
        let mut session = Session::new(party);
        let opened = run.each(&mut session, &mut |training| self.after(side, training)).unwrap();
        say(&format!("opened {}", digest(&opened)));
    }

    /// After each step; after some a checkpoint.
    fn after(&self, side: Side, training: &Training<'_, Party>) -> Result<(), Error> {
        let done = training.done();
        if training.is_agreed() && done > self.from {
            if done == self.hold {
                say(&format!("holding {done}"));
                thread::sleep(LIMIT);
            }
            let state = Checkpoint::of(training, self.attempt, Holder::Cloud(side))?;
            state.write(&self.path(done)).map_err(Error::from)?;
            say(&format!("wrote {done}"));
        }
        say(&format!("step {done}"));
        Ok(())
    }

    /// A checkpoint's: the old one is kept beside the new.
    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{}-{step}", self.who))
    }
}

/// A cloud's share of an input: the same in every process.
fn share(side: Side, number: u32, words: &[u64]) -> Vec<u64> {
    let label = Label { step: 0, operation: number, stream: Stream::Share };
    let mut share = vec![0; words.len()];
    Prg::new(&Seed::from_bytes([0x33; 32])).fill(label, 0, &mut share);
    match side {
        Side::Zero => share,
        Side::One => words.iter().zip(share).map(|(x, share)| x.wrapping_sub(share)).collect(),
    }
}

/// Says which port one listens at, and waits for who calls.
fn answer() -> TcpLink {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    say(&format!("port {}", listener.local_addr().unwrap().port()));
    TcpLink::new(listener.accept().unwrap().0).unwrap()
}

/// To the test: lines of the test harness come between.
fn say(what: &str) {
    println!("@{what}");
    std::io::stdout().flush().unwrap();
}

fn digest(opened: &[Opened]) -> String {
    let words = opened.iter().flat_map(|opened| opened.words.iter().copied());
    let hash = words.fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| {
        (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What a process started by the tests below runs; nothing otherwise.
#[test]
fn be_a_party() {
    if let Ok(told) = env::var(TOLD) {
        Told::read(&told).be();
    }
}

struct Process {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Process {
    fn start(told: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::be_a_party", "--nocapture", "--test-threads=1"])
            .env(TOLD, told)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    /// The rest of the next line that begins so; none if it ends before.
    fn until(&mut self, beginning: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.says.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let said = line.split_once('@').and_then(|(_, said)| said.strip_prefix(beginning));
            if let Some(rest) = said {
                return Some(rest.trim().to_owned());
            }
        }
    }
}

/// Nothing that was started is left behind; on Unix this is SIGKILL.
impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// C0, C1 and the dealer, each told the number of its attempt, the step to go on from (C0's first)
/// and the attempt that was of; C1 waits before it writes the checkpoint of step `hold`.
fn start(folder: &Path, number: u8, from: [u64; 2], before: u8, hold: u64) -> [Process; 3] {
    let told = |who: &str, from: u64, ports: &str, hold: u64| {
        let folder = folder.display();
        format!("{who}|{number}|{from}|{before}|{folder}|{ports}|{hold}")
    };
    let mut zero = Process::start(&told("C0", from[0], "", 0));
    let mut dealer = Process::start(&told("dealer", from[1], "", 0));
    let ports = [&mut zero, &mut dealer].map(|process| process.until("port ").unwrap()).join(" ");
    let one = Process::start(&told("C1", from[1], &ports, hold));
    [zero, one, dealer]
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The last step of which both clouds have a whole checkpoint.
fn last_common(folder: &Path) -> u64 {
    let steps = |who: &str| -> BTreeSet<u64> {
        let whole = |step: &u64| Checkpoint::read(&folder.join(format!("{who}-{step}"))).is_ok();
        (1..=STEPS).filter(whole).collect()
    };
    *steps("C0").intersection(&steps("C1")).last().unwrap()
}

/// What a run that was never stopped opens.
fn expected() -> String {
    let (plan, train) = job(&digits());
    let run = Run { until: STEPS, open_model: true, ..Run::all(&plan) };
    let inputs = [train.inputs(&plan, ""), plan.dealer_inputs(&SECRET, &JOB)].concat();
    digest(&clear(&run, &inputs, &mut |_| {}).unwrap().0)
}

fn ends_as_expected(mut processes: [Process; 3]) {
    let expected = expected();
    for cloud in &mut processes[..2] {
        assert_eq!(cloud.until("opened ").expect("it ends"), expected);
    }
    assert!(processes[2].child.wait().unwrap().success());
}

#[test]
fn killed_in_training_it_goes_on_with_the_same_bits() {
    let folder = folder("killed-in-training");
    // Each of the three once; its peers then end by themselves, and each time it goes on.
    let (mut from, mut before) = (0, 0);
    for (victim, step) in [(1, 13), (0, 24), (2, 35)] {
        let number = before + 1;
        let mut processes = start(&folder, number, [from; 2], before, 0);
        let seen = if victim == 2 { 1 } else { victim };
        processes[seen].until(&format!("step {step}")).expect("it gets there");
        let victim = &mut processes[victim].child;
        victim.kill().unwrap();
        assert!(!victim.wait().unwrap().success(), "it had ended already");
        for process in &mut processes {
            assert!(process.until("opened ").is_none(), "it went on alone");
        }
        (from, before) = (last_common(&folder), number);
        assert!(from >= step / EVERY * EVERY && from < STEPS, "{from}");
    }
    ends_as_expected(start(&folder, before + 1, [from; 2], before, 0));
}

#[test]
fn killed_between_the_two_checkpoints_it_goes_on_from_the_one_before() {
    let folder = folder("killed-between");
    let mut processes = start(&folder, 1, [0; 2], 0, 20);
    processes[0].until("wrote 20").expect("C0 writes");
    processes[1].until("holding 20").expect("C1 gets there");
    for Process { child, .. } in &mut processes {
        child.kill().unwrap();
    }
    drop(processes);
    assert!(folder.join("C0-20").exists() && !folder.join("C1-20").exists());
    assert_eq!(last_common(&folder), 10);
    // C0 goes on from what it has last, C1 from what it has last: nothing is computed.
    let mut processes = start(&folder, 2, [20, 10], 1, 0);
    let refused = processes[0].until("refused ").expect("C0 refuses");
    assert!(refused.contains("their programs differ"), "{refused}");
    assert!(processes[1].until("step ").is_none());
    drop(processes);
    ends_as_expected(start(&folder, 3, [10; 2], 1, 0));
}
