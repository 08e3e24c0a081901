//! Tests that need to choose masks.

mod masks;
