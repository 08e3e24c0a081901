//! How far it is: a bar with rate and time left if standard error is a terminal, plain lines now and
//! then if not.

use crate::words;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is done sooner needs no bar.
const SOON: Duration = Duration::from_millis(400);
/// Nor a plain line.
const PLAIN: Duration = Duration::from_secs(1);
/// Between two plain lines.
const LINES: Duration = Duration::from_secs(5);

/// Where it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    live: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        // A terminal that calls itself dumb moves no lines.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { live: io::stderr().is_terminal() && !dumb }
    }

    /// Something that takes a while.
    pub(crate) fn task(self) -> Task {
        Task { screen: self, started: Instant::now(), state: Mutex::new(State::default()) }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Steps,
}

/// How far it is.
#[derive(Debug)]
pub(crate) struct Task {
    screen: Screen,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    what: String,
    bar: Option<ProgressBar>,
    line: Option<Instant>,
    since: Option<(Instant, u64)>,
}

impl Task {
    /// So much is done of so much.
    pub(crate) fn at(&self, what: &str, unit: Unit, done: u64, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = state.what != what;
        if anew {
            state.finish();
            what.clone_into(&mut state.what);
            state.since = Some((Instant::now(), done));
        }
        if self.screen.live {
            if state.bar.is_none() && self.started.elapsed() >= SOON {
                state.bar = Some(bar(what, unit, total));
            }
            if let Some(bar) = &state.bar {
                bar.set_length(total);
                bar.set_position(done);
            }
        } else if self.started.elapsed() >= PLAIN
            && (anew || state.line.is_none_or(|line| line.elapsed() >= LINES))
        {
            state.line = Some(Instant::now());
            say(&plain(what, unit, done, total, state.since));
        }
    }

    /// It is busy with something: of interest only to whoever sits before it.
    pub(crate) fn busy(&self, what: &str) {
        if self.screen.live {
            self.waits(what);
        }
    }

    /// It waits for something.
    pub(crate) fn waits(&self, what: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.what == what {
            return;
        }
        state.finish();
        what.clone_into(&mut state.what);
        if self.screen.live {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            state.bar = Some(bar);
        } else {
            say(what);
        }
    }

    /// Nothing of it stays on the screen.
    pub(crate) fn done(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.done();
    }
}

impl State {
    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.what.clear();
    }
}

fn bar(what: &str, unit: Unit, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let counted = match unit {
        Unit::Bytes => "{bytes} of {total_bytes}, {bytes_per_sec}",
        Unit::Steps => "{pos} of {len}, {per_sec}",
    };
    let template = format!("{{msg}} [{{bar:28}}] {counted}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what.to_owned());
    bar
}

fn plain(what: &str, unit: Unit, done: u64, total: u64, since: Option<(Instant, u64)>) -> String {
    let number = |n: u64| match unit {
        Unit::Bytes => words::bytes(n),
        Unit::Steps => words::count(n),
    };
    let line = format!("{what}: {} of {}", number(done), number(total));
    let Some((start, first)) = since.filter(|(start, _)| start.elapsed() >= LINES) else {
        return line;
    };
    let rate = done.saturating_sub(first) as f64 / start.elapsed().as_secs_f64();
    if rate <= 0.0 {
        return line;
    }
    let left = words::seconds(total.saturating_sub(done) as f64 / rate);
    match unit {
        Unit::Bytes => format!("{line}, {}/s, {left} left", words::bytes(rate as u64)),
        Unit::Steps => format!("{line}, {rate:.1} a second, {left} left"),
    }
}

/// A line on standard error. If nobody reads it, nothing is lost.
pub(crate) fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}
