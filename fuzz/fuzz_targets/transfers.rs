#![no_main]

libfuzzer_sys::fuzz_target!(init: dyad_fuzz::init(), |bytes: &[u8]| {
    dyad_fuzz::done(dyad_fuzz::transfers::transfers(bytes));
});
