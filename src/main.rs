use std::process::ExitCode;

fn main() -> ExitCode {
    darts_run::cli::main()
}
