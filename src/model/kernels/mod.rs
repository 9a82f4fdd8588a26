//! Arithmetic of the CPU, on one thread and in f32, at the rate the processor allows; which instructions run is found out at
//! run time. Plain slices in, plain slices out: tensors stay with the callers.

#![expect(clippy::inline_always, reason = "a kernel has the instructions of its caller only where it is inlined into it")]
#![expect(clippy::needless_range_loop, reason = "constant bounds are what lets sums stay in registers")]

mod attention;
mod elementwise;
mod half;

pub use attention::{Heads, Run, attend};
pub use elementwise::{activate, add, add_to_rows, layer_norm, rms_norm, rotate};
pub use half::Weights;

/// The same values between -2 and 2 for the same seed, to test kernels with.
#[cfg(test)]
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(i16::try_from(state >> 17).unwrap_or(0)) / 8192.0 - 2.0
    };
    (0..count).map(|_| next()).collect()
}
