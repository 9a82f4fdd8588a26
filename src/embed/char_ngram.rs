//! The lexical floor: hashed TF-IDF of characters and character pairs, what texts score without any model.

use std::ops::ControlFlow;

use rayon::prelude::*;
use serde_json::json;

use super::characters::{self, MAX_CHARS, scalars};
use super::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Resolved, Row};
use crate::digest::{Digest, Hasher};
use crate::embeddings::Embeddings;
use crate::prompt::{Template, Truncation};
use crate::spec::{FitSet, Readout};

const NAME: &str = "builtin:char-ngram";
/// Raised whenever the same texts give other vectors than before.
const ENGINE: u32 = 1;
/// Width of the vectors. On the IFLYTEK dev rows, over 20 hash functions, half of it costs one point of accuracy on average
/// and twice of it gains half a point.
const DIM: usize = 1 << 14;
/// Pairs seen in fewer fitted texts are left out: they are most of the pairs, and bring collisions more than meaning.
const PAIR_MIN_TEXTS: u32 = 5;
/// Rows computed before they are handed out.
const BATCH: usize = 64;
/// A scalar value takes 21 bits.
const CHAR_BITS: u32 = 21;

/// Hashed character n-grams with inverse document frequencies fitted on unlabelled texts.
///
/// A text's token ids are its Unicode scalar values, so that rows, keys and cuts work as for models. Its vector is the sum,
/// over its characters and the pairs of neighbouring ones, of a unit coordinate of either sign times the n-gram's IDF. Case
/// and width are kept: folding them changes no decision on Chinese app descriptions.
///
/// Shape: `[16384]`, mostly zeros, not scaled.
///
/// Determinism: coordinate and sign of an n-gram come from the finaliser of `SplitMix64`, a bijection of 64 bits, over the
/// n-gram itself: no two n-grams collide before the coordinate is cut from the hash, on any machine, with any seed.
///
/// Source: feature hashing with signs, Weinberger et al. 2009, arXiv 0902.2206; smooth IDF as in scikit-learn,
/// ln((1 + texts) / (1 + texts with the n-gram)) + 1.
pub(super) struct CharNgram {
    card: Card,
    /// N-grams by code, ascending, with their IDF.
    idf: Vec<(u64, f32)>,
    /// IDF of a character that no fitted text has.
    unseen: f32,
}

impl CharNgram {
    /// Counts the n-grams of unlabelled texts, which are all of one split of a dataset.
    pub fn fit(texts: &[String], fit: &FitSet) -> Self {
        let mut counts = document_frequencies(texts);
        counts.retain(|(code, count)| !is_pair(*code) || *count >= PAIR_MIN_TEXTS);
        let table = table_digest(texts.len(), &counts);
        let about = json!({
            "engine": format!("char-ngram/{ENGINE}"),
            "dim": DIM,
            "pair_min_texts": PAIR_MIN_TEXTS,
            "fit": fit,
            "texts": texts.len(),
            "ngrams": counts.len(),
            "table": table,
        });
        let card = Card {
            digest: Hasher::new("encoder/1").json("about", &about).finish(),
            identity: Hasher::new("model/1").json("char-ngram", &ENGINE).field("table", table.as_bytes()).finish(),
            name: NAME.to_owned(),
            about,
            device: "cpu".to_owned(),
            max_tokens: MAX_CHARS,
            weights_bytes: 0,
            parameters: 0,
            blocks: None,
            commit: None,
            adapter_commit: None,
        };
        let weighed = counts.iter().map(|(code, count)| (*code, idf(texts.len(), *count))).collect();
        Self { card, idf: weighed, unseen: idf(texts.len(), 0) }
    }

    /// Weight of an n-gram; 0 for a pair that is not in the table.
    fn weight(&self, code: u64) -> f32 {
        match self.idf.binary_search_by_key(&code, |(code, _)| *code) {
            Ok(at) => self.idf[at].1,
            Err(_) if is_pair(code) => 0.0,
            Err(_) => self.unseen,
        }
    }

    fn vector(&self, ids: &[u32]) -> Vec<f32> {
        let mut vector = vec![0.0; DIM];
        for code in codes(ids) {
            let (at, sign) = coordinate(code);
            vector[at] += sign * self.weight(code);
        }
        vector
    }
}

impl Encoder for CharNgram {
    fn card(&self) -> &Card {
        &self.card
    }

    fn readout(&self, readout: &Readout) -> Result<Resolved, EmbedError> {
        let refuse = |key, found| EmbedError::NoLayers { readout: readout.id.clone(), key, found, model: NAME.to_owned() };
        characters::finished(readout, DIM, &self.card, refuse)
    }

    fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, EmbedError> {
        characters::prepare(template, text, truncate, &self.card)
    }

    fn encode(
        &self,
        rows: &[Row<'_>],
        readouts: &[Resolved],
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError> {
        characters::check(rows, NAME)?;
        for (start, batch) in (0..).step_by(BATCH).zip(rows.chunks(BATCH)) {
            let values: Vec<f32> = batch.par_iter().flat_map_iter(|row| self.vector(row.ids)).collect();
            let embeddings = vec![Embeddings::from_values(DIM, values); readouts.len()];
            let tokens = batch.iter().map(|row| row.ids.len() as u64).sum();
            if emit(Batch { rows: (start..start + batch.len()).collect(), embeddings, tokens, ..Batch::default() }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn piece(&self, id: u32) -> String {
        characters::text(&[id])
    }

    fn positions(&self, rows: &[Row<'_>]) -> u64 {
        rows.iter().map(|row| row.ids.len() as u64).sum()
    }

    /// Two additions a character, the character's and its pair's.
    fn cost(&self, tokens: u64) -> Cost {
        let held = size_of_val(self.idf.as_slice()) + BATCH * DIM * size_of::<f32>();
        Cost { flops: 2 * tokens, peak_bytes: held as u64 }
    }
}

/// Codes of all characters and pairs of neighbours, with repetitions.
fn codes(ids: &[u32]) -> impl Iterator<Item = u64> {
    let characters = ids.iter().map(|id| u64::from(*id));
    let pairs = ids.windows(2).map(|pair| ((u64::from(pair[0]) + 1) << CHAR_BITS) | u64::from(pair[1]));
    characters.chain(pairs)
}

/// A pair's first character is counted from 1, so that no pair is a character.
const fn is_pair(code: u64) -> bool {
    code >> CHAR_BITS != 0
}

/// Where an n-gram counts, and with which sign: the low bits of its hash and the highest one.
fn coordinate(code: u64) -> (usize, f32) {
    let mut hash = code.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    let low = u16::from_le_bytes([hash.to_le_bytes()[0], hash.to_le_bytes()[1]]);
    (usize::from(low) % DIM, if hash >> 63 == 0 { 1.0 } else { -1.0 })
}

/// In how many texts each n-gram occurs, by code, ascending.
fn document_frequencies(texts: &[String]) -> Vec<(u64, u32)> {
    let mut codes: Vec<u64> = (texts.par_iter())
        .flat_map_iter(|text| {
            let mut codes: Vec<u64> = codes(&scalars(text)).collect();
            codes.sort_unstable();
            codes.dedup();
            codes
        })
        .collect();
    codes.par_sort_unstable();
    let count = |run: &[u64]| (run[0], u32::try_from(run.len()).unwrap_or(u32::MAX));
    codes.chunk_by(|a, b| a == b).map(count).collect()
}

/// Over the counts, not the weights: a logarithm may differ in its last bit between machines.
fn table_digest(texts: usize, counts: &[(u64, u32)]) -> Digest {
    let bytes: Vec<u8> =
        (counts.iter()).flat_map(|(code, count)| [code.to_le_bytes(), u64::from(*count).to_le_bytes()].concat()).collect();
    Hasher::new("char-ngram-table/1").field("texts", (texts as u64).to_le_bytes()).field("counts", bytes).finish()
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a weight needs no more than 24 bits")]
fn idf(texts: usize, count: u32) -> f32 {
    (((1 + texts) as f64 / (1.0 + f64::from(count))).ln() + 1.0) as f32
}

#[cfg(test)]
mod tests;
