//! Matrix products on one thread, at the rate the processor allows; which instructions run is found out at run time.
//!
//! The right side is laid out once ([`Panels`]) for any number of left sides. Every result is one chain of additions in the
//! order of the inputs: its bits depend on its own row and column alone, wherever blocks end.

#![expect(clippy::inline_always, reason = "a kernel has the instructions of its caller only where it is inlined into it")]
#![expect(clippy::needless_range_loop, reason = "constant bounds are what lets sums stay in registers")]

mod panels;
mod product;
mod real;

pub use panels::{Panels, Shape};
pub use product::{Left, Out, multiply, multiply_panel};
pub use real::Real;
