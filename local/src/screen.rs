//! What a person sees: one line per step with its time; a moving line while it runs, if this is a
//! terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a moving line moves.
const REFRESH: Duration = Duration::from_millis(100);

/// Begins a part of the story.
pub(crate) fn title(text: &str) {
    println!("\n{text}");
}

/// A fact in it.
pub(crate) fn line(what: &str, value: &str) {
    println!("  {what:<56} {value}");
}

/// The terminal, or a file.
pub(crate) struct Screen {
    live: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { live: stderr().is_terminal() }
    }

    /// Runs a step and says how long it took. The step may tell how far it is.
    pub(crate) fn step<T>(&self, what: &str, work: impl FnOnce(&(dyn Fn(&str) + Sync)) -> T) -> T {
        let last = Mutex::new(None::<Instant>);
        let start = Instant::now();
        let tick = |text: &str| {
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if self.live && last.is_none_or(|at| at.elapsed() > REFRESH) {
                eprint!("\r\x1b[K  {what}: {text}");
                drop(stderr().flush());
                *last = Some(Instant::now());
            }
        };
        if self.live {
            eprint!("\r\x1b[K  {what} ...");
            drop(stderr().flush());
        }
        let result = work(&tick);
        if self.live {
            eprint!("\r\x1b[K");
        }
        println!("  {what:<56} {:>8.3} s", start.elapsed().as_secs_f64());
        result
    }
}
