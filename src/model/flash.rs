//! Attention of all segments of a pass in one kernel that takes texts of any lengths: FlashAttention-2, as candle binds it for
//! CUDA in half precision.
//!
//! Source: Dao 2023, arXiv 2307.08691; the interface is that of its `varlen` kernels.

use candle_core::{Result, Tensor};

use super::attention::{Projected, Scene};
use super::packed::Queries;

/// What the kernel is told beside queries, keys and values. Each segment's queries are the last ones of its keys.
pub(super) struct Call {
    /// Where each segment's queries, and its keys, begin, and where the last ones end. Shape of both: `[segments + 1]`, u32.
    pub starts: [Tensor; 2],
    /// The most queries, and keys, of a segment.
    pub longest: [usize; 2],
    /// How many keys before its own place, and behind it, a query sees.
    pub reach: [Option<usize>; 2],
    pub scale: f32,
    /// 0 where there is none.
    pub soft_cap: f32,
}

/// Mixes the values that each query sees, with a kernel that is given queries `[positions, heads, head_dim]`, and keys and values
/// `[tokens, kv_heads, head_dim]`; what it returns has the shape of the queries. None where it cannot serve: positions that only
/// some of the keys are visible to have to be the last ones of their segments.
pub(super) fn attend(
    scene: &Scene<'_>,
    projected: &Projected,
    past: Option<(&Tensor, &Tensor)>,
    kernel: impl FnOnce([&Tensor; 3], &Call) -> Result<Tensor>,
) -> Result<Option<Tensor>> {
    let Scene { shape, window, packed, asked } = *scene;
    let last = matches!(asked, Queries::All | Queries::Ends { first: false, last: true });
    if !last && (shape.causal || window.is_some()) {
        return Ok(None);
    }
    let before = past.map_or(Ok(0), |(keys, _)| keys.dim(0))?;
    let (mut at, mut starts, mut longest) = (Vec::new(), [vec![0], vec![0]], [0, 0]);
    let index = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    for segment in 0..packed.len() {
        let own = packed.chain(segment).into_iter().flat_map(|part| packed.range(part));
        let known = at.len();
        at.extend((0..before).chain(own.map(|place| before + place)).map(index));
        let counts = [asked.within(packed.range(segment).len()).len(), at.len() - known];
        for ((starts, longest), count) in starts.iter_mut().zip(&mut longest).zip(counts) {
            let start = starts.last().copied().unwrap_or(0);
            starts.push(start + index(count));
            *longest = count.max(*longest);
        }
    }
    let device = projected.queries.device();
    // Where no segment continues another, keys lie as they are needed.
    let tokens = projected.keys.dim(0)?;
    let at = if (before, at.len()) == (0, tokens) { None } else { Some(Tensor::new(at, device)?) };
    let seen = |own: &Tensor, past: Option<&Tensor>| {
        let own = own.reshape((tokens, shape.kv_heads, shape.head_dim))?;
        let Some(at) = &at else { return Ok(own) };
        past.map_or_else(|| own.contiguous(), |past| Tensor::cat(&[past, &own], 0))?.index_select(at, 0)
    };
    let keys = seen(&projected.keys, past.map(|(keys, _)| keys))?;
    let values = seen(&projected.values, past.map(|(_, values)| values))?;
    let (positions, width) = projected.queries.dims2()?;
    let queries = projected.queries.reshape((positions, shape.heads, shape.head_dim))?;
    let [of_queries, of_keys] = starts;
    #[expect(clippy::cast_possible_truncation, reason = "a factor of scores in half precision")]
    let call = Call {
        starts: [Tensor::new(of_queries, device)?, Tensor::new(of_keys, device)?],
        longest,
        // A window counts the token itself.
        reach: [window.map(|window| window.saturating_sub(1)), shape.causal.then_some(0)],
        scale: shape.score_scale(),
        soft_cap: shape.soft_cap.unwrap_or(0.0) as f32,
    };
    kernel([&queries, &keys, &values], &call)?.reshape((positions, width)).map(Some)
}

/// Head widths that candle's kernels have.
#[cfg(feature = "flash-attn")]
const WIDEST: usize = 512;

/// [`attend`] on a GPU. None where the kernel does not take what there is: it is left to the general way.
#[cfg(feature = "flash-attn")]
pub(super) fn attend_cuda(
    scene: &Scene<'_>,
    projected: &Projected,
    past: Option<(&Tensor, &Tensor)>,
) -> Result<Option<Tensor>> {
    use candle_core::DType;

    let half = matches!(projected.queries.dtype(), DType::F16 | DType::BF16);
    let head_dim = scene.shape.head_dim;
    if !(projected.queries.device().is_cuda() && half && head_dim.is_multiple_of(8) && head_dim <= WIDEST) {
        return Ok(None);
    }
    attend(scene, projected, past, |[queries, keys, values], call| {
        let Call { starts: [of_queries, of_keys], longest, reach, scale, soft_cap } = call;
        let ([most_queries, most_keys], [left, right]) = (*longest, *reach);
        candle_flash_attn::flash_attn_varlen_alibi_windowed_softcap(
            queries,
            keys,
            values,
            None,
            of_queries,
            of_keys,
            most_queries,
            most_keys,
            *scale,
            left,
            right,
            *soft_cap,
        )
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the kernel computes, pair by pair.
    pub fn plain([queries, keys, values]: [&Tensor; 3], call: &Call) -> Result<Tensor> {
        let (positions, heads, dim) = queries.dims3()?;
        let kv_heads = keys.dim(1)?;
        let starts = [call.starts[0].to_vec1::<u32>()?, call.starts[1].to_vec1::<u32>()?];
        let [queries, keys, values] = [queries, keys, values].map(|all| all.to_vec3::<f32>().expect("three dimensions"));
        let mut mixed = Vec::with_capacity(positions * heads * dim);
        for segment in 0..starts[0].len() - 1 {
            let [asked, seen] = starts.each_ref().map(|starts| starts[segment] as usize..starts[segment + 1] as usize);
            assert!(asked.len() <= call.longest[0] && seen.len() <= call.longest[1]);
            for query in asked.clone() {
                let place = seen.end - (asked.end - query);
                let first = call.reach[0].map_or(seen.start, |left| place.saturating_sub(left).max(seen.start));
                let end = call.reach[1].map_or(seen.end, |right| (place + right + 1).min(seen.end));
                for (head, asking) in queries[query].iter().enumerate() {
                    let kv = head * kv_heads / heads;
                    let score = |key: usize| {
                        let product: f32 = asking.iter().zip(&keys[key][kv]).map(|(a, b)| a * b).sum();
                        let score = product * call.scale;
                        if call.soft_cap > 0.0 { (score / call.soft_cap).tanh() * call.soft_cap } else { score }
                    };
                    let weights: Vec<f32> = (first..end).map(|key| score(key).exp()).collect();
                    let sum: f32 = weights.iter().sum();
                    mixed.extend((0..dim).map(|i| {
                        weights.iter().zip(first..end).map(|(weight, key)| weight * values[key][kv][i]).sum::<f32>() / sum
                    }));
                }
            }
        }
        Tensor::from_vec(mixed, (positions, heads, dim), &candle_core::Device::Cpu)
    }
}
