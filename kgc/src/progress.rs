//! The search for primes, shown: a bar on a terminal, a line now and then elsewhere.

use dyad_bcp::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(10);

pub(crate) struct Shown {
    bar: Option<ProgressBar>,
    started: Instant,
    /// The last line.
    told: Mutex<Instant>,
}

impl Shown {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = "searching for primes {bar:30} {pos} of about {len} candidates, {msg} \
                         {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        Self { bar, started: now, told: Mutex::new(now) }
    }

    pub(crate) fn show(&self, progress: Progress) {
        let Progress { tested, expected, found } = progress;
        // It takes as long as it takes: half or thrice the average is common.
        let length = expected.max(tested + 1);
        if let Some(bar) = &self.bar {
            bar.set_length(length);
            bar.set_position(tested);
            bar.set_message(format!("{found} of 2 found, {}", self.left(tested, expected)));
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= LINES {
            *told = Instant::now();
            eprintln!(
                "searching for primes: {tested} of about {expected} candidates, {found} of 2 \
                 found, {}",
                self.left(tested, expected)
            );
        }
    }

    fn left(&self, tested: u64, expected: u64) -> String {
        if tested == 0 || tested >= expected {
            return "soon done".to_owned();
        }
        let spent = self.started.elapsed().as_secs_f64();
        let left = spent * (expected - tested) as f64 / tested as f64;
        format!("about {left:.0} s left")
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
