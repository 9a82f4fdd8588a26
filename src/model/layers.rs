//! The layers a transformer is made of, and the tensors they need.

use candle_core::{D, DType, Device, Result as CandleResult, Tensor};

use super::description::{Description, Norm, Positions};
use super::error::ModelError;
use super::weights::Weights;

/// An affine map. Shape: `[tokens, inputs]` to `[tokens, outputs]`.
pub(super) struct Linear {
    /// Shape: `[outputs, inputs]`.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        let product = product(x, &self.weight.t()?)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

/// Matrix product whose rows do not depend on how many there are: a row gives the same bits in any company.
///
/// Shape: `[.., rows, inputs]` times `[.., inputs, outputs]`.
pub(super) fn product(left: &Tensor, right: &Tensor) -> CandleResult<Tensor> {
    let at = left.rank() - 2;
    if left.device().is_cpu() && left.dim(at + 1)? < 3 {
        // Sums of one or two terms are rounded in another way.
        let missing = 3 - left.dim(at + 1)?;
        return product(&left.pad_with_zeros(at + 1, 0, missing)?, &right.pad_with_zeros(at, 0, missing)?);
    }
    let (rows, wanted) = (left.dim(at)?, rows_for_the_general_kernel(right)?);
    if rows >= wanted || !left.device().is_cpu() {
        return left.matmul(right);
    }
    left.pad_with_zeros(at, 0, wanted - rows)?.matmul(right)?.narrow(at, 0, rows)?.contiguous()
}

/// candle's CPU kernel (gemm 0.19) sums in another order when a product is small; this many rows keep it from that.
fn rows_for_the_general_kernel(right: &Tensor) -> CandleResult<usize> {
    let (inputs, outputs) = (right.dim(D::Minus2)?, right.dim(D::Minus1)?);
    // A single row is a matrix-vector product.
    let mut rows = 2;
    // Up to 256 results are dot products where both sides are contiguous along the inputs.
    if right.stride()[right.rank() - 2] == 1 {
        rows = rows.max(256 / outputs.max(1) + 1);
    }
    // Up to 64 rows and columns split long sums at other places.
    if outputs <= 64 && inputs > 512 {
        rows = rows.max(65);
    }
    Ok(rows)
}

/// A norm over the hidden width, computed in f32 with weights in f32.
pub(super) struct NormLayer {
    kind: Norm,
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f32,
}

impl NormLayer {
    pub fn load(weights: &Weights, name: &str, description: &Description, device: &Device) -> Result<Self, ModelError> {
        let part = |suffix: &str| weights.load(&format!("{name}.{suffix}"), DType::F32, device);
        let bias = match description.norm {
            Norm::Rms => None,
            Norm::Layer => Some(part("bias")?),
        };
        #[expect(clippy::cast_possible_truncation, reason = "the epsilon of an f32 computation")]
        let eps = description.norm_eps as f32;
        Ok(Self { kind: description.norm, weight: part("weight")?, bias, eps })
    }

    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        let wide = x.to_dtype(DType::F32)?.contiguous()?;
        let normed = match (self.kind, &self.bias) {
            (Norm::Layer, Some(bias)) => candle_nn::ops::layer_norm(&wide, &self.weight, bias, self.eps)?,
            _ => candle_nn::ops::rms_norm(&wide, &self.weight, self.eps)?,
        };
        normed.to_dtype(x.dtype())
    }
}

/// One affine map of a block, by name and shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    name: &'static str,
    outputs: usize,
    inputs: usize,
    bias: bool,
}

impl Affine {
    pub fn load(&self, weights: &Weights, block: &str, dtype: DType, device: &Device) -> Result<Linear, ModelError> {
        let name = format!("{block}{}", self.name);
        let weight = weights.load(&format!("{name}.weight"), dtype, device)?;
        let bias = self.bias.then(|| weights.load(&format!("{name}.bias"), dtype, device)).transpose()?;
        Ok(Linear { weight, bias })
    }
}

/// The affine maps of one block.
pub(super) struct Affines {
    pub query: Affine,
    pub key: Affine,
    pub value: Affine,
    pub output: Affine,
    pub gate: Option<Affine>,
    pub up: Affine,
    pub down: Affine,
}

impl Affines {
    pub fn of(description: &Description) -> Self {
        let Description { hidden, attention, feed_forward, names, .. } = description;
        let qkv = |name, outputs| Affine { name, outputs, inputs: *hidden, bias: attention.qkv_bias };
        let up = |name| Affine { name, outputs: feed_forward.width, inputs: *hidden, bias: feed_forward.bias };
        Self {
            query: qkv(names.query, attention.query_width()),
            key: qkv(names.key, attention.key_width()),
            value: qkv(names.value, attention.key_width()),
            output: Affine {
                name: names.output,
                outputs: *hidden,
                inputs: attention.query_width(),
                bias: attention.output_bias,
            },
            gate: feed_forward.gated.then(|| up(names.gate)),
            up: up(names.up),
            down: Affine { name: names.down, outputs: *hidden, inputs: feed_forward.width, bias: feed_forward.bias },
        }
    }

    fn all(&self) -> impl Iterator<Item = Affine> {
        let first = [self.query, self.key, self.value, self.output, self.up, self.down];
        first.into_iter().chain(self.gate)
    }
}

/// What stands before the names of block `i`.
pub(super) fn block_name(description: &Description, i: usize) -> String {
    format!("{}{i}.", description.names.block)
}

/// Every tensor a description asks for, with its shape; names without the prefix.
pub(super) fn tensors(description: &Description) -> Vec<(String, Vec<usize>)> {
    let Description { hidden, names, .. } = description;
    let mut all = vec![(names.tokens.to_owned(), vec![description.vocabulary, *hidden])];
    if description.positions == Positions::Learned {
        all.push((names.positions.to_owned(), vec![description.max_positions, *hidden]));
    }
    if description.token_types > 0 {
        all.push((names.token_types.to_owned(), vec![description.token_types, *hidden]));
    }
    let norm = |all: &mut Vec<(String, Vec<usize>)>, name: String| {
        all.push((format!("{name}.weight"), vec![*hidden]));
        if description.norm == Norm::Layer {
            all.push((format!("{name}.bias"), vec![*hidden]));
        }
    };
    if description.embedding_norm {
        norm(&mut all, names.embedding_norm.to_owned());
    }
    for i in 0..description.layers {
        let block = block_name(description, i);
        norm(&mut all, format!("{block}{}", names.attention_norm));
        norm(&mut all, format!("{block}{}", names.feed_forward_norm));
        for affine in Affines::of(description).all() {
            let name = format!("{block}{}", affine.name);
            all.push((format!("{name}.weight"), vec![affine.outputs, affine.inputs]));
            if affine.bias {
                all.push((format!("{name}.bias"), vec![affine.outputs]));
            }
        }
    }
    if description.final_norm {
        norm(&mut all, names.final_norm.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_does_not_depend_on_what_is_multiplied_beside_it() {
        let shapes = [(24, 24), (64, 160), (384, 1536), (1536, 384), (768, 128), (700, 64), (2048, 768)];
        let dtypes = [DType::F32, DType::BF16, DType::F16];
        for ((inputs, outputs), dtype) in shapes.into_iter().flat_map(|shape| dtypes.map(|dtype| (shape, dtype))) {
            let random = |shape| Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu).and_then(|x| x.to_dtype(dtype));
            let linear = Linear { weight: random((outputs, inputs)).expect("weight"), bias: None };
            let x = random((700, inputs)).expect("input");
            let product = |x: &Tensor| linear.forward(x).and_then(|y| y.to_dtype(DType::F32)?.to_vec2::<f32>());
            let whole = product(&x).expect("product");
            for rows in [1, 2, 3, 5, 8, 13, 31, 63, 64, 65, 100, 300, 512] {
                let part = x.narrow(0, 7, rows).expect("rows");
                let part = product(&part).expect("product");
                assert!(part[..] == whole[7..7 + rows], "{dtype:?}: {inputs} to {outputs}, {rows} rows");
            }
        }
    }
}
