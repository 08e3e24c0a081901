//! The tile registers. The compiler does not know them yet, so each instruction is assembly;
//! nothing else on a thread touches them between configuration and release.

use super::{Amx, COLUMNS, PLANES, SIDE, TILE_WORDS};
use core::arch::asm;
use core::arch::x86_64::{
    __cpuid, __cpuid_count, __m256i, __m512i, _mm256_loadu_si256, _mm512_add_epi32,
    _mm512_add_epi64, _mm512_castsi512_si256, _mm512_cvtepu32_epi64, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_slli_epi32, _mm512_slli_epi64, _mm512_storeu_si512, _xgetbv,
};
use core::marker::PhantomData;
use zeroize::optimization_barrier;

/// Asks the processor, then the kernel, which keeps the tiles' state only for processes that want
/// it. The permission holds for all threads.
pub(super) fn allowed() -> bool {
    // What `xgetbv` must say: the states of tiles are enabled.
    const TILE_STATES: u64 = 0b11 << 17;
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    const OSXSAVE: u32 = 1 << 27;
    if !cfg!(target_os = "linux") || __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    // SAFETY: the system has enabled xgetbv.
    let states = unsafe { enabled_states() };
    features & TILE != 0 && features & INT8 != 0 && states & TILE_STATES == TILE_STATES && ask()
}

#[target_feature(enable = "xsave")]
fn enabled_states() -> u64 {
    // SAFETY: register 0 is always there.
    unsafe { _xgetbv(0) }
}

#[cfg(target_os = "linux")]
fn ask() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_TILE_DATA: u64 = 18;
    let result: i64;
    // SAFETY: the call reads and writes no memory of ours; the instruction changes rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn ask() -> bool {
    false
}

/// Eight tiles of 16 rows of 64 bytes, on this thread for as long as this lives, and room for
/// what they leave.
pub(in crate::matrix) struct Tiles {
    /// Of the high weights and of the low ones.
    sums: [Sums; 2],
    /// The tiles are this thread's.
    _here: PhantomData<*mut ()>,
}

impl Tiles {
    pub(super) fn new(_: Amx) -> Self {
        const CONFIGURATION: Config = {
            let mut bytes = [0; 64];
            // The palette; widths from byte 16 on, two bytes each; heights from 48 on.
            bytes[0] = 1;
            let mut tile = 0;
            while tile < 8 {
                bytes[16 + 2 * tile] = 64;
                bytes[48 + tile] = 16;
                tile += 1;
            }
            Config(bytes)
        };
        // SAFETY: an `Amx` exists, so the instruction is allowed; it reads 64 bytes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) CONFIGURATION.0.as_ptr(), options(nostack, readonly));
        };
        Self { sums: [const { Sums([[[0; SIDE]; SIDE]; 4]) }; 2], _here: PhantomData }
    }

    /// The product of panels of `steps` steps; of the tile only the rows and columns that are
    /// wanted.
    ///
    /// # Safety
    ///
    /// The slices must have the lengths of `steps` steps and of a tile.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn multiply(
        &mut self,
        steps: usize,
        left: &[u64],
        right: &[u64],
        (rows, columns): (usize, usize),
        tile: &mut [u64],
    ) {
        // Neighbours share an operand, which is still in the first cache.
        for (row, column) in [(0, 0), (1, 0), (1, 1), (0, 1)] {
            if row * SIDE >= rows || column * SIDE >= columns {
                continue;
            }
            // SAFETY: the caller's promise, and the tiles are configured.
            unsafe {
                let left = left.as_ptr().add(row * HALF);
                let right = right.as_ptr().add(column * HALF);
                high(steps, left, right, &mut self.sums[0]);
                low(steps, left, right, &mut self.sums[1]);
            }
            combine(&self.sums, &mut tile[row * SIDE * COLUMNS + column * SIDE..]);
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        for sums in &mut self.sums {
            sums.0.as_flattened_mut().as_flattened_mut().fill(0);
        }
        optimization_barrier(&self.sums);
        // SAFETY: a value exists, so the instruction is allowed. It also zeroes the tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

#[repr(align(64))]
struct Config([u8; 64]);

macro_rules! zero {
    ($($tile:literal)*) => {
        $(asm!(concat!("tilezero tmm", $tile), options(nostack, nomem, preserves_flags));)*
    };
}

macro_rules! load {
    ($tile:literal, $from:expr) => {
        asm!(
            concat!("tileloadd tmm", $tile, ", [{} + {}*1]"),
            in(reg) $from,
            in(reg) 64usize,
            options(nostack, readonly, preserves_flags)
        )
    };
}

macro_rules! multiply_add {
    ($sum:literal += $left:literal * $right:literal) => {
        asm!(
            concat!("tdpbuud tmm", $sum, ", tmm", $left, ", tmm", $right),
            options(nostack, nomem, preserves_flags)
        )
    };
}

macro_rules! store {
    ($tile:literal, $to:expr) => {
        asm!(
            concat!("tilestored [{} + {}*1], tmm", $tile),
            in(reg) $to,
            in(reg) 64usize,
            options(nostack, preserves_flags)
        )
    };
}

/// Loads a plane of the right side and multiplies it by planes of the left that are loaded.
macro_rules! right {
    ($tile:literal = $plane:expr; $($sum:literal += $left:literal),+) => {
        load!($tile, $plane);
        $(multiply_add!($sum += $left * $tile);)+
    };
}

/// A tile of sums for each of four weights, the highest first.
#[repr(align(64))]
struct Sums([[[u32; SIDE]; SIDE]; 4]);

/// Words of all planes of 16 rows or columns, for one step.
const HALF: usize = PLANES * TILE_WORDS;

/// Sums of products of planes whose numbers add up to 7, 6, 5 and 4. Two planes of the left side at
/// a time meet all that they need of the right one, so that a load serves about one product.
unsafe fn high(steps: usize, left: *const u64, right: *const u64, sums: &mut Sums) {
    // SAFETY: the caller's promise; only planes of the panels are read.
    unsafe {
        zero!(0 1 2 3);
        for step in 0..steps {
            let a = |plane: usize| left.add(2 * step * HALF + plane * TILE_WORDS);
            let b = |plane: usize| right.add(2 * step * HALF + plane * TILE_WORDS);
            load!(4, a(0));
            load!(5, a(1));
            right!(6 = b(3); 3 += 5);
            right!(7 = b(4); 3 += 4, 2 += 5);
            right!(6 = b(5); 2 += 4, 1 += 5);
            right!(7 = b(6); 1 += 4, 0 += 5);
            right!(6 = b(7); 0 += 4);
            load!(4, a(2));
            load!(5, a(3));
            right!(7 = b(1); 3 += 5);
            right!(6 = b(2); 3 += 4, 2 += 5);
            right!(7 = b(3); 2 += 4, 1 += 5);
            right!(6 = b(4); 1 += 4, 0 += 5);
            right!(7 = b(5); 0 += 4);
            load!(4, a(4));
            load!(5, a(5));
            right!(6 = b(0); 3 += 4, 2 += 5);
            right!(7 = b(1); 2 += 4, 1 += 5);
            right!(6 = b(2); 1 += 4, 0 += 5);
            right!(7 = b(3); 0 += 4);
            load!(4, a(6));
            load!(5, a(7));
            right!(6 = b(0); 1 += 4, 0 += 5);
            right!(7 = b(1); 0 += 4);
        }
        store_all(sums);
    }
}

/// Sums of products of planes whose numbers add up to 3, 2, 1 and 0.
unsafe fn low(steps: usize, left: *const u64, right: *const u64, sums: &mut Sums) {
    // SAFETY: as above.
    unsafe {
        zero!(0 1 2 3);
        for step in 0..steps {
            let a = |plane: usize| left.add(2 * step * HALF + plane * TILE_WORDS);
            let b = |plane: usize| right.add(2 * step * HALF + plane * TILE_WORDS);
            load!(4, a(0));
            load!(5, a(1));
            right!(6 = b(0); 3 += 4, 2 += 5);
            right!(7 = b(1); 2 += 4, 1 += 5);
            right!(6 = b(2); 1 += 4, 0 += 5);
            right!(7 = b(3); 0 += 4);
            load!(4, a(2));
            load!(5, a(3));
            right!(6 = b(0); 1 += 4, 0 += 5);
            right!(7 = b(1); 0 += 4);
        }
        store_all(sums);
    }
}

unsafe fn store_all(sums: &mut Sums) {
    // SAFETY: the tiles are configured, and each goes to as many bytes as it has.
    unsafe {
        store!(0, &raw mut sums.0[0]);
        store!(1, &raw mut sums.0[1]);
        store!(2, &raw mut sums.0[2]);
        store!(3, &raw mut sums.0[3]);
    }
}

/// Puts the sums of all weights together, to rows that begin `COLUMNS` words apart.
#[target_feature(enable = "avx512f")]
fn combine([high, low]: &[Sums; 2], tile: &mut [u64]) {
    for row in 0..SIDE {
        let to = &mut tile[row * COLUMNS..][..SIDE];
        // Of the high weights 32 bits count, as many as a lane has.
        let mut top = line(&high.0[0][row]);
        for sums in &high.0[1..] {
            top = _mm512_add_epi32(_mm512_slli_epi32::<8>(top), line(&sums[row]));
        }
        let tops = [_mm512_castsi512_si256(top), _mm512_extracti64x4_epi64::<1>(top)];
        for (half, top) in tops.into_iter().enumerate() {
            let mut sum = _mm512_cvtepu32_epi64(top);
            for sums in &low.0 {
                let next = _mm512_cvtepu32_epi64(half_line(&sums[row], half));
                sum = _mm512_add_epi64(_mm512_slli_epi64::<8>(sum), next);
            }
            // SAFETY: the line has room for twice eight words.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().add(8 * half).cast(), sum) };
        }
    }
}

#[target_feature(enable = "avx512f")]
fn line(sums: &[u32; SIDE]) -> __m512i {
    // SAFETY: the reference is to sixteen entries.
    unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn half_line(sums: &[u32; SIDE], half: usize) -> __m256i {
    // SAFETY: the reference is to twice eight entries, and `half` is 0 or 1.
    unsafe { _mm256_loadu_si256(sums.as_ptr().add(8 * half).cast()) }
}
