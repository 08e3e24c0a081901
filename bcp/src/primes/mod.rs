//! Safe primes p = 2p' + 1.

pub mod search;
mod sieve;
