//! The lexical floor: hashed TF-IDF of characters and character pairs, what texts score without any model.

use std::ops::ControlFlow;
use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::json;

use super::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Resolved};
use crate::digest::{Digest, Hasher};
use crate::embeddings::Embeddings;
use crate::model::ModelError;
use crate::prompt::{Template, Truncation};
use crate::spec::{FitSet, Pooling, Readout};

const NAME: &str = "builtin:char-ngram";
/// Raised whenever the same texts give other vectors than before.
const ENGINE: u32 = 1;
/// Width of the vectors. Half of it costs about 5 points of accuracy by collisions, twice of it gains less than 1.
const DIM: usize = 1 << 13;
/// Pairs seen in fewer fitted texts are left out: they are most of the pairs, and bring collisions more than meaning.
const PAIR_MIN_TEXTS: u32 = 5;
/// No text is cut in practice; the limit keeps one text's memory bounded.
const MAX_CHARS: usize = 1_000_000;
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
/// Shape: `[8192]`, not scaled.
///
/// Determinism: coordinate and sign of an n-gram come from the finaliser of SplitMix64, a bijection of 64 bits, over the
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

    fn check(rows: &[&[u32]]) -> Result<(), EmbedError> {
        for (row, ids) in rows.iter().enumerate() {
            if ids.is_empty() {
                return Err(EmbedError::EmptyRow { row });
            }
            if let Some(&id) = ids.iter().find(|id| char::from_u32(**id).is_none()) {
                return Err(EmbedError::UnknownToken { row, id, last: char::MAX as usize, model: NAME.to_owned() });
            }
        }
        Ok(())
    }
}

impl Encoder for CharNgram {
    fn card(&self) -> &Card {
        &self.card
    }

    fn readout(&self, readout: &Readout) -> Result<Resolved, EmbedError> {
        let refuse = |key: &str, found: String| {
            let reason = "a lexical model has no layers: use `pool = \"own\"`, and leave `layer` and `norm` out";
            let path = PathBuf::from(format!("readout `{}` of {NAME}", readout.id));
            Err(EmbedError::Model(ModelError::Unsupported { path, key: key.to_owned(), found, reason }))
        };
        match readout {
            Readout { pool: Pooling::Last, .. } => refuse("pool", "last".to_owned()),
            Readout { pool: Pooling::Mean, .. } => refuse("pool", "mean".to_owned()),
            Readout { pool: Pooling::Cls, .. } => refuse("pool", "cls".to_owned()),
            Readout { norm: true, .. } => refuse("norm", "true".to_owned()),
            Readout { layer: -1, pool: Pooling::Own, norm: false, normalize, .. } => {
                Ok(Resolved { dim: DIM, layer: 0, pool: Pooling::Own, norm: false, normalize: *normalize })
            }
            Readout { layer, .. } => refuse("layer", layer.to_string()),
        }
    }

    fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, EmbedError> {
        let limit = self.card.max_tokens;
        let whole = template.render(text);
        let tokens = whole.text.chars().count();
        if tokens <= limit {
            return Ok(prepared(whole.text, 0));
        }
        match truncate {
            Truncation::Error => {
                let text = text.chars().take(60).collect();
                return Err(ModelError::TooLong { tokens, limit, text }.into());
            }
            Truncation::WholePrompt => return Ok(prepared(whole.text.chars().take(limit).collect(), tokens - limit)),
            Truncation::Head | Truncation::Tail | Truncation::Middle => {}
        }
        let chars: Vec<char> = text.chars().collect();
        let (mut keep, mut over) = (chars.len(), tokens - limit);
        loop {
            keep = keep.saturating_sub(over.div_ceil(template.slots()));
            let shorter = template.render(&cut(&chars, truncate, keep)).text;
            let length = shorter.chars().count();
            if length <= limit {
                return Ok(prepared(shorter, tokens - length));
            }
            if keep == 0 {
                let template = template.source().chars().take(60).collect();
                return Err(ModelError::TemplateTooLong { tokens: length, limit, template }.into());
            }
            over = length - limit;
        }
    }

    fn encode(
        &self,
        rows: &[&[u32]],
        _prefix: usize,
        readouts: &[Resolved],
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError> {
        Self::check(rows)?;
        for (start, batch) in (0..).step_by(BATCH).zip(rows.chunks(BATCH)) {
            let values: Vec<f32> = batch.par_iter().flat_map_iter(|ids| self.vector(ids)).collect();
            let embeddings = vec![Embeddings::from_values(DIM, values); readouts.len()];
            let tokens = batch.iter().map(|ids| ids.len() as u64).sum();
            if emit(Batch { rows: (start..start + batch.len()).collect(), embeddings, tokens }).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Two additions a character, the character's and its pair's.
    fn cost(&self, tokens: u64) -> Cost {
        let held = size_of_val(self.idf.as_slice()) + BATCH * DIM * size_of::<f32>();
        Cost { flops: 2 * tokens, peak_bytes: held as u64 }
    }
}

fn prepared(rendered: String, cut: usize) -> Prepared {
    Prepared { ids: rendered.chars().map(u32::from).collect(), rendered, cut }
}

/// A text with `keep` of its characters, at most all of them.
fn cut(chars: &[char], truncate: Truncation, keep: usize) -> String {
    let (head, tail) = match truncate {
        Truncation::Tail => (0, keep),
        Truncation::Middle => (keep.div_ceil(2), keep / 2),
        Truncation::Head | Truncation::Error | Truncation::WholePrompt => (keep, 0),
    };
    chars[..head].iter().chain(&chars[chars.len() - tail..]).collect()
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
            let ids: Vec<u32> = text.chars().map(u32::from).collect();
            let mut codes: Vec<u64> = codes(&ids).collect();
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
mod tests {
    use super::*;

    fn fitted(texts: &[&str]) -> CharNgram {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        CharNgram::fit(&texts, &FitSet { dataset: "d".to_owned(), split: "train".to_owned() })
    }

    fn ids(text: &str) -> Vec<u32> {
        text.chars().map(u32::from).collect()
    }

    fn own(layer: i32, pool: Pooling, norm: bool) -> Readout {
        Readout { id: "r".to_owned(), layer, pool, norm, normalize: true }
    }

    fn character(c: char) -> u64 {
        u64::from(u32::from(c))
    }

    #[test]
    fn characters_weigh_by_how_few_texts_have_them() {
        // "a" is in 3 of 3 texts: ln(4 / 4) + 1. "b" in 1: ln(4 / 2) + 1. "z" in none: ln(4 / 1) + 1.
        let model = fitted(&["ab", "a", "aa"]);
        assert!((model.weight(character('a')) - 1.0).abs() < 1e-6);
        assert!((model.weight(character('b')) - (2.0_f32.ln() + 1.0)).abs() < 1e-6);
        assert!((model.weight(character('z')) - (4.0_f32.ln() + 1.0)).abs() < 1e-6);
    }

    #[test]
    fn a_vector_sums_signed_weights_and_repetitions_count() {
        let model = fitted(&["ab", "a", "aa"]);
        let (at, sign) = coordinate(character('a'));
        let vector = model.vector(&ids("aaa"));
        // Three times weight 1; the pair "aa" is in one text only, so it is left out.
        assert!((vector[at] - 3.0 * sign).abs() < 1e-6);
        assert_eq!(vector.iter().filter(|value| **value != 0.0).count(), 1);
    }

    #[test]
    fn pairs_count_from_five_texts_on() {
        let pair = codes(&ids("xy")).last().unwrap();
        assert_eq!(fitted(&["xy"; 4]).weight(pair), 0.0);
        assert!((fitted(&["xy"; 5]).weight(pair) - 1.0).abs() < 1e-6);
        // Order within a pair matters, and no pair is a character.
        assert_ne!(codes(&ids("yx")).last().unwrap(), pair);
        assert!(is_pair(codes(&[0, 0]).last().unwrap()) && !is_pair(u64::from(u32::from(char::MAX))));
    }

    #[test]
    fn coordinates_are_those_of_splitmix64() {
        // The first output of the reference generator with seed 0: its state is then the increment, as for code 0.
        assert_eq!(0xe220_a839_7b1d_cdaf_u64 % (DIM as u64), 0x0daf);
        assert_eq!(coordinate(0), (0x0daf, -1.0));
    }

    #[test]
    fn readouts_other_than_its_own_are_refused_with_the_way_out() {
        let model = fitted(&["ab"]);
        let resolved = model.readout(&own(-1, Pooling::Own, false)).unwrap();
        assert_eq!((resolved.dim, resolved.layer, resolved.normalize), (DIM, 0, true));
        for readout in [
            own(-2, Pooling::Own, false),
            own(0, Pooling::Own, false),
            own(-1, Pooling::Last, false),
            own(-1, Pooling::Own, true),
        ] {
            let error = model.readout(&readout).unwrap_err().to_string();
            assert!(error.contains("a lexical model has no layers: use `pool = \"own\"`"), "{error}");
        }
    }

    #[test]
    fn a_cut_takes_the_text_and_leaves_the_template() {
        let mut model = fitted(&["ab"]);
        model.card.max_tokens = 6;
        let template = Template::parse("<{text}>").unwrap();
        let cut = |way| model.prepare(&template, "一二三四五六", way).map(|prepared| (prepared.rendered, prepared.cut));
        assert_eq!(cut(Truncation::Head).unwrap(), ("<一二三四>".to_owned(), 2));
        assert_eq!(cut(Truncation::Tail).unwrap(), ("<三四五六>".to_owned(), 2));
        assert_eq!(cut(Truncation::Middle).unwrap(), ("<一二五六>".to_owned(), 2));
        assert_eq!(cut(Truncation::WholePrompt).unwrap(), ("<一二三四五".to_owned(), 2));
        assert!(matches!(cut(Truncation::Error), Err(EmbedError::Model(ModelError::TooLong { tokens: 8, limit: 6, .. }))));
        let twice = Template::parse("{text}|{text}").unwrap();
        assert_eq!(model.prepare(&twice, "一二三四", Truncation::Head).unwrap().rendered, "一二|一二");
        let long = Template::parse("1234567{text}").unwrap();
        let error = model.prepare(&long, "一", Truncation::Head).unwrap_err();
        assert!(matches!(error, EmbedError::Model(ModelError::TemplateTooLong { tokens: 7, limit: 6, .. })), "{error}");
        assert_eq!(model.prepare(&template, "é", Truncation::Head).unwrap().ids, [60, 233, 62]);
    }

    #[test]
    fn rows_come_once_each_in_batches_and_the_work_may_end_early() {
        let model = fitted(&["ab"]);
        let texts: Vec<Vec<u32>> = (0..150_u32).map(|i| vec![97 + i % 26, 97 + i / 26]).collect();
        let rows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let readout = model.readout(&own(-1, Pooling::Own, false)).unwrap();
        let mut seen = Vec::new();
        let gather = &mut |batch: Batch| {
            for (row, vector) in batch.rows.iter().zip(batch.embeddings[0].rows()) {
                assert_eq!(vector, model.vector(rows[*row]));
            }
            seen.extend(batch.rows);
            if seen.len() < 128 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        model.encode(&rows, 0, std::slice::from_ref(&readout), gather).unwrap();
        assert_eq!(seen, (0..128).collect::<Vec<usize>>());
        let go_on = &mut |_: Batch| ControlFlow::Continue(());
        assert!(matches!(model.encode(&[&[97], &[]], 0, &[readout.clone()], go_on), Err(EmbedError::EmptyRow { row: 1 })));
        let surrogate = model.encode(&[&[0xd800]], 0, &[readout], go_on);
        assert!(matches!(surrogate, Err(EmbedError::UnknownToken { row: 0, id: 0xd800, .. })));
    }

    #[test]
    fn the_digest_is_that_of_the_fitted_counts() {
        let same = fitted(&["ab", "cd"]).card.digest;
        assert_eq!(fitted(&["cd", "ab"]).card.digest, same);
        assert_ne!(fitted(&["ab", "ce"]).card.digest, same);
        assert_ne!(fitted(&["ab", "cd", ""]).card.digest, same);
    }

    const LABELS: [&str; 6] = ["休闲益智", "亲子儿童", "中小学", "动作类", "新闻", "求职"];
    /// Chosen among four wordings on the dev rows.
    const DEFINITIONS: [&str; 6] = [
        "休闲益智：消磨时间、开发大脑的小游戏",
        "亲子儿童：给宝宝听故事、学儿歌、认字，爸爸妈妈陪孩子玩",
        "中小学：小学、初中、高中学生的作业、课程、考试",
        "动作类：打斗、格斗、闯关的动作游戏",
        "新闻：阅读时事、资讯、头条、报道",
        "求职：找工作、投简历、企业招聘",
    ];

    /// Texts and label names of a file of JSON lines.
    fn rows(folder: &std::path::Path, file: &str) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(folder.join("datasets/iflytek").join(file)).unwrap();
        let field = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|row| (field(&row, "sentence"), field(&row, "label_des")))
            .collect()
    }

    /// How many rows of the six topics are nearest, by cosine, to the wording of their label; and of how many.
    fn right(model: &CharNgram, rows: &[(String, String)], wordings: &[&str; 6]) -> (usize, usize) {
        let unit = |text: &str| -> Vec<f64> {
            let vector: Vec<f64> = model.vector(&ids(text)).into_iter().map(f64::from).collect();
            let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
            vector.into_iter().map(|value| value / norm).collect()
        };
        let labels = wordings.map(unit);
        let kept: Vec<_> =
            rows.iter().filter_map(|(text, label)| Some((text, LABELS.iter().position(|it| it == label)?))).collect();
        let hits = kept.iter().filter(|(text, gold)| {
            let vector = unit(text);
            let score = |label: &[f64]| label.iter().zip(&vector).map(|(a, b)| a * b).sum::<f64>();
            let scores: Vec<f64> = labels.iter().map(|label| score(label)).collect();
            (0..6).all(|label| label == *gold || scores[label] < scores[*gold])
        });
        (hits.count(), kept.len())
    }

    #[test]
    fn the_floor_on_six_iflytek_topics_is_high() {
        let Some(folder) = std::env::var_os("BENCH_TEST_DATA").map(std::path::PathBuf::from) else {
            eprintln!("SKIPPED: BENCH_TEST_DATA is not set, so the floor is not measured on the real IFLYTEK rows");
            return;
        };
        let texts: Vec<String> = rows(&folder, "train_few_all.json").into_iter().map(|(text, _)| text).collect();
        let model = CharNgram::fit(&texts, &FitSet { dataset: "iflytek".to_owned(), split: "train".to_owned() });
        let (dev, test) = (rows(&folder, "dev_few_all.json"), rows(&folder, "test_public.json"));
        for (wordings, rows, least) in
            [(LABELS, &dev, 0.62), (LABELS, &test, 0.65), (DEFINITIONS, &dev, 0.72), (DEFINITIONS, &test, 0.74)]
        {
            let (hits, of) = right(&model, rows, &wordings);
            let share = hits as f64 / of as f64;
            eprintln!("{}: {hits} of {of} = {share:.4}", wordings[0]);
            assert!(share >= least, "{hits} of {of} with {}", wordings[0]);
        }
    }
}
