//! The `bench` command. All it does lives in the library; this half parses words and prints.

mod cli;

fn main() -> std::process::ExitCode {
    use_every_core();
    cli::main()
}

/// candle runs a matrix product on as many threads as there are physical cores, which leaves half of a virtual machine idle,
/// unless this variable names a number.
fn use_every_core() {
    const THREADS: &str = "RAYON_NUM_THREADS";
    if std::env::var_os(THREADS).is_some() {
        return;
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        #[expect(unsafe_code, reason = "the environment may be written while no other thread runs")]
        // SAFETY: this is the first thing the program does; no other thread exists that could read the environment.
        unsafe {
            std::env::set_var(THREADS, cores.to_string());
        }
    }
}

/// Gives free memory back to the system between stages of work: the allocator keeps it for a second, in which the next stage begins.
fn give_memory_back() {
    #[expect(unsafe_code, reason = "the allocator has no safe interface")]
    // SAFETY: it touches no memory that is in use.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
