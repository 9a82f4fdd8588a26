//! The `bench` command. All it does lives in the library; this half parses words and prints.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
