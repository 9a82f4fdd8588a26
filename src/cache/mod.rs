//! Embeddings on disk: a content-addressed Parquet store that several processes may read and write at once.
//!
//! A [`Store`] is a folder with one [`Shelf`] per encoder, named by the encoder's digest. A shelf holds `shelf.json`, which
//! says what the encoder was, and parts: Parquet files `part-*.parquet` with the columns
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `key` | binary, 16 bytes | [`Key`] of the readout and the token ids |
//! | `tokens` | u32 | number of token ids |
//! | `vector` | fixed-size list of f32 | the embedding, of one width within a part |
//!
//! A part is written whole under another name, synced and renamed, and never changes afterwards. So a part is there or not,
//! and writers need no lock; a key that two processes computed at the same time is in two parts, and the older part counts.
//! Each part carries checksums of its own bytes, checked before they are decoded (`seal.rs`).
//! A part that cannot be read is set aside as `*.damaged`, with a warning, and its keys are missing again.

mod error;
mod key;
mod part;
mod seal;
mod shelf;
mod store;
mod visit;
mod writer;

pub use error::CacheError;
pub use key::Key;
pub use shelf::{Found, Shelf};
pub use store::{Prune, Pruned, ShelfStat, Store};
pub use writer::Writer;

/// What the tests of this module share.
#[cfg(test)]
mod fixture {
    use std::path::Path;

    use serde_json::json;

    use super::{Key, Shelf, Store};
    use crate::digest::Digest;

    /// An empty shelf of one encoder.
    pub fn shelf(root: &Path) -> Shelf {
        Store::new(root.to_owned()).shelf(&Digest::of_bytes(b"encoder"), &json!({ "weights": "w" })).unwrap()
    }

    /// The key of a text of one token.
    pub fn key(i: u32) -> Key {
        Key::new("readout", &[i])
    }
}
