//! Samples of a cell as bytes, for the files of an unfinished run: as fast as memory, where text would take seconds.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::Xxh3;

use super::{Measured, PairRow, SampleRow, SampleRows, Scored};

/// Bytes of one sample without its scores: seven numbers of 8 bytes, and flags.
const ROW: usize = 7 * WORD + 1;
/// Bytes of one pair without its scores: two numbers.
const PAIR: usize = 2 * WORD;
const WORD: usize = 8;

/// Bytes written at a time.
const CHUNK: usize = 1 << 16;

/// Writes all samples, all scores and a checksum of both, little-endian and piece by piece: a copy of it all would be large.
pub(super) fn write(scored: &Scored, out: &mut impl Write) -> io::Result<()> {
    write_rows(scored.samples.iter(), encode, &scored.scores, out)
}

/// The same for pairs.
pub(super) fn write_pairs(paired: &Measured, out: &mut impl Write) -> io::Result<()> {
    let encode = |row: PairRow, bytes: &mut Vec<u8>| {
        [row.tokens, row.cut].iter().for_each(|&count| bytes.extend((count as u64).to_le_bytes()));
    };
    write_rows(paired.samples.iter().copied(), encode, &paired.scores, out)
}

fn write_rows<R>(
    rows: impl Iterator<Item = R>,
    encode: fn(R, &mut Vec<u8>),
    scores: &[f64],
    out: &mut impl Write,
) -> io::Result<()> {
    let (mut bytes, mut sum) = (Vec::with_capacity(CHUNK), Xxh3::new());
    let mut put = |bytes: &mut Vec<u8>| {
        sum.update(bytes);
        let written = out.write_all(bytes);
        bytes.clear();
        written
    };
    for row in rows {
        encode(row, &mut bytes);
        if bytes.len() >= CHUNK {
            put(&mut bytes)?;
        }
    }
    put(&mut bytes)?;
    for scores in scores.chunks(CHUNK / WORD) {
        bytes.resize(scores.len() * WORD, 0);
        let words = bytes.as_chunks_mut().0;
        words.iter_mut().zip(scores).for_each(|(bytes, score)| *bytes = score.to_le_bytes());
        put(&mut bytes)?;
    }
    out.write_all(&sum.digest().to_le_bytes())
}

fn encode(row: SampleRow, bytes: &mut Vec<u8>) {
    for count in [row.gold, row.predicted, row.gold_rank, row.tokens, row.cut] {
        bytes.extend((count as u64).to_le_bytes());
    }
    for margin in [row.margin, row.gold_margin] {
        bytes.extend(margin.unwrap_or(0.0).to_le_bytes());
    }
    bytes.push(row.flags());
}

/// Reads so many samples and their scores back; None if the bytes are not as many, or not those that were written.
pub(super) fn read(bytes: &mut impl Read, samples: usize) -> Option<(SampleRows, Vec<f64>)> {
    read_rows(bytes, samples, sample)
}

/// The same for pairs.
pub(super) fn read_pairs(bytes: &mut impl Read, pairs: usize) -> Option<(Vec<PairRow>, Vec<f64>)> {
    read_rows(bytes, pairs, |row: &[u8; PAIR]| {
        let count = |word: &[u8; WORD]| usize::try_from(u64::from_le_bytes(*word)).ok();
        let [tokens, cut] = row.as_chunks::<WORD>().0 else { return None };
        Some(PairRow { tokens: count(tokens)?, cut: count(cut)? })
    })
}

/// Piece by piece, as it was written.
fn read_rows<R, Rows: FromIterator<R>, const BYTES: usize>(
    bytes: &mut impl Read,
    samples: usize,
    decode: impl Fn(&[u8; BYTES]) -> Option<R>,
) -> Option<(Rows, Vec<f64>)> {
    let mut sum = Xxh3::new();
    let mut row = [0; BYTES];
    let mut next = || {
        bytes.read_exact(&mut row).ok()?;
        sum.update(&row);
        decode(&row)
    };
    let rows = (0..samples).map(|_| next()).collect::<Option<Rows>>()?;
    let (mut scores, mut chunk) = (Vec::new(), vec![0; CHUNK + size_of::<u64>()]);
    // What is kept back at the end is the checksum.
    let mut kept = 0;
    loop {
        let read = bytes.read(&mut chunk[kept..]).ok()?;
        let all = kept + read;
        let ready = all.saturating_sub(size_of::<u64>()) / WORD * WORD;
        let (words, rest) = chunk[..all].split_at(ready);
        sum.update(words);
        scores.extend(words.as_chunks().0.iter().map(|score| f64::from_le_bytes(*score)));
        if read == 0 {
            let written = u64::from_le_bytes(rest.try_into().ok()?);
            return (written == sum.digest()).then_some((rows, scores));
        }
        kept = rest.len();
        chunk.copy_within(ready..all, 0);
    }
}

fn sample(row: &[u8; ROW]) -> Option<SampleRow> {
    let (words, flags) = row.as_chunks::<WORD>();
    let count = |at: usize| usize::try_from(u64::from_le_bytes(words[at])).ok();
    let margin = |at: usize| Some(f64::from_le_bytes(words[at]));
    let sample = SampleRow {
        gold: count(0)?,
        predicted: count(1)?,
        gold_rank: count(2)?,
        tokens: count(3)?,
        cut: count(4)?,
        margin: margin(5),
        gold_margin: margin(6),
        tied: false,
    };
    Some(sample.flagged(*flags.first()?))
}
