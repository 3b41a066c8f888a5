use std::process::ExitCode;

fn main() -> ExitCode {
    // A child that plays for its parent is this program too.
    darts_run::games::child().unwrap_or_else(darts_run::cli::main)
}
