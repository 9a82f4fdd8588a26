//! The `bench` command. All it does lives in the library; this half parses words and prints.

mod cli;

fn main() -> std::process::ExitCode {
    use_every_core();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    give_large_pieces_back();
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

/// glibc asks the system for large pieces of memory one by one, and gives them back when they are freed; but each that is
/// freed raises the size that counts as large, up to 32 MiB. The lists of a million samples then leave gaps that stay.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_large_pieces_back() {
    /// What stays the size that counts as large. Unit: bytes.
    const LARGE: i32 = 1 << 20;
    #[expect(unsafe_code, reason = "the allocator's settings have no safe interface")]
    // SAFETY: it sets a number of the allocator, before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
