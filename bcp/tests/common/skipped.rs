//! What a test says that cannot do its work here.

/// Says on the real standard error, past the test harness, which keeps what passing tests print:
/// this test did not look. `.ci/run` collects these lines.
pub fn skipped(why: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "SKIPPED: {why}"));
}
