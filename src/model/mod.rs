//! Transformers: a model folder's configuration, tokenizer and weights, and one forward pass for all of them.
//!
//! The only home of candle. What leaves this module is token ids, plain vectors and [`ModelError`].

mod adapter;
mod attention;
mod chat;
mod config;
mod description;
mod device;
mod digests;
mod error;
#[cfg(any(feature = "flash-attn", test))]
mod flash;
mod folder;
mod gguf;
mod hub;
mod kernels;
mod layers;
mod memory;
mod outline;
mod packed;
mod pooling;
mod rate;
mod readout;
mod rotary;
mod slices;
mod tokenizer;
mod transformer;
mod truncate;
mod weights;

pub use adapter::Adapter;
pub use description::{Activation, Attention, Description, FeedForward, Norm, Placement, Positions};
pub use device::Backend;
pub use error::ModelError;
pub use folder::Folder;
pub use gguf::Gguf;
pub use hub::{Hub, HubError, Snapshot};
pub use memory::{available_memory, fits, peak_bytes, tokens_per_batch};
pub use outline::{AdapterOutline, Outline};
pub use packed::Segment;
pub use pooling::{Pool, Pooled, Tap};
pub use rate::measured_rate;
pub use tokenizer::{Special, Tokenizer};
pub use transformer::{Shared, Transformer};
pub use truncate::{Prepared, Room};
pub use weights::Weights;
