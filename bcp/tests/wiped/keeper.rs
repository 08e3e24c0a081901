//! An allocator that keeps freed blocks as they were while it is told to, and a search through
//! them.

use num_bigint::BigUint;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Keeper;

#[global_allocator]
static KEEPER: Keeper = Keeper;

static KEEPING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Address, size, alignment of each block; an address of zero is not written yet.
static BLOCKS: [[AtomicUsize; 3]; 1 << 21] =
    [const { [const { AtomicUsize::new(0) }; 3] }; 1 << 21];

// SAFETY: all memory is the system allocator's. A kept block is not given back before `Freed`
// drops, and nobody but `Freed` has its address by then. `realloc` is the trait's own: a new block,
// a copy, and the old block freed, which is what growing means at worst.
unsafe impl GlobalAlloc for Keeper {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeros, so that nothing is found but what was written to the block: this test's own
        // numbers, which nobody wipes, come back in what malloc hands out.
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if KEEPING.load(SeqCst)
            && let Some(block) = BLOCKS.get(COUNT.fetch_add(1, SeqCst))
        {
            block[1].store(layout.size(), SeqCst);
            block[2].store(layout.align(), SeqCst);
            block[0].store(pointer as usize, SeqCst);
            return;
        }
        // SAFETY: the caller keeps GlobalAlloc's contract; the block came from the system
        // allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Held through the whole of a test: another one's numbers, which nobody wipes, would be found.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was freed while some work ran.
pub(crate) struct Freed {
    blocks: usize,
}

/// Does the work and keeps what it frees, on whatever thread.
pub(crate) fn kept<T>(work: &dyn Fn() -> T) -> (T, Freed) {
    COUNT.store(0, SeqCst);
    KEEPING.store(true, SeqCst);
    let result = work();
    KEEPING.store(false, SeqCst);
    (result, Freed { blocks: COUNT.load(SeqCst) })
}

impl Freed {
    fn blocks(&self) -> impl Iterator<Item = &'static [AtomicUsize; 3]> + use<> {
        BLOCKS[..self.blocks.min(BLOCKS.len())].iter().filter(|b| b[0].load(SeqCst) != 0)
    }

    /// The names of the secrets of which a word is in a freed block.
    pub(crate) fn find(&self, secrets: &Secrets) -> Vec<&'static str> {
        assert!(self.blocks <= BLOCKS.len(), "more was freed than can be kept");
        let mut found = BTreeSet::new();
        for block in self.blocks() {
            let [start, size, _] = block.each_ref().map(|x| x.load(SeqCst));
            // SAFETY: the block is not given back before `self` drops, and nobody writes to it.
            let bytes = unsafe { std::slice::from_raw_parts(start as *const u8, size) };
            for word in bytes.windows(8) {
                let word: [u8; 8] = word.try_into().expect("eight bytes");
                for word in [u64::from_le_bytes(word), u64::from_be_bytes(word)] {
                    if secrets.may_have(word) {
                        found.extend(secrets.words.get(&word));
                    }
                }
            }
        }
        found.into_iter().collect()
    }

    /// All whole words in freed blocks, for a search that knows what may be there instead of what
    /// may not.
    #[allow(dead_code, reason = "another crate's tests search so")]
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + use<> {
        assert!(self.blocks <= BLOCKS.len(), "more was freed than can be kept");
        self.blocks().flat_map(|block| {
            let [start, size, _] = block.each_ref().map(|x| x.load(SeqCst));
            // SAFETY: as above; the caller holds `self` while it looks.
            let bytes = unsafe { std::slice::from_raw_parts(start as *const u8, size) };
            bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
        })
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        for block in self.blocks() {
            let [start, size, align] = block.each_ref().map(|x| x.swap(0, SeqCst));
            let layout = Layout::from_size_align(size, align).expect("it was one");
            // SAFETY: the block came from the system allocator with this layout, and is given back
            // once: its address is gone from the list.
            unsafe { System.dealloc(start as *mut u8, layout) };
        }
    }
}

/// Words that must not be found: the limbs of secret numbers, and their digits of 52 bits.
pub(crate) struct Secrets {
    words: HashMap<u64, &'static str>,
    /// Bit `hash` is set for every word: most words need no second look.
    filter: Vec<bool>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { words: HashMap::new(), filter: vec![false; 1 << 16] }
    }
}

fn hash(word: u64) -> usize {
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

impl Secrets {
    pub(crate) fn and(mut self, name: &'static str, secret: &BigUint) -> Self {
        let digit =
            |i: u64| (secret >> (52 * i)).to_u64_digits().first().map_or(0, |x| x << 12 >> 12);
        let digits = (0..secret.bits().div_ceil(52)).map(digit);
        for word in secret.to_u64_digits().into_iter().chain(digits) {
            // A word with many zeros may be there by chance.
            if word.to_le_bytes().iter().filter(|byte| **byte != 0).count() > 5 {
                self.words.insert(word, name);
                self.filter[hash(word)] = true;
            }
        }
        self
    }

    fn may_have(&self, word: u64) -> bool {
        self.filter[hash(word)]
    }
}
