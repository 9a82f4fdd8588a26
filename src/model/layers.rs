//! The layers a transformer is made of, and the tensors they need.

use candle_core::{DType, Device, Result as CandleResult, Tensor};

use super::description::{Activation, Description, Norm, Positions};
use super::device::{has_own_kernels, stream};
use super::error::ModelError;
use super::kernels;
use super::slices::{in_place, slice_of};
use super::weights::Weights;

/// An affine map. Shape: `[tokens, inputs]` to `[tokens, outputs]`.
pub(super) struct Linear {
    weight: Weight,
    /// In the dtype of the residual stream.
    bias: Option<Tensor>,
}

enum Weight {
    /// Laid out for the kernels of this program.
    Packed(kernels::Weights),
    /// For candle's kernels. Shape: `[outputs, inputs]`.
    Dense(Tensor),
}

impl Linear {
    /// Takes weights, of shape `[outputs, inputs]`, as they are multiplied on a device.
    pub fn new(weight: Tensor, bias: Option<Tensor>, device: &Device) -> CandleResult<Self> {
        let bias = bias.map(|bias| bias.to_dtype(stream(bias.dtype(), device))).transpose()?;
        let outputs = weight.dim(0)?;
        let weight = match weight.dtype() {
            _ if !has_own_kernels(device) => Weight::Dense(weight),
            DType::BF16 => Weight::Packed(slice_of(&weight, |values| kernels::Weights::bf16(values, outputs))?),
            DType::F16 => Weight::Packed(slice_of(&weight, |values| kernels::Weights::f16(values, outputs))?),
            _ => Weight::Packed(slice_of(&weight, |values| kernels::Weights::f32(values, outputs))?),
        };
        Ok(Self { weight, bias })
    }

    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        match &self.weight {
            Weight::Packed(weights) => {
                let (rows, inputs) = x.dims2()?;
                let mut product = slice_of(x, |x| weights.multiply(x, inputs))?;
                if let Some(bias) = &self.bias {
                    slice_of(bias, |bias| kernels::add_to_rows(&mut product, bias))?;
                }
                Tensor::from_vec(product, (rows, weights.outputs()), x.device())
            }
            Weight::Dense(weight) => {
                let product = x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?.to_dtype(x.dtype())?;
                match &self.bias {
                    Some(bias) => product.broadcast_add(bias),
                    None => Ok(product),
                }
            }
        }
    }
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
        let bias = self.bias.as_ref().filter(|_| self.kind == Norm::Layer);
        if x.device().is_cpu() {
            let normed = slice_of(x, |x| {
                slice_of(&self.weight, |weight| match bias {
                    Some(bias) => slice_of(bias, |bias| kernels::layer_norm(x, weight, bias, self.eps)),
                    None => Ok(kernels::rms_norm(x, weight, self.eps)),
                })
            })???;
            return Tensor::from_vec(normed, x.shape(), x.device());
        }
        let wide = x.to_dtype(DType::F32)?.contiguous()?;
        let normed = match bias {
            Some(bias) => candle_nn::ops::layer_norm(&wide, &self.weight, bias, self.eps)?,
            None => candle_nn::ops::rms_norm(&wide, &self.weight, self.eps)?,
        };
        normed.to_dtype(x.dtype())
    }
}

impl Activation {
    /// `activation(x)`, or `activation(gate) * x` where there is a gate; computed in f32, in the dtype of `x`.
    pub(super) fn apply(self, gate: Option<&Tensor>, x: Tensor) -> CandleResult<Tensor> {
        if x.device().is_cpu() {
            return in_place(x, |x| {
                match gate {
                    Some(gate) => slice_of(gate, |gate| kernels::activate(self, Some(gate), x))?,
                    None => kernels::activate(self, None, x),
                }
                Ok(())
            });
        }
        let input = gate.unwrap_or(&x).to_dtype(DType::F32)?;
        let output = match self {
            Self::Silu => input.silu()?,
            Self::Gelu => input.gelu_erf()?,
            Self::GeluTanh => input.gelu()?,
            Self::Relu => input.relu()?,
        };
        let output = if gate.is_some() { (output * x.to_dtype(DType::F32)?)? } else { output };
        output.to_dtype(x.dtype())
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
        Linear::new(weight, bias, device).map_err(ModelError::forward("weights"))
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
