//! The tile registers. The compiler does not know them yet, so each instruction is assembly; nothing
//! else on a thread touches them between configuration and release.

use super::{Amx, COLUMNS, PLANES, SIDE, TILE_WORDS};
use core::arch::asm;
use core::arch::x86_64::{
    __cpuid, __cpuid_count, _mm256_load_si256, _mm512_add_epi64, _mm512_cvtepu32_epi64,
    _mm512_loadu_si512, _mm512_slli_epi64, _mm512_storeu_si512, _xgetbv,
};

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

/// Eight tiles of 16 rows of 64 bytes, on this thread for as long as this lives.
pub(super) struct Configured(());

impl Configured {
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
        Self(())
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
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

/// Four tiles of sums.
#[repr(align(64))]
struct Sums([[[u32; SIDE]; SIDE]; 4]);

/// The product of panels of `steps` steps.
///
/// # Safety
///
/// The thread must have its tiles configured, the slices the lengths of `steps` steps and of a tile.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply(steps: usize, left: &[u64], right: &[u64], tile: &mut [u64]) {
    let mut sums = Sums([[[0; SIDE]; SIDE]; 4]);
    for weight in (0..PLANES).rev() {
        // SAFETY: the caller's promise.
        unsafe {
            plane_products(steps, left.as_ptr(), right.as_ptr(), weight, &mut sums);
            add(&sums, weight + 1 == PLANES, tile);
        }
    }
    sums.0.as_flattened_mut().as_flattened_mut().fill(0);
    zeroize::optimization_barrier(&sums.0);
}

/// The sums of the products of planes whose numbers add up to `weight`.
unsafe fn plane_products(
    steps: usize,
    left: *const u64,
    right: *const u64,
    weight: usize,
    sums: &mut Sums,
) {
    const HALF: usize = PLANES * TILE_WORDS;
    // SAFETY: the caller's promise; only words of the panels are read, only `sums` is written.
    unsafe {
        zero!(0 1 2 3);
        for step in 0..steps {
            let left = left.add(step * 2 * HALF);
            let right = right.add((step * 2 * PLANES + weight) * TILE_WORDS);
            for i in 0..=weight {
                let (a, b) = (left.add(i * TILE_WORDS), right.sub(i * TILE_WORDS));
                load!(4, a);
                load!(6, b);
                multiply_add!(0 += 4 * 6);
                load!(5, a.add(HALF));
                multiply_add!(2 += 5 * 6);
                load!(7, b.add(HALF));
                multiply_add!(1 += 4 * 7);
                multiply_add!(3 += 5 * 7);
            }
        }
        store!(0, &raw mut sums.0[0]);
        store!(1, &raw mut sums.0[1]);
        store!(2, &raw mut sums.0[2]);
        store!(3, &raw mut sums.0[3]);
    }
}

/// tile = 2^8 tile + sums, or the first sums.
#[target_feature(enable = "avx512f")]
fn add(sums: &Sums, first: bool, tile: &mut [u64]) {
    for (i, sums) in sums.0.iter().enumerate() {
        let (top, at) = (i / 2 * SIDE, i % 2 * SIDE);
        for (row, sums) in sums.iter().enumerate() {
            let to = &mut tile[(top + row) * COLUMNS + at..][..SIDE];
            for half in 0..2 {
                // SAFETY: both rows have 16 entries; tiles of sums are aligned.
                unsafe {
                    let sums = _mm256_load_si256(sums.as_ptr().add(8 * half).cast());
                    let to = to.as_mut_ptr().add(8 * half);
                    let mut sum = _mm512_cvtepu32_epi64(sums);
                    if !first {
                        let before = _mm512_loadu_si512(to.cast());
                        sum = _mm512_add_epi64(sum, _mm512_slli_epi64::<8>(before));
                    }
                    _mm512_storeu_si512(to.cast(), sum);
                }
            }
        }
    }
}
