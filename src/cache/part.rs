//! One Parquet file of embeddings: written whole, read by row group. The only file of the cache that knows polars.

use std::fs::File;
use std::io::{self, Cursor};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::error::{PolarsError, PolarsResult};
use polars::prelude::{
    BinaryChunked, Column, DataFrame, DataType, FileMetadataRef, IntoColumn, KeyValueMetadata, NamedFrom, NewChunkedArray,
    ParallelStrategy, ParquetCompression, ParquetReader, ParquetWriter, ReshapeDimension, SerReader, Series, StatisticsOptions,
};
use polars_parquet::parquet::compression::{Compression, DecompressionContext};
use polars_parquet::parquet::encoding::Encoding;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::page::{Page, split_buffer};
use polars_parquet::parquet::read::{PageReader, decompress};
use serde_json::Value;

use super::Key;
use super::seal::{Seal, seal};
use crate::digest::Digest;

const KEY: &str = "key";
const TOKENS: &str = "tokens";
const VECTOR: &str = "vector";
const COLUMNS: usize = 3;
/// File metadata: the encoder's digest, and what it was.
const ENCODER: &str = "bench.encoder";
const ABOUT: &str = "bench.about";
/// A row group is what one read decompresses. Units: bytes of vectors.
const ROW_GROUP_BYTES: usize = 1 << 20;

/// Embeddings of one width, in memory. `values` has shape `[keys, dim]`.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub dim: usize,
    pub keys: Vec<Key>,
    pub tokens: Vec<u32>,
    pub values: Vec<f32>,
}

impl Rows {
    /// Writes them as a sealed Parquet file into an empty one, with what the encoder was in the file's metadata.
    pub fn write(&self, file: &mut File, encoder: &Digest, about: &Value) -> PolarsResult<()> {
        let about = vec![(ENCODER.to_owned(), encoder.to_string()), (ABOUT.to_owned(), about.to_string())];
        let mut writer = ParquetWriter::new(&mut *file)
            .with_compression(self.compression())
            .with_statistics(StatisticsOptions::empty())
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(about)))
            .batched(self.frame(0..0)?.schema())?;
        // A row group at a time: a frame is a copy.
        let rows = (ROW_GROUP_BYTES / (4 * self.dim)).clamp(16, 4096);
        for first in (0..self.keys.len()).step_by(rows) {
            writer.write_batch(&self.frame(first..self.keys.len().min(first + rows))?)?;
        }
        writer.finish()?;
        let mut reader = ParquetReader::new(&mut *file);
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the type has no public path")]
        let chunks: Vec<Range<u64>> =
            reader.get_metadata()?.row_groups.iter().flat_map(|group| group.byte_ranges_iter()).collect();
        Ok(seal(file, &chunks)?)
    }

    /// Vectors of models do not compress, and unpacking them costs as much as reading; those of character n-grams are mostly zeros.
    fn compression(&self) -> ParquetCompression {
        let zeros = self.values.iter().filter(|&&value| value == 0.0).count();
        if 4 * zeros > self.values.len() { ParquetCompression::Lz4Raw } else { ParquetCompression::Uncompressed }
    }

    fn frame(&self, rows: Range<usize>) -> PolarsResult<DataFrame> {
        let keys = BinaryChunked::from_iter_values(KEY.into(), self.keys[rows.clone()].iter().map(Key::as_bytes));
        let shape = [rows.len(), self.dim].map(|length| ReshapeDimension::new_dimension(length as u64));
        let vectors =
            Series::new(VECTOR.into(), &self.values[rows.start * self.dim..rows.end * self.dim]).reshape_array(&shape)?;
        let columns = vec![keys.into_column(), Column::new(TOKENS.into(), &self.tokens[rows]), vectors.into_column()];
        DataFrame::new_infer_height(columns)
    }
}

/// Why a part gives no rows.
#[derive(Debug)]
pub enum PartError {
    /// It is not there (any more).
    Gone,
    /// It may be fine, but the system does not let it be read.
    Io(io::Error),
    /// It is not a part of this encoder, or not whole.
    Damaged(String),
}

impl From<io::Error> for PartError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Gone } else { Self::Io(error) }
    }
}

impl From<PolarsError> for PartError {
    fn from(error: PolarsError) -> Self {
        match &error {
            PolarsError::IO { error, .. } if error.kind() != io::ErrorKind::UnexpectedEof => {
                Self::Io(io::Error::new(error.kind(), error.to_string()))
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<ParquetError> for PartError {
    fn from(error: ParquetError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// An opened part: its footer, but no rows yet.
pub struct Part {
    path: PathBuf,
    metadata: FileMetadataRef,
    seal: Seal,
    dim: usize,
}

impl Part {
    /// Reads the footer and checks that the file is a whole part of this encoder.
    pub fn open(path: &Path, encoder: &Digest) -> Result<Self, PartError> {
        let mut file = File::open(path)?;
        let seal = Seal::open(&mut file)?.ok_or_else(|| damaged("its checksums do not match or are not there"))?;
        guarded(|| {
            let mut reader = ParquetReader::new(file);
            let metadata = Arc::clone(reader.get_metadata()?);
            belongs(&metadata, encoder)?;
            let schema = reader.schema()?;
            let types: Vec<(&str, DataType)> =
                schema.iter().map(|(name, field)| (name.as_str(), DataType::from_arrow_field(field))).collect();
            match types.as_slice() {
                [(KEY, DataType::Binary), (TOKENS, DataType::UInt32), (VECTOR, DataType::Array(inner, dim))]
                    if **inner == DataType::Float32 && *dim > 0 =>
                {
                    Ok(Self { path: path.to_owned(), metadata, seal, dim: *dim })
                }
                _ => Err(PartError::Damaged(format!("its columns are {types:?}"))),
            }
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Width of the vectors.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.metadata.num_rows
    }

    /// The rows of each row group.
    pub fn row_groups(&self) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let mut start = 0;
        for group in &self.metadata.row_groups {
            groups.push(start..start + group.num_rows());
            start += group.num_rows();
        }
        groups
    }

    /// All keys, in order; reads no vectors.
    pub fn keys(&self) -> Result<Vec<Key>, PartError> {
        let file = self.checked(0..self.metadata.row_groups.len(), 0..1)?;
        guarded(|| keys(&self.read(file, 0..self.len(), Some(vec![KEY.to_owned()]))?))
    }

    /// Vectors of some rows of a row group, by their places in it, ascending. Shape of `into`: `[rows, dim]`.
    ///
    /// Pages are decoded here, not by a data frame: without nulls a page is its values as they lie in memory, behind levels
    /// that a general reader walks through one by one.
    pub fn vectors(&self, group: usize, rows: &[usize], into: &mut [f32]) -> Result<(), PartError> {
        let all = self.metadata.row_groups[group].num_rows() * self.dim;
        let column = &self.metadata.row_groups[group].parquet_columns()[COLUMNS - 1];
        // Small columns are checked along with the vectors: what is damaged anywhere is set aside at once.
        let mut file = self.checked(group..group + 1, 0..COLUMNS - 1)?;
        let sealed = self.seal.read(&mut file, group * COLUMNS + COLUMNS - 1, column.byte_range())?;
        let bytes = sealed.ok_or_else(|| damaged("the checksum of a column does not match"))?;
        guarded(|| {
            // What does not compress is a little larger when packed.
            let limit = usize::try_from(column.uncompressed_size().max(column.compressed_size())).unwrap_or(usize::MAX);
            let pages = PageReader::new(Cursor::new(bytes.into()), column, Vec::new(), limit);
            let packed = column.compression() != Compression::Uncompressed;
            // Which of the group's values each row has, and where they go.
            let rows = rows.iter().map(|row| row * self.dim..(row + 1) * self.dim);
            let mut rows: Vec<(Range<usize>, &mut [f32])> = rows.zip(into.chunks_exact_mut(self.dim)).collect();
            let (mut unpacked, mut wanted, mut before) = (Vec::new(), &mut rows[..], 0);
            for page in pages {
                let Page::Data(mut page) = decompress(page?, &mut unpacked, &mut DecompressionContext::Unset)? else {
                    return Err(damaged("its vectors are a dictionary"));
                };
                let values = split_buffer(&page)?.values.as_chunks().0;
                let end = before + values.len();
                if page.encoding() != Encoding::Plain || values.len() != page.num_values() || end > all {
                    return Err(damaged("its vectors are not plain numbers, or too many"));
                }
                for (row, into) in wanted.iter_mut().take_while(|(row, _)| row.start < end) {
                    let part = row.start.max(before)..row.end.min(end);
                    let into = &mut into[part.start - row.start..part.end - row.start];
                    let values = &values[part.start - before..part.end - before];
                    into.iter_mut().zip(values).for_each(|(value, bytes)| *value = f32::from_le_bytes(*bytes));
                }
                let done = wanted.partition_point(|(row, _)| row.end <= end);
                (wanted, before) = (&mut wanted[done..], end);
                if packed {
                    unpacked = std::mem::take(page.buffer_mut());
                }
            }
            if before == all { Ok(()) } else { Err(damaged("it has fewer rows than its footer says")) }
        })
    }

    /// The file, once the bytes of some columns of some row groups are known to be those that were written.
    fn checked(&self, groups: Range<usize>, columns: Range<usize>) -> Result<File, PartError> {
        let mut file = File::open(&self.path)?;
        for group in groups {
            let ranges = self.metadata.row_groups[group].byte_ranges_iter().enumerate();
            for (column, range) in ranges.filter(|(column, _)| columns.contains(column)) {
                let sealed = self.seal.read(&mut file, group * COLUMNS + column, range)?;
                sealed.ok_or_else(|| damaged("the checksum of a column does not match"))?;
            }
        }
        Ok(file)
    }

    fn read(&self, file: File, range: Range<usize>, columns: Option<Vec<String>>) -> Result<DataFrame, PartError> {
        let mut reader = ParquetReader::new(file)
            .with_columns(columns)
            .with_slice(Some((range.start, range.len())))
            // The one strategy that skips row groups outside of the slice.
            .read_parallel(ParallelStrategy::RowGroups)
            .set_rechunk(true);
        reader.set_metadata(Arc::clone(&self.metadata));
        let frame = reader.finish()?;
        if frame.columns().iter().any(|column| column.null_count() > 0) {
            return Err(damaged("it has missing values"));
        }
        Ok(frame)
    }
}

fn damaged(reason: &str) -> PartError {
    PartError::Damaged(reason.to_owned())
}

fn keys(frame: &DataFrame) -> Result<Vec<Key>, PartError> {
    let column = frame.column(KEY)?.binary()?;
    let keys: Option<Vec<Key>> = column.iter().map(|bytes| bytes.and_then(Key::from_bytes)).collect();
    keys.ok_or_else(|| PartError::Damaged(format!("a key is not {} bytes", Key::LEN)))
}

/// A part of another encoder that lies here gives no rows: its keys would hit, and its vectors would be wrong.
fn belongs(metadata: &FileMetadataRef, encoder: &Digest) -> Result<(), PartError> {
    let pairs = metadata.key_value_metadata().as_deref().unwrap_or_default();
    let wanted = encoder.to_string();
    match pairs.iter().find(|pair| pair.key == ENCODER).and_then(|pair| pair.value.as_deref()) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(PartError::Damaged(format!("it holds embeddings of encoder {found}"))),
        None => Err(PartError::Damaged("it does not say which encoder it is of".to_owned())),
    }
}

/// The seal keeps changed bytes away from the decoder; whatever it panics on all the same is a damaged part.
fn guarded<T>(read: impl FnOnce() -> Result<T, PartError>) -> Result<T, PartError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(PartError::Damaged("it cannot be decoded".to_owned())))
}
