//! Memory for packed operands: kept by the thread for its next product, wiped after each.
#![allow(unsafe_code)] // the alignment of a line is lost in safe Rust

use std::cell::Cell;
use zeroize::optimization_barrier;

/// A line of cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; LINE]);

/// Words in a line.
pub(super) const LINE: usize = 8;

/// Zeros, but for the time somebody has taken them.
#[derive(Default)]
pub(super) struct Scratch(Vec<Line>);

impl Drop for Scratch {
    // Zeros already, unless the work panicked.
    fn drop(&mut self) {
        self.0.fill(Line([0; LINE]));
        optimization_barrier(self.0.as_slice());
    }
}

thread_local! {
    static KEPT: [Cell<Scratch>; 2] = const { [const { Cell::new(Scratch(Vec::new())) }; 2] };
}

impl Scratch {
    /// Calls `work` with aligned zeros, `lengths` words of them, and wipes them after.
    pub(super) fn with<T>(
        lengths: [usize; 2],
        work: impl FnOnce(&mut [u64], &mut [u64]) -> T,
    ) -> T {
        // A product that waits for other threads may run another on this one, which then finds
        // nothing here and allocates.
        let [mut left, mut right] = KEPT.with(|kept| [kept[0].take(), kept[1].take()]);
        let left_words = left.words(lengths[0]);
        let right_words = right.words(lengths[1]);
        let done = work(left_words, right_words);
        wipe(left_words);
        wipe(right_words);
        KEPT.with(|kept| {
            kept[0].set(left);
            kept[1].set(right);
        });
        done
    }

    fn words(&mut self, length: usize) -> &mut [u64] {
        let lines = length.div_ceil(LINE);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; LINE]));
        }
        // SAFETY: lines are words without padding, and there are at least `length` of those.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), length) }
    }
}

/// Overwrites with zeros, for good, as fast as memory goes.
pub(super) fn wipe(words: &mut [u64]) {
    words.fill(0);
    optimization_barrier(words);
}
