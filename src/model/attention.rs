//! Attention over packed rows: each row's queries against its own keys and a shared beginning.

use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

use super::description::Attention;
use super::layers::product;
use super::packed::{Group, Packed, Queries};
use super::softmax::attention_weights;

/// Queries that are scored at once. Chunks begin at multiples of it, counted from the beginning of the text, so that a row
/// gives the same bits on the CPU whether its beginning is shared or not (up to 512 shared tokens, close to it beyond).
const CHUNK: usize = 256;

/// Keys and values of a beginning that all rows of a pass share. Shape of both: `[tokens, kv_heads, head_dim]`.
pub(super) struct Past {
    pub keys: Tensor,
    pub values: Tensor,
}

/// Queries, keys and values of a pass. Shape: `[tokens, heads * head_dim]`, and `kv_heads` for keys and values.
pub(super) struct Projected {
    pub queries: Tensor,
    pub keys: Tensor,
    pub values: Tensor,
}

/// The dtype attention is computed in: f32 on the CPU, where half precision has no kernels of its own.
pub(super) fn attention_dtype(dtype: DType, device: &Device) -> DType {
    if device.is_cpu() { DType::F32 } else { dtype }
}

impl Past {
    pub fn new(shape: &Attention, keys: &Tensor, values: &Tensor) -> Result<Self> {
        let split = |x: &Tensor| x.reshape(((), shape.kv_heads, shape.head_dim));
        Ok(Self { keys: split(keys)?, values: split(values)? })
    }

    fn len(&self) -> Result<usize> {
        self.keys.dim(0)
    }
}

/// Mixes the values each query sees. Shape of the result: `[positions asked for, heads * head_dim]`.
pub(super) fn attend(
    shape: &Attention,
    rows: &Packed,
    asked: Queries,
    projected: &Projected,
    past: Option<&Past>,
) -> Result<Tensor> {
    // On the CPU rows run side by side; elsewhere, rows of one length go into one kernel.
    let merge = !projected.queries.device().is_cpu();
    attend_groups(shape, rows, asked, projected, past, &rows.groups(merge))
}

fn attend_groups(
    shape: &Attention,
    rows: &Packed,
    asked: Queries,
    projected: &Projected,
    past: Option<&Past>,
    groups: &[Group],
) -> Result<Tensor> {
    let one = |group: &Group| attend_group(shape, rows, asked, projected, past, *group);
    let mixed: Vec<Tensor> = if projected.queries.device().is_cpu() {
        groups.par_iter().map(one).collect::<Result<_>>()?
    } else {
        groups.iter().map(one).collect::<Result<_>>()?
    };
    Tensor::cat(&mixed, 0)
}

fn attend_group(
    shape: &Attention,
    rows: &Packed,
    asked: Queries,
    projected: &Projected,
    past: Option<&Past>,
    group: Group,
) -> Result<Tensor> {
    let Attention { heads, kv_heads, head_dim, causal, .. } = *shape;
    let start = rows.range(group.first).start;
    let keys = gather(shape, &projected.keys, past.map(|past| &past.keys), start, group)?;
    let values = gather(shape, &projected.values, past.map(|past| &past.values), start, group)?;
    let before = past.map_or(Ok(0), Past::len)?;
    let total = before + group.length;

    let places = asked.within(group.length);
    let queries = projected.queries.narrow(0, asked.first(rows, group.first), group.rows * places.len())?;
    // [rows, kv_heads, repeats, places, head_dim]
    let queries =
        queries.reshape((group.rows, places.len(), kv_heads, heads / kv_heads, head_dim))?.permute((0, 2, 3, 1, 4))?;

    let mut done = 0;
    let mut chunks = Vec::new();
    for chunk in places.chunk_by(|a, b| (before + a) / CHUNK == (before + b) / CHUNK) {
        chunks.push((done, chunk));
        done += chunk.len();
    }
    let one = |&(first, chunk): &(usize, &[usize])| {
        let end = chunk.first().map_or(total, |place| ((before + place) / CHUNK + 1) * CHUNK);
        let seen = if causal { end.min(total) } else { total };
        let visible: Vec<usize> = chunk.iter().map(|place| if causal { before + place + 1 } else { total }).collect();
        let queries = queries.narrow(3, first, chunk.len())?;
        mix(shape, &queries, &keys.narrow(1, 0, seen)?, &values.narrow(1, 0, seen)?, &visible)
    };
    let mixed: Vec<Tensor> = if keys.device().is_cpu() {
        chunks.par_iter().map(one).collect::<Result<_>>()?
    } else {
        chunks.iter().map(one).collect::<Result<_>>()?
    };
    Tensor::cat(&mixed, 1)?.reshape((group.rows * places.len(), heads * head_dim))
}

/// Keys, or values, of a group's rows behind the shared beginning. Shape: `[rows * kv_heads, tokens, head_dim]`.
fn gather(shape: &Attention, own: &Tensor, past: Option<&Tensor>, start: usize, group: Group) -> Result<Tensor> {
    let Attention { kv_heads, head_dim, .. } = *shape;
    let own = own.narrow(0, start, group.rows * group.length)?.reshape((group.rows, group.length, kv_heads, head_dim))?;
    let all = match past {
        None => own,
        Some(past) => {
            let past = past.unsqueeze(0)?.broadcast_as((group.rows, past.dim(0)?, kv_heads, head_dim))?;
            Tensor::cat(&[&past, &own], 1)?
        }
    };
    let heads_first = all.transpose(1, 2)?;
    if group.rows == 1 { heads_first.squeeze(0) } else { heads_first.flatten(0, 1) }
}

/// Softmax of queries times keys, times values, for one chunk of places.
///
/// Shape: queries `[rows, kv_heads, repeats, places, head_dim]`; result `[rows, places, heads * head_dim]`.
fn mix(shape: &Attention, queries: &Tensor, keys: &Tensor, values: &Tensor, visible: &[usize]) -> Result<Tensor> {
    let (rows, kv_heads, repeats, places, head_dim) = queries.dims5()?;
    let queries = if rows == 1 && repeats == 1 {
        queries.squeeze(2)?.squeeze(0)?
    } else {
        queries.reshape((rows * kv_heads, repeats * places, head_dim))?
    };
    let scores = matmul(&queries, &keys.transpose(1, 2)?)?;
    #[expect(clippy::cast_precision_loss, reason = "heads are far narrower than 2^24")]
    let scale = (head_dim as f32).sqrt().recip();
    let weights = attention_weights(scores, scale, visible)?;
    let mixed = matmul(&weights, values)?;
    mixed.reshape((rows, kv_heads, repeats, places, head_dim))?.permute((0, 3, 1, 2, 4))?.reshape((
        rows,
        places,
        shape.heads * head_dim,
    ))
}

/// candle's own CPU kernel multiplies any layout; the others want contiguous matrices.
fn matmul(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let any_layout = left.device().is_cpu() && !cfg!(any(feature = "mkl", feature = "accelerate"));
    if any_layout { product(left, right) } else { product(&left.contiguous()?, &right.contiguous()?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_length_may_go_together() {
        let shape = Attention { heads: 4, kv_heads: 2, head_dim: 6, qkv_bias: false, output_bias: false, causal: true };
        let random = |tokens: usize, width: usize| Tensor::randn(0.0_f32, 1.0, (tokens, width), &Device::Cpu);
        let lengths = vec![3, 3, 3, 1, 5, 5];
        let rows = Packed::new(lengths);
        let past = Past::new(&shape, &random(7, 12).expect("keys"), &random(7, 12).expect("values")).expect("past");
        for asked in [Queries::All, Queries::Ends { first: false, last: true }] {
            let places = rows.select(asked).map_or(20, |at| at.len());
            let projected = Projected {
                queries: random(places, 24).expect("queries"),
                keys: random(20, 12).expect("keys"),
                values: random(20, 12).expect("values"),
            };
            let mixed = |merge: bool| {
                let groups = rows.groups(merge);
                let mixed = attend_groups(&shape, &rows, asked, &projected, Some(&past), &groups).expect("attention");
                mixed.to_vec2::<f32>().expect("values")
            };
            let (apart, together) = (mixed(false), mixed(true));
            let difference = apart.iter().flatten().zip(together.iter().flatten()).map(|(a, b)| (a - b).abs());
            assert!(difference.fold(0.0, f32::max) < 1e-6, "{asked:?}");
        }
    }
}
