//! Why embeddings cannot be saved or fetched.

use std::io;
use std::path::PathBuf;

use polars::error::PolarsError;

use super::Key;

/// A cache that does not work. A part that is damaged is no error but a warning and a miss, unless it was found intact before.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("cannot read the embedding cache at `{}`; check that it exists and may be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the embedding cache at `{}`; check free space and permissions", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("embeddings for `{}` cannot be written as Parquet", path.display())]
    Encode { path: PathBuf, source: PolarsError },
    #[error("coordinate {at} of embedding {key} is {value}: only finite vectors are saved; try another dtype or layer")]
    NotFinite { key: Key, at: usize, value: f32 },
    #[error("embedding {key} has no coordinates")]
    Empty { key: Key },
    #[error("embedding {key} was asked for but not found in `{}`; look it up, and compute it where it is missing", shelf.display())]
    NotFound { key: Key, shelf: PathBuf },
    #[error("embedding {key} in `{}` has {found} coordinates, and {wanted} were asked for; delete the file", path.display())]
    Width { key: Key, path: PathBuf, found: usize, wanted: usize },
    #[error("`{}` was lost since its embeddings were found ({reason}); run the same command again to compute them anew", path.display())]
    Lost { path: PathBuf, reason: String },
    #[error("no encoder in `{}` has a digest that starts with `{prefix}`; `bench cache stat` lists them", root.display())]
    NoSuchShelf { prefix: String, root: PathBuf },
    #[error("`{prefix}` is the beginning of {} encoder digests: {}; write more of it", matches.len(), matches.join(", "))]
    Ambiguous { prefix: String, matches: Vec<String> },
}
