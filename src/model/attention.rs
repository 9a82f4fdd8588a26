//! Attention over packed segments: each one's queries against its own keys and all that stand before it.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};

use super::description::Attention;
use super::kernels::{self, Heads, Run};
use super::packed::{Group, Packed, Queries};
use super::slices::slice_of;

/// Queries that a device scores at once, so that a long text's scores stay small beside its weights.
const CHUNK: usize = 256;

/// Keys and values of a beginning that all segments of a pass continue.
pub(super) enum Past {
    /// Laid out for the kernels of the CPU.
    Run(Run),
    /// Shape of both: `[tokens, kv_heads, head_dim]`.
    Tensors { keys: Tensor, values: Tensor },
}

/// Queries, keys and values of a pass. Shape: `[tokens, heads * head_dim]`, and `kv_heads` for keys and values.
pub(super) struct Projected {
    pub queries: Tensor,
    pub keys: Tensor,
    pub values: Tensor,
}

impl Past {
    pub fn new(shape: &Attention, keys: &Tensor, values: &Tensor) -> Result<Self> {
        if keys.device().is_cpu() {
            return Ok(Self::Run(slice_of(keys, |keys| slice_of(values, |values| Run::new(shape, keys, values)))??));
        }
        let split = |x: &Tensor| x.reshape(((), shape.kv_heads, shape.head_dim));
        Ok(Self::Tensors { keys: split(keys)?, values: split(values)? })
    }
}

/// Which positions of which segments attend, and how far they see.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub shape: &'a Attention,
    /// Most tokens that one sees, where that is limited.
    pub window: Option<usize>,
    pub packed: &'a Packed,
    pub asked: Queries,
}

impl Scene<'_> {
    /// Which of its text's tokens the one at `place` sees, of `total` up to the end of its segment.
    fn sees(&self, place: usize, total: usize) -> Range<usize> {
        let end = if self.shape.causal { place + 1 } else { total };
        // A window counts the token itself.
        let start = self.window.map_or(0, |window| (place + 1).saturating_sub(window));
        start..end
    }
}

/// Mixes the values each query sees. Shape of the result: `[positions asked for, heads * head_dim]`.
pub(super) fn attend(scene: &Scene<'_>, projected: &Projected, past: Option<&Past>) -> Result<Tensor> {
    let past = match past {
        None => None,
        Some(Past::Run(run)) => return attend_cpu(scene, projected, Some(run)),
        Some(Past::Tensors { keys, values }) => Some((keys, values)),
    };
    if projected.queries.device().is_cpu() {
        return attend_cpu(scene, projected, None);
    }
    #[cfg(feature = "flash-attn")]
    if let Some(mixed) = super::flash::attend_cuda(scene, projected, past)? {
        return Ok(mixed);
    }
    attend_tensors(scene, projected, past)
}

/// On the CPU, segment by segment with the kernels of this program.
fn attend_cpu(scene: &Scene<'_>, projected: &Projected, past: Option<&Run>) -> Result<Tensor> {
    let Scene { shape, packed, asked, .. } = *scene;
    let (key_width, width) = (shape.key_width(), shape.query_width());
    let Projected { queries, keys, values } = projected;
    let runs: Vec<Run> = slice_of(keys, |keys: &[f32]| {
        slice_of(values, |values: &[f32]| {
            let run = |segment| {
                let tokens = packed.range(segment);
                let tokens = tokens.start * key_width..tokens.end * key_width;
                Run::new(shape, &keys[tokens.clone()], &values[tokens])
            };
            (0..packed.len()).map(run).collect()
        })
    })??;
    let (count, _) = queries.dims2()?;
    let mut mixed = vec![0.0_f32; count * width];
    slice_of(queries, |queries: &[f32]| {
        let mut scores = Vec::new();
        let mut rest = (queries, &mut mixed[..]);
        for segment in 0..packed.len() {
            let mut texts: Vec<&Run> = past.into_iter().collect();
            texts.extend(packed.chain(segment).into_iter().map(|segment| &runs[segment]));
            let total: usize = texts.iter().map(|run| run.tokens()).sum();
            let length = packed.range(segment).len();
            let sees = |place: usize| scene.sees(total - length + place, total);
            let visible: Vec<Range<usize>> = asked.within(length).into_iter().map(sees).collect();
            let (here, later) = rest.0.split_at(visible.len() * width);
            let (out, out_later) = std::mem::take(&mut rest.1).split_at_mut(visible.len() * width);
            rest = (later, out_later);
            kernels::attend(&Heads { shape, queries: here, visible: &visible }, &texts, &mut scores, out);
        }
    })?;
    Tensor::from_vec(mixed, (count, width), queries.device())
}

/// On other devices, segments of one length in one kernel.
fn attend_tensors(scene: &Scene<'_>, projected: &Projected, past: Option<(&Tensor, &Tensor)>) -> Result<Tensor> {
    let groups = scene.packed.groups();
    let one = |group: &Group| attend_group(scene, projected, past, *group);
    Tensor::cat(&groups.iter().map(one).collect::<Result<Vec<_>>>()?, 0)
}

fn attend_group(scene: &Scene<'_>, projected: &Projected, past: Option<(&Tensor, &Tensor)>, group: Group) -> Result<Tensor> {
    let Scene { shape, packed, asked, .. } = *scene;
    let Attention { heads, kv_heads, head_dim, .. } = *shape;
    let keys = gather(shape, &projected.keys, past.map(|(keys, _)| keys), packed, group)?;
    let values = gather(shape, &projected.values, past.map(|(_, values)| values), packed, group)?;
    let total = keys.dim(1)?;
    let before = total - group.length;

    let places = asked.within(group.length);
    let queries = projected.queries.narrow(0, asked.first(packed, group.first), group.count * places.len())?;
    // [segments, kv_heads, repeats, places, head_dim]
    let queries =
        queries.reshape((group.count, places.len(), kv_heads, heads / kv_heads, head_dim))?.permute((0, 2, 3, 1, 4))?;
    let mut done = 0;
    let mut mixed = Vec::new();
    for chunk in places.chunks(CHUNK) {
        let visible: Vec<Range<usize>> = chunk.iter().map(|place| scene.sees(before + place, total)).collect();
        // The first query sees farthest back, the last one farthest ahead.
        let start = visible.first().map_or(0, |sees| sees.start);
        let count = visible.last().map_or(total, |sees| sees.end) - start;
        let visible: Vec<Range<usize>> = visible.into_iter().map(|sees| sees.start - start..sees.end - start).collect();
        let queries = queries.narrow(3, done, chunk.len())?;
        mixed.push(mix(shape, &queries, &keys.narrow(1, start, count)?, &values.narrow(1, start, count)?, &visible)?);
        done += chunk.len();
    }
    Tensor::cat(&mixed, 1)?.reshape((group.count * places.len(), heads * head_dim))
}

/// Keys, or values, that a group's segments see. Shape: `[segments * kv_heads, tokens, head_dim]`.
fn gather(shape: &Attention, own: &Tensor, past: Option<&Tensor>, packed: &Packed, group: Group) -> Result<Tensor> {
    let Attention { kv_heads, head_dim, .. } = *shape;
    let segments = group.first..group.first + group.count;
    let own = if group.before == 0 {
        own.narrow(0, packed.range(group.first).start, group.count * group.length)?
    } else {
        let chains = segments.flat_map(|segment| packed.chain(segment));
        let at: Vec<u32> = chains.flat_map(|part| packed.range(part)).map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect();
        let count = at.len();
        own.index_select(&Tensor::from_vec(at, count, own.device())?, 0)?
    };
    let own = own.reshape((group.count, group.before + group.length, kv_heads, head_dim))?;
    let all = match past {
        None => own,
        Some(past) => {
            let past = past.unsqueeze(0)?.broadcast_as((group.count, past.dim(0)?, kv_heads, head_dim))?;
            Tensor::cat(&[&past, &own], 1)?
        }
    };
    all.transpose(1, 2)?.flatten(0, 1)
}

/// Softmax of queries times keys, times values, for one chunk of places.
///
/// Shape: queries `[segments, kv_heads, repeats, places, head_dim]`; result `[segments, places, heads * head_dim]`.
fn mix(shape: &Attention, queries: &Tensor, keys: &Tensor, values: &Tensor, visible: &[Range<usize>]) -> Result<Tensor> {
    let (count, kv_heads, repeats, places, head_dim) = queries.dims5()?;
    let queries = queries.reshape((count * kv_heads, repeats * places, head_dim))?;
    let scores = queries.contiguous()?.matmul(&keys.transpose(1, 2)?.contiguous()?)?;
    let mixed = weights(shape, &scores, visible)?.matmul(&values.contiguous()?)?;
    mixed.reshape((count, kv_heads, repeats, places, head_dim))?.permute((0, 3, 1, 2, 4))?.reshape((
        count,
        places,
        shape.heads * head_dim,
    ))
}

/// Scores scaled, capped and turned, in f32, into weights that add up to 1 over the keys that query `i` sees.
///
/// Shape: `[batch, repeats * queries, keys]` with `visible.len()` queries.
fn weights(shape: &Attention, scores: &Tensor, visible: &[Range<usize>]) -> Result<Tensor> {
    let (batch, rows, keys) = scores.dims3()?;
    let mut scaled = (scores.to_dtype(DType::F32)? * f64::from(shape.score_scale()))?;
    if let Some(cap) = shape.soft_cap {
        scaled = ((scaled / cap)?.tanh()? * cap)?;
    }
    if visible.iter().any(|sees| *sees != (0..keys)) {
        let mask = mask(visible, keys, scaled.device())?;
        scaled = scaled.reshape(((), visible.len(), keys))?.broadcast_add(&mask)?.reshape((batch, rows, keys))?;
    }
    candle_nn::ops::softmax_last_dim(&scaled)?.to_dtype(scores.dtype())
}

/// 0 where a query sees a key, minus infinity elsewhere. Shape: `[queries, keys]`.
fn mask(visible: &[Range<usize>], keys: usize, device: &Device) -> Result<Tensor> {
    let hidden = |sees: &Range<usize>| {
        let sees = sees.clone();
        (0..keys).map(move |key| if sees.contains(&key) { 0.0_f32 } else { f32::NEG_INFINITY })
    };
    let values: Vec<f32> = visible.iter().flat_map(hidden).collect();
    Tensor::from_vec(values, (visible.len(), keys), device)
}

#[cfg(test)]
mod tests {
    use super::super::flash;
    use super::super::packed::Segment;
    use super::*;

    #[test]
    fn the_kernels_the_tensors_and_the_one_kernel_attend_alike() {
        let ids = [0; 9];
        let whole = |length: usize| Segment::whole(&ids[..length]);
        let behind = |length: usize, parent| Segment { ids: &ids[..length], parent: Some(parent), end: true, slots: &[] };
        let packed = Packed::new(&[whole(4), whole(4), whole(5), behind(3, 0), behind(3, 2), behind(3, 2), whole(1)]);
        let random = |rows: usize, width: usize| Tensor::randn(0.0_f32, 1.0, (rows, width), &Device::Cpu).expect("random");
        for (causal, window, soft_cap) in [
            (true, None, None),
            (false, None, None),
            (false, Some(3), None),
            (true, Some(3), None),
            (true, Some(1), Some(0.5)),
            (true, Some(9), Some(2.0)),
        ] {
            let shape = Attention { kv_heads: 2, causal, soft_cap, scale: soft_cap, ..Attention::causal(4, 6) };
            let (keys, values) = (random(7, 12), random(7, 12));
            let split = |x: &Tensor| x.reshape(((), 2, 6)).expect("shape");
            let past = Past::new(&shape, &keys, &values).expect("past");
            let tensors = (split(&keys), split(&values));
            for asked in [Queries::All, Queries::Ends { first: false, last: true }, Queries::Ends { first: true, last: true }] {
                let scene = Scene { shape: &shape, window, packed: &packed, asked };
                let places = packed.select(asked).map_or(23, |at| at.len());
                let projected = Projected { queries: random(places, 24), keys: random(23, 12), values: random(23, 12) };
                for shared in [true, false] {
                    let kernels = attend(&scene, &projected, shared.then_some(&past)).expect("kernels");
                    let tensors = shared.then_some((&tensors.0, &tensors.1));
                    let same = |other: Tensor, by: &str| {
                        let difference = (&kernels - other).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>()).expect("both");
                        assert!(difference < 1e-6, "{by}, {asked:?}, shared {shared}, window {window:?}: {difference}");
                    };
                    same(attend_tensors(&scene, &projected, tensors).expect("tensors"), "tensors");
                    let one = flash::attend(&scene, &projected, tensors, flash::tests::plain).expect("one kernel");
                    let all_see_all = !causal && window.is_none();
                    let serves = all_see_all || !matches!(asked, Queries::Ends { first: true, .. });
                    assert_eq!(one.is_some(), serves, "{asked:?}");
                    one.into_iter().for_each(|one| same(one, "one kernel"));
                }
            }
        }
    }
}
