//! Checksums inside a Parquet file, checked before a decoder sees the bytes: what changed on disk is never decoded.
//!
//! A decoder takes lengths from the bytes it reads; one changed bit makes it ask for exabytes and end the process. The
//! checksums lie between the data and the footer, where readers of Parquet do not look:
//!
//! `data | checksum of each column chunk | their number | checksum of the footer | checksum of this seal | footer | length | PAR1`

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::digest::Digest;

/// Bytes of a checksum and of every other number in a seal.
const WORD: usize = 8;
/// The number of chunks, the footer's checksum, the seal's own.
const FIXED: usize = 3 * WORD;
/// A footer ends in its length, 4 bytes, and this.
const MAGIC: &[u8] = b"PAR1";
const TAIL: usize = 8;

type Word = [u8; WORD];

/// XXH3: enough against chance, and as fast as memory; a cache is not defended against its owner.
fn checksum(bytes: &[u8]) -> Word {
    xxh3_64(bytes).to_le_bytes()
}

/// The first 64 bits of a SHA-256: what parts were sealed with at first.
fn first_checksum(bytes: &[u8]) -> Word {
    let mut word = [0; WORD];
    word.copy_from_slice(&Digest::of_bytes(bytes).as_bytes()[..WORD]);
    word
}

/// Puts a seal into a whole Parquet file; `chunks` are the byte ranges of its column chunks.
pub fn seal(parquet: &mut File, chunks: &[Range<u64>]) -> io::Result<()> {
    let (at, footer) = footer(parquet)?.ok_or(io::ErrorKind::InvalidData)?;
    let mut seal = Vec::with_capacity(chunks.len() * WORD + FIXED);
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.resize(usize::try_from(chunk.end - chunk.start).unwrap_or(0), 0);
        read_at(parquet, chunk.start, &mut bytes)?;
        seal.extend(checksum(&bytes));
    }
    seal.extend((chunks.len() as u64).to_le_bytes());
    seal.extend(checksum(&footer));
    seal.extend(checksum(&seal));
    parquet.seek(SeekFrom::Start(at))?;
    parquet.write_all(&seal)?;
    parquet.write_all(&footer)
}

/// Where the footer begins, and all bytes from there to the end of the file; `None` of a file that has none.
fn footer(file: &mut File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let Some(end) = file.metadata()?.len().checked_sub(TAIL as u64) else { return Ok(None) };
    let mut tail = [0; TAIL];
    read_at(file, end, &mut tail)?;
    let (length, magic) = tail.split_at(4);
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
    let Some(start) = end.checked_sub(length.into()).filter(|_| magic == MAGIC) else { return Ok(None) };
    let mut footer = vec![0; length as usize + TAIL];
    read_at(file, start, &mut footer)?;
    Ok(Some((start, footer)))
}

/// Checksums of a part whose footer is intact.
pub struct Seal {
    chunks: Vec<Word>,
    checksum: fn(&[u8]) -> Word,
}

impl Seal {
    /// Reads and checks the seal and the footer; `None` if they do not match or are not there.
    pub fn open(file: &mut File) -> io::Result<Option<Self>> {
        let Some((end, footer)) = footer(file)? else { return Ok(None) };
        let Some(start) = end.checked_sub(FIXED as u64) else { return Ok(None) };
        let mut fixed = [0; FIXED];
        read_at(file, start, &mut fixed)?;
        let (count, sums) = fixed.split_at(WORD);
        let count = count.try_into().map_or(u64::MAX, u64::from_le_bytes);
        let Some(size) = count.checked_mul(WORD as u64).filter(|size| *size <= start) else { return Ok(None) };
        let mut seal = vec![0; usize::try_from(size).unwrap_or(0)];
        read_at(file, start - size, &mut seal)?;
        let chunks = seal.chunks_exact(WORD).filter_map(|word| word.try_into().ok()).collect();
        seal.extend(&fixed[..2 * WORD]);
        let holds = |checksum: &fn(&[u8]) -> Word| checksum(&footer) == sums[..WORD] && checksum(&seal) == sums[WORD..];
        let checksum = [checksum as fn(&[u8]) -> Word, first_checksum].into_iter().find(holds);
        Ok(checksum.map(|checksum| Self { chunks, checksum }))
    }

    /// The bytes of the `index`th column chunk, if they are those that were written.
    pub fn read(&self, file: &mut File, index: usize, range: Range<u64>) -> io::Result<Option<Vec<u8>>> {
        let Some(wanted) = self.chunks.get(index) else { return Ok(None) };
        let size = range.end.saturating_sub(range.start);
        if range.end > file.metadata()?.len() {
            return Ok(None);
        }
        // Not zeroed before they are read: a cell reads gigabytes.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.seek(SeekFrom::Start(range.start))?;
        file.take(size).read_to_end(&mut bytes)?;
        Ok(((self.checksum)(&bytes) == *wanted).then_some(bytes))
    }
}

fn read_at(file: &mut File, at: u64, into: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two chunks, a three-byte footer, and the tail that says so.
    fn sealed() -> Vec<u8> {
        let mut file = on_disk(b"PAR1aaabbfoo\x03\0\0\0PAR1");
        seal(&mut file, &[4..7, 7..9]).unwrap();
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        read_at(&mut file, 0, &mut bytes).unwrap();
        bytes
    }

    /// A part of before XXH3 is still read: its vectors took hours.
    #[test]
    fn the_first_kind_of_checksum_still_counts() {
        let mut bytes = b"PAR1aaabb".to_vec();
        let mut seal =
            [first_checksum(b"aaa"), first_checksum(b"bb"), 2_u64.to_le_bytes(), first_checksum(b"foo\x03\0\0\0PAR1")].concat();
        seal.extend(first_checksum(&seal));
        bytes.extend(seal);
        bytes.extend(b"foo\x03\0\0\0PAR1");
        let mut file = on_disk(&bytes);
        let seal = Seal::open(&mut file).unwrap().unwrap();
        assert_eq!(seal.read(&mut file, 1, 7..9).unwrap().unwrap(), b"bb");
        assert!(seal.read(&mut file, 1, 4..7).unwrap().is_none());
    }

    fn on_disk(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn data_and_footer_stay_where_readers_look_for_them() {
        let bytes = sealed();
        assert_eq!(bytes.len(), 20 + 2 * WORD + FIXED);
        assert!(bytes.starts_with(b"PAR1aaabb") && bytes.ends_with(b"foo\x03\0\0\0PAR1"));
        let mut file = on_disk(&bytes);
        let seal = Seal::open(&mut file).unwrap().unwrap();
        assert!(seal.read(&mut file, 0, 4..7).unwrap().is_some() && seal.read(&mut file, 1, 7..9).unwrap().is_some());
        assert!(seal.read(&mut file, 0, 7..9).unwrap().is_none() && seal.read(&mut file, 2, 4..7).unwrap().is_none());
        assert!(seal.read(&mut file, 0, 4..u64::MAX).unwrap().is_none());
    }

    #[test]
    fn any_changed_byte_shows_and_so_does_any_missing_end() {
        let bytes = sealed();
        // The first four bytes are magic that no reader here looks at.
        for at in 4..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x15;
            let mut file = on_disk(&changed);
            let whole = Seal::open(&mut file).unwrap().is_some_and(|seal| {
                seal.read(&mut file, 0, 4..7).unwrap().is_some() && seal.read(&mut file, 1, 7..9).unwrap().is_some()
            });
            assert!(!whole, "byte {at}");
            assert!(Seal::open(&mut on_disk(&bytes[..at])).unwrap().is_none(), "cut at {at}");
        }
        assert!(Seal::open(&mut on_disk(b"PAR1aaabbfoo\x03\0\0\0PAR1")).unwrap().is_none());
    }
}
