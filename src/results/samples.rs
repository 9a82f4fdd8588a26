//! Samples of a cell as bytes, for the files of an unfinished run: as fast as memory, where text would take seconds.

use super::{SampleRow, Scored};

/// Bytes of one sample without its scores: seven numbers of 8 bytes, and flags.
const ROW: usize = 7 * WORD + 1;
const WORD: usize = 8;

/// What a sample's flags say.
const TIED: u8 = 1;
const MARGIN: u8 = 2;
const GOLD_MARGIN: u8 = 4;

/// Adds all samples, then all scores, little-endian.
pub(super) fn encode(scored: &Scored, bytes: &mut Vec<u8>) {
    bytes.reserve(scored.samples.len() * ROW + scored.scores.len() * WORD);
    for row in &scored.samples {
        for count in [row.gold, row.predicted, row.gold_rank, row.tokens, row.cut] {
            bytes.extend((count as u64).to_le_bytes());
        }
        for margin in [row.margin, row.gold_margin] {
            bytes.extend(margin.unwrap_or(0.0).to_le_bytes());
        }
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        bytes.push(flag(row.tied, TIED) | flag(row.margin.is_some(), MARGIN) | flag(row.gold_margin.is_some(), GOLD_MARGIN));
    }
    let start = bytes.len();
    bytes.resize(start + scored.scores.len() * WORD, 0);
    for (bytes, score) in bytes[start..].as_chunks_mut().0.iter_mut().zip(&scored.scores) {
        *bytes = score.to_le_bytes();
    }
}

/// Reads so many samples and their scores back; None if the bytes are not as many.
pub(super) fn decode(bytes: &[u8], samples: usize) -> Option<(Vec<SampleRow>, Vec<f64>)> {
    let (rows, scores) = bytes.split_at_checked(samples.checked_mul(ROW)?)?;
    let samples = rows.as_chunks::<ROW>().0.iter().map(sample).collect::<Option<_>>()?;
    let (scores, rest) = scores.as_chunks();
    rest.is_empty().then(|| (samples, scores.iter().map(|score| f64::from_le_bytes(*score)).collect()))
}

fn sample(row: &[u8; ROW]) -> Option<SampleRow> {
    let (words, flags) = row.as_chunks::<WORD>();
    let count = |at: usize| usize::try_from(u64::from_le_bytes(words[at])).ok();
    let set = |flag: u8| flags.iter().any(|flags| flags & flag != 0);
    let margin = |at: usize, flag: u8| set(flag).then(|| f64::from_le_bytes(words[at]));
    Some(SampleRow {
        gold: count(0)?,
        predicted: count(1)?,
        gold_rank: count(2)?,
        tokens: count(3)?,
        cut: count(4)?,
        margin: margin(5, MARGIN),
        gold_margin: margin(6, GOLD_MARGIN),
        tied: set(TIED),
    })
}
