//! `embed_bench`: experiments on language models as sentence embedders.
//!
//! Data flows one way through these modules; ARCHITECTURE.md draws the map and names the invariants.

pub mod apply;
pub mod cache;
pub mod cause;
pub mod compare;
pub mod dataset;
pub mod digest;
pub mod doctor;
pub mod embed;
pub mod embeddings;
pub mod error;
pub mod http;
pub mod model;
pub mod observe;
pub mod plan;
pub mod products;
pub mod prompt;
pub mod readout;
pub mod report;
pub mod results;
pub mod runner;
pub mod spec;
pub mod stats;
pub mod task;
pub mod transform;
pub mod visible;

pub use error::Error;

/// glibc's allocator never gives back what lies free on top of the heaps of other threads; benches/README.md has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
