//! What of a model's vectors depends on how they are computed: alone or in company, in which order, in which precision.

use std::ops::ControlFlow;

use crate::embed::{EmbedError, Encoder, Resolved, Row};
use crate::embeddings::{Embeddings, relative_distance};
use crate::prompt::{Template, Truncation};
use crate::spec::{DType, Layer, Pooling, Readout};

/// Of several lengths and two languages; most of them share what their template begins with.
const TEXTS: [&str; 12] = [
    "a",
    "雨",
    "The ferry leaves the harbour at seven.",
    "小船早上七点离开港口。",
    "A recipe for soup with beans and a little pepper.",
    "找工作、招聘和投简历",
    "Prices rose by 3.2 % in March, the bank said.",
    "给宝宝讲故事的应用，每天一首儿歌。",
    "Turn left behind the bridge, then follow the river until the path ends at a gate.",
    "今天的新闻说，明天会有一场大雨，请带好雨伞，孩子们不要在公园里放风筝。",
    "She means well, but one word said in anger is hard to take back, and he has not forgotten it in all these years.",
    "用户可以在这里学习数学、语文和英语，老师在线答疑，家长可以看到每天的进步，考试之前还能做历年的题目。",
];

/// Repeats of the longest text that make one row longer than most windows of attention.
const LONG: usize = 40;

const TEMPLATE: &str = "This text: \"{text}\" means in one word: \"";

/// Largest difference that is no fault, in units of roundoff: some layers round some times each on the way to a vector.
const ROUNDINGS: f64 = 100.0;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: &'static str,
    pub told: String,
    /// Whether it is as it should be.
    pub well: bool,
}

/// All that was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    pub findings: Vec<Finding>,
    /// Largest difference between two ways to compute one vector, relative to its length.
    pub noise: f64,
    /// Most that the cosine of two texts moved by it.
    pub cosine: f64,
    /// Most that a margin between two labels' scores can move by it, of vectors as they are or centred.
    pub margin: f64,
}

/// Examines a model. `exact` is the same model in f32, where `encoder` is not.
///
/// # Errors
/// A model that cannot be loaded, and a text that it cannot embed.
pub fn examine(encoder: &dyn Encoder, exact: Option<&dyn Encoder>, dtype: DType) -> Result<Diagnosis, EmbedError> {
    let patient = Patient::new(encoder)?;
    let together = patient.encode(encoder, &patient.rows)?;
    let mut diagnosis = Diagnosis { findings: vec![patient.tokens()], noise: 0.0, cosine: 0.0, margin: 0.0 };
    let allowed = ROUNDINGS * roundoff(dtype);
    let ways = [
        ("the same again", patient.encode(encoder, &patient.rows)?),
        // In full: no other row, no padding, no beginning that is shared.
        ("alone", patient.alone(encoder)?),
        ("other order", patient.reversed(encoder)?),
    ];
    for (what, other) in &ways {
        let (difference, cosine) = (apart(&together, other), cosines_apart(&together, other));
        diagnosis.noise = diagnosis.noise.max(difference);
        diagnosis.cosine = diagnosis.cosine.max(cosine);
        // A margin is a difference of two scores, and each may move.
        let centred = cosines_apart(&centred(&together), &centred(other));
        diagnosis.margin = diagnosis.margin.max(2.0 * cosine.max(centred));
        let told = match difference {
            0.0 => "the same bits as all together".to_owned(),
            _ => format!("differs from all together by {difference:.1e} at most"),
        };
        diagnosis.findings.push(Finding { what, told, well: difference <= allowed });
    }
    diagnosis.findings.extend(patient.special(encoder));
    diagnosis.findings.extend(patient.last_token(encoder, allowed)?);
    if let Some(exact) = exact {
        diagnosis.findings.push(patient.precision(exact, &together, dtype)?);
    }
    diagnosis.findings.extend(together.last().map(shared_direction));
    Ok(diagnosis)
}

/// A model's own rows and readouts.
struct Patient {
    /// Ids of every text under the template.
    rows: Vec<Vec<u32>>,
    /// Ids of a text by itself.
    bare: Vec<u32>,
    readouts: Vec<Resolved>,
}

impl Patient {
    fn new(encoder: &dyn Encoder) -> Result<Self, EmbedError> {
        let named: Result<Vec<Resolved>, EmbedError> =
            [Pooling::Last, Pooling::Mean].into_iter().map(|pool| encoder.readout(&readout(pool))).collect();
        // Servers and the lexical model give finished vectors alone.
        let readouts = named.or_else(|_| encoder.readout(&readout(Pooling::Own)).map(|own| vec![own]))?;
        let long = TEXTS[TEXTS.len() - 1].repeat(LONG);
        let texts = TEXTS.into_iter().chain([long.as_str()]);
        let rows = texts.map(|text| ids(encoder, TEMPLATE, text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rows, bare: ids(encoder, "{text}", TEXTS[8])?, readouts })
    }

    fn encode(&self, encoder: &dyn Encoder, rows: &[Vec<u32>]) -> Result<Vec<Embeddings>, EmbedError> {
        encode(encoder, rows, &self.readouts)
    }

    fn alone(&self, encoder: &dyn Encoder) -> Result<Vec<Embeddings>, EmbedError> {
        let parts: Vec<Vec<Embeddings>> =
            self.rows.iter().map(|row| self.encode(encoder, std::slice::from_ref(row))).collect::<Result<_, _>>()?;
        let of = |readout: usize| {
            let values = parts.iter().flat_map(|part| part[readout].values().to_vec()).collect();
            Embeddings::from_values(self.readouts[readout].dim, values)
        };
        Ok((0..self.readouts.len()).map(of).collect())
    }

    fn reversed(&self, encoder: &dyn Encoder) -> Result<Vec<Embeddings>, EmbedError> {
        let rows: Vec<Vec<u32>> = self.rows.iter().rev().cloned().collect();
        let order: Vec<usize> = (0..rows.len()).rev().collect();
        Ok(self.encode(encoder, &rows)?.iter().map(|matrix| matrix.select(&order)).collect())
    }

    /// How long the rows are, and what they have in common.
    fn tokens(&self) -> Finding {
        let lengths = || self.rows.iter().map(Vec::len);
        let shared = (0..).take_while(|&at| {
            let first = self.rows.first().and_then(|row| row.get(at));
            first.is_some() && self.rows.iter().all(|row| row.get(at) == first)
        });
        let (count, shortest, longest) = (self.rows.len(), lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        let told = format!("{count} texts of {shortest} to {longest} tokens, which begin with {} in common", shared.count());
        Finding { what: "looked at", told, well: true }
    }

    /// Which special tokens stand around every text, and whether the first of them stands there once.
    fn special(&self, encoder: &dyn Encoder) -> Option<Finding> {
        let special = encoder.special()?;
        let side = |tokens: &[String], which: &str| (!tokens.is_empty()).then(|| format!("{} {which}", tokens.join(" ")));
        let sides: Vec<String> =
            [side(&special.before, "before"), side(&special.after, "behind")].into_iter().flatten().collect();
        let starts = self.bare.iter().map(|id| encoder.piece(*id)).take_while(|piece| Some(piece) == special.before.first());
        let well = starts.count() < 2;
        let told = match (well, sides.is_empty()) {
            (true, true) => "none around a text".to_owned(),
            (true, false) => format!("{} every text", sides.join(", ")),
            (false, _) => format!("{} stands twice before every text: its files add it twice", special.before[0]),
        };
        Some(Finding { what: "special tokens", told, well })
    }

    /// Whether the vector of the last token is that of the last token: in a model that reads left to right the mean over a text
    /// is that over its beginning and one state more.
    fn last_token(&self, encoder: &dyn Encoder, allowed: f64) -> Result<Option<Finding>, EmbedError> {
        let Some(shorter) = self.bare.len().checked_sub(1).filter(|length| *length > 0) else { return Ok(None) };
        let [last, mean, first] = [Pooling::Last, Pooling::Mean, Pooling::Cls].map(|pool| encoder.readout(&readout(pool)));
        let (Ok(last), Ok(mean), Ok(first)) = (last, mean, first) else { return Ok(None) };
        let rows = [self.bare.clone(), self.bare[..shorter].to_vec()];
        let found = encode(encoder, &rows, &[last, mean, first])?;
        let [last, mean, first] = [0, 1, 2].map(|pool: usize| [0, 1].map(|row| found[pool].row(row)));
        let what = "pool = \"last\"";
        if relative_distance(first[0], first[1]) > allowed {
            let told = "this model reads both ways, so that its last token is like any other".to_owned();
            return Ok(Some(Finding { what, told, well: true }));
        }
        #[expect(clippy::cast_precision_loss, reason = "texts are short")]
        let (all, before) = (self.bare.len() as f64, shorter as f64);
        #[expect(clippy::cast_possible_truncation, reason = "a state is f32")]
        let added = |(whole, part): (&f32, &f32)| (all * f64::from(*whole) - before * f64::from(*part)) as f32;
        let state: Vec<f32> = mean[0].iter().zip(mean[1]).map(added).collect();
        // What the mean is rounded by counts once for every token.
        let well = relative_distance(&state, last[0]) <= allowed * all;
        let told =
            if well { "the state of the last token, which has seen all others" } else { "not the state of the last token" };
        Ok(Some(Finding { what, told: told.to_owned(), well }))
    }

    fn precision(&self, exact: &dyn Encoder, found: &[Embeddings], dtype: DType) -> Result<Finding, EmbedError> {
        let wanted = self.encode(exact, &self.rows)?;
        let (difference, cosine) = (apart(&wanted, found), cosines_apart(&wanted, found));
        let told = format!("differs from f32 by {difference:.1e} at most; cosines of texts move by up to {cosine:.1e}");
        Ok(Finding { what: dtype.name(), told, well: difference <= ROUNDINGS * roundoff(dtype) })
    }
}

/// Ids of a text under a template; none under what is no template.
fn ids(encoder: &dyn Encoder, template: &str, text: &str) -> Result<Vec<u32>, EmbedError> {
    let Ok(template) = Template::parse(template) else { return Ok(Vec::new()) };
    encoder.prepare(&template, text, Truncation::Head).map(|prepared| prepared.ids)
}

fn readout(pool: Pooling) -> Readout {
    Readout { normalize: false, ..Readout::new("doctor", Layer::At(-1), pool) }
}

/// One matrix per readout, in the order of the rows; the first failure of a row is that of all.
fn encode(encoder: &dyn Encoder, rows: &[Vec<u32>], readouts: &[Resolved]) -> Result<Vec<Embeddings>, EmbedError> {
    let slices: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
    let mut found: Vec<Vec<Vec<f32>>> = readouts.iter().map(|_| vec![Vec::new(); rows.len()]).collect();
    let mut failed = None;
    encoder.encode(&slices, readouts, &mut |batch| {
        for (matrix, found) in batch.embeddings.iter().zip(&mut found) {
            for (at, &row) in batch.rows.iter().enumerate() {
                found[row] = matrix.row(at).to_vec();
            }
        }
        failed = failed.take().or_else(|| batch.failed.into_iter().next());
        ControlFlow::Continue(())
    })?;
    match failed {
        Some((_, error)) => Err(error),
        None => Ok((found.into_iter().zip(readouts))
            .map(|(rows, readout)| Embeddings::from_values(readout.dim, rows.concat()))
            .collect()),
    }
}

/// How alike all texts are, which is what centring takes away.
fn shared_direction(vectors: &Embeddings) -> Finding {
    let cosines = cosines(vectors);
    #[expect(clippy::cast_precision_loss, reason = "a few pairs")]
    let mean = cosines.iter().sum::<f64>() / cosines.len().max(1) as f64;
    let advice = if mean > 0.8 { ": nearly one direction, which `calibration = [\"center\"]` takes out" } else { "" };
    Finding { what: "directions", told: format!("unrelated texts have a mean cosine of {mean:.2}{advice}"), well: true }
}

/// Largest relative difference between rows of two sets of matrices.
fn apart(a: &[Embeddings], b: &[Embeddings]) -> f64 {
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.rows().zip(b.rows()));
    pairs.map(|(a, b)| relative_distance(b, a)).fold(0.0, f64::max)
}

/// Largest change of a cosine between two texts.
fn cosines_apart(a: &[Embeddings], b: &[Embeddings]) -> f64 {
    let changes = a.iter().zip(b).flat_map(|(a, b)| cosines(a).into_iter().zip(cosines(b)));
    changes.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Rows minus their mean.
fn centred(matrices: &[Embeddings]) -> Vec<Embeddings> {
    let one = |matrix: &Embeddings| {
        let rows: Vec<Vec<f64>> = matrix.rows().map(wide).collect();
        #[expect(clippy::cast_precision_loss, reason = "a few texts")]
        let count = rows.len().max(1) as f64;
        let mean: Vec<f64> = (0..matrix.dim()).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / count).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a state is f32")]
        let values = rows.iter().flat_map(|row| row.iter().zip(&mean).map(|(value, mean)| (value - mean) as f32)).collect();
        Embeddings::from_values(matrix.dim(), values)
    };
    matrices.iter().map(one).collect()
}

/// Cosines of all pairs of rows.
fn cosines(vectors: &Embeddings) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = vectors.rows().map(wide).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let pairs = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs
        .map(|(i, j)| {
            let (a, b) = (&rows[i], &rows[j]);
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
        })
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Half the distance from 1 to the next number.
fn roundoff(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::EPSILON) / 2.0,
        DType::F16 => 2_f64.powi(-11),
        DType::Bf16 => 2_f64.powi(-8),
    }
}
