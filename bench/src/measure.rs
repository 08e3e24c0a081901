//! Honest timing on a noisy machine: in turns, medians.

use std::time::{Duration, Instant};

/// Seconds per operation of two ways to do the same thing.
pub(crate) struct Pair {
    pub ours: f64,
    pub baseline: f64,
}

impl Pair {
    pub(crate) fn ratio(&self) -> f64 {
        self.baseline / self.ours
    }
}

/// How often each side is timed, and how long it takes at least in all.
const ROUNDS: usize = 9;
const AT_LEAST: Duration = Duration::from_secs(3);

/// Times `ours` (which does `ours_count` operations) and `baseline` (which does `baseline_count`)
/// in turns; medians per operation.
pub(crate) fn compare(
    ours_count: usize,
    mut ours: impl FnMut(),
    baseline_count: usize,
    mut baseline: impl FnMut(),
) -> Pair {
    // Tables are made and caches warmed before the clock runs.
    ours();
    baseline();
    let start = Instant::now();
    let (mut our_times, mut baseline_times) = (Vec::new(), Vec::new());
    while our_times.len() < ROUNDS || start.elapsed() < AT_LEAST {
        our_times.push(seconds(&mut ours) / ours_count as f64);
        baseline_times.push(seconds(&mut baseline) / baseline_count as f64);
    }
    Pair { ours: median(&mut our_times), baseline: median(&mut baseline_times) }
}

/// Seconds one call takes.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Seconds a core spends on one call, which must stay on its thread, and what the call gives: the
/// system's count where it keeps one, so that other programs on the core do not show.
pub(crate) fn core_seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let spent = || -> Option<u64> {
        let all = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        all.split_whitespace().next()?.parse().ok()
    };
    let (start, before) = (Instant::now(), spent());
    let made = work();
    let (wall, after) = (start.elapsed().as_secs_f64(), spent());
    match (before, after) {
        (Some(before), Some(after)) if after > before => ((after - before) as f64 * 1e-9, made),
        _ => (wall, made),
    }
}

/// The middle of some times.
pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Runs `work` with one thread: what one core does.
pub(crate) fn on_one_core<T: Send>(
    work: impl FnOnce() -> T + Send,
) -> Result<T, rayon::ThreadPoolBuildError> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(1).build()?.install(work))
}
