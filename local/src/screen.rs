//! What a person sees: one line per step with its time; a moving line while it runs, if this is a
//! terminal.

use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a moving line moves.
const REFRESH: Duration = Duration::from_millis(100);
/// Clears the line the cursor is in.
const CLEAR: &str = "\r\x1b[K";
/// A line longer than the terminal is wide is cut, not wrapped: only one row can be cleared.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// Begins a part of the story.
pub(crate) fn title(text: &str) -> io::Result<()> {
    writeln!(stdout(), "\n{text}")
}

/// A fact in it.
pub(crate) fn line(what: &str, value: &str) -> io::Result<()> {
    writeln!(stdout(), "  {what:<56} {value}")
}

/// The terminal, or a file.
pub(crate) struct Screen {
    live: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        // A terminal that calls itself dumb knows no escape sequences.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { live: stderr().is_terminal() && !dumb }
    }

    /// Runs a step and says how long it took. The step may tell how far it is.
    pub(crate) fn step<T, E>(
        &self,
        what: &str,
        work: impl FnOnce(&(dyn Fn(&str) + Sync)) -> Result<T, E>,
    ) -> Result<T, Box<dyn std::error::Error>>
    where
        E: std::error::Error + 'static,
    {
        let last = Mutex::new(None::<Instant>);
        let start = Instant::now();
        let tick = |text: &str| {
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.is_none_or(|at| at.elapsed() > REFRESH) {
                self.moving(&format!("  {what}: {text}"));
                *last = Some(Instant::now());
            }
        };
        self.moving(&format!("  {what} ..."));
        let result = work(&tick);
        self.moving("");
        let result = result?;
        line(what, &format!("{:>8.3} s", start.elapsed().as_secs_f64()))?;
        Ok(result)
    }

    /// Shows the moving line. If that cannot be, nothing is lost.
    fn moving(&self, text: &str) {
        if self.live {
            // In one piece: nothing may come between switching and switching back.
            let text = format!("{CLEAR}{WRAP_OFF}{text}{WRAP_ON}");
            let mut stderr = stderr();
            drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
        }
    }
}
