//! `dyad`, the owners' command.

use std::process::ExitCode;

fn main() -> ExitCode {
    dyad_user_cli::main()
}
