//! The layers a transformer is made of, and the tensors they need.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result as CandleResult, Tensor};

use super::description::{Activation, Description, Norm, Placement, Positions, Qkv};
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

/// A norm over rows as wide as its weight, computed in f32 with weights in f32.
pub(super) struct NormLayer {
    weight: Tensor,
    /// That of a layer norm; the others are root mean squares.
    bias: Option<Tensor>,
    eps: f32,
}

impl NormLayer {
    pub fn load(weights: &Weights, name: &str, description: &Description, device: &Device) -> Result<Self, ModelError> {
        let part = |suffix: &str| weights.load(&format!("{name}.{suffix}"), DType::F32, device);
        let mut weight = part("weight")?;
        if description.norm_from_one {
            weight = (weight + 1.0).map_err(ModelError::forward("norms"))?;
        }
        let bias = match description.norm {
            Norm::Rms => None,
            Norm::Layer => Some(part("bias")?),
        };
        #[expect(clippy::cast_possible_truncation, reason = "the epsilon of an f32 computation")]
        let eps = description.norm_eps as f32;
        Ok(Self { weight, bias, eps })
    }

    /// Shape: `[rows, n * width]`, of which each `width` values are brought to the norm.
    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        if x.device().is_cpu() {
            let normed = slice_of(x, |x| {
                slice_of(&self.weight, |weight| match &self.bias {
                    Some(bias) => slice_of(bias, |bias| kernels::layer_norm(x, weight, bias, self.eps)),
                    None => Ok(kernels::rms_norm(x, weight, self.eps)),
                })
            })???;
            return Tensor::from_vec(normed, x.shape(), x.device());
        }
        let wide = x.to_dtype(DType::F32)?.reshape(((), self.weight.elem_count()))?.contiguous()?;
        let normed = match &self.bias {
            Some(bias) => candle_nn::ops::layer_norm(&wide, &self.weight, bias, self.eps)?,
            None => candle_nn::ops::rms_norm(&wide, &self.weight, self.eps)?,
        };
        normed.reshape(x.shape())?.to_dtype(x.dtype())
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

/// One affine map, by name and shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    name: &'static str,
    outputs: usize,
    inputs: usize,
    bias: bool,
    part: Part,
    /// Stored as `[inputs, outputs]`.
    transposed: bool,
}

/// Which outputs of a stored map are those of this one.
#[derive(Clone, Copy, Debug)]
enum Part {
    All,
    /// Those from `first` on, of `total`.
    From {
        first: usize,
        total: usize,
    },
    /// The `index`th third of every head's.
    Third {
        index: usize,
        head_dim: usize,
    },
}

impl Part {
    /// Outputs of the stored map, where this part has so many.
    const fn total(self, outputs: usize) -> usize {
        match self {
            Self::All => outputs,
            Self::From { total, .. } => total,
            Self::Third { .. } => 3 * outputs,
        }
    }

    /// Takes the part out of all outputs, which are the first dimension.
    fn of(self, all: &Tensor, outputs: usize) -> CandleResult<Tensor> {
        match self {
            Self::All => Ok(all.clone()),
            Self::From { first, .. } => all.narrow(0, first, outputs)?.contiguous(),
            Self::Third { index, head_dim } => {
                let heads = all.reshape((outputs / head_dim, 3, head_dim, ()))?;
                let third = heads.narrow(1, index, 1)?;
                if all.rank() == 1 { third.flatten_all() } else { third.reshape((outputs, ())) }
            }
        }
    }
}

impl Affine {
    const fn whole(name: &'static str, outputs: usize, inputs: usize, bias: bool) -> Self {
        Self { name, outputs, inputs, bias, part: Part::All, transposed: false }
    }

    /// Loads it. What is stored with others is kept in `stored` for them.
    pub fn load(&self, stored: &mut Stored<'_>, block: &str, dtype: DType, device: &Device) -> Result<Linear, ModelError> {
        let name = format!("{block}{}", self.name);
        let weight = stored.get(&format!("{name}.weight"), self)?;
        let bias = self.bias.then(|| stored.get(&format!("{name}.bias"), self)).transpose()?;
        let place = |tensor: Tensor| self.part.of(&tensor, self.outputs)?.to_dtype(dtype)?.to_device(device);
        let linear = || Linear::new(place(weight)?, bias.map(place).transpose()?, device);
        linear().map_err(ModelError::forward("weights"))
    }

    /// The tensors it is stored in.
    fn tensors(&self, block: &str) -> impl Iterator<Item = (String, Vec<usize>)> {
        let name = format!("{block}{}", self.name);
        let outputs = self.part.total(self.outputs);
        let shape = if self.transposed { vec![self.inputs, outputs] } else { vec![outputs, self.inputs] };
        let bias = self.bias.then(|| (format!("{name}.bias"), vec![outputs]));
        std::iter::once((format!("{name}.weight"), shape)).chain(bias)
    }
}

/// The tensors that several maps of a block are parts of: each is read once.
pub(super) struct Stored<'a> {
    weights: &'a Weights,
    whole: BTreeMap<String, Tensor>,
}

impl<'a> Stored<'a> {
    pub const fn new(weights: &'a Weights) -> Self {
        Self { weights, whole: BTreeMap::new() }
    }

    /// All of a tensor, with the outputs of `affine` and its neighbours in the first dimension.
    fn get(&mut self, name: &str, affine: &Affine) -> Result<Tensor, ModelError> {
        if let Some(tensor) = self.whole.get(name) {
            return Ok(tensor.clone());
        }
        let read = self.weights.read(name)?;
        let turn = || if affine.transposed && read.rank() == 2 { read.t()?.contiguous() } else { Ok(read) };
        let tensor = turn().map_err(ModelError::forward("weights"))?;
        if !matches!(affine.part, Part::All) {
            self.whole.insert(name.to_owned(), tensor.clone());
        }
        Ok(tensor)
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
        let whole =
            |name, outputs, inputs, bias| Affine { transposed: names.transposed, ..Affine::whole(name, outputs, inputs, bias) };
        let (queries, keys) = (attention.query_width(), attention.key_width());
        let qkv = |index: usize| {
            let outputs = if index == 0 { queries } else { keys };
            let (name, part) = match names.qkv {
                Qkv::Apart { query, key, value } => ([query, key, value][index], Part::All),
                Qkv::Stacked(name) => {
                    (name, Part::From { first: [0, queries, queries + keys][index], total: queries + 2 * keys })
                }
                Qkv::ByHead(name) => (name, Part::Third { index, head_dim: attention.head_dim }),
            };
            Affine { part, ..whole(name, outputs, *hidden, attention.qkv_bias) }
        };
        let width = feed_forward.width;
        let up = |name, first| {
            let both = feed_forward.gated && names.gate == names.up;
            let part = if both { Part::From { first, total: 2 * width } } else { Part::All };
            Affine { part, ..whole(name, width, *hidden, feed_forward.bias) }
        };
        Self {
            query: qkv(0),
            key: qkv(1),
            value: qkv(2),
            output: whole(names.output, *hidden, queries, attention.output_bias),
            gate: feed_forward.gated.then(|| up(names.gate, 0)),
            up: up(names.up, width),
            down: whole(names.down, *hidden, width, feed_forward.bias),
        }
    }

    fn all(&self) -> impl Iterator<Item = Affine> {
        let first = [self.query, self.key, self.value, self.output, self.up, self.down];
        first.into_iter().chain(self.gate)
    }
}

/// The maps between a token table of another width and the blocks: into them, and out of them.
pub(super) fn projections(description: &Description) -> Option<(Affine, Affine)> {
    let Description { hidden, names, .. } = description;
    description.token_width.map(|width| {
        (Affine::whole(names.project_in, *hidden, width, false), Affine::whole(names.project_out, width, *hidden, false))
    })
}

/// What stands before the names of block `i`.
pub(super) fn block_name(description: &Description, i: usize) -> String {
    format!("{}{i}.", description.names.block)
}

/// Names of a block's norms over the hidden width.
fn block_norms(description: &Description) -> impl Iterator<Item = &'static str> {
    let names = description.names;
    let ends = (description.placement == Placement::Around).then_some([names.attention_end_norm, names.feed_forward_end_norm]);
    [names.attention_norm, names.feed_forward_norm].into_iter().chain(ends.into_iter().flatten())
}

/// Every tensor a description asks for, with its shape; names without the prefix.
pub(super) fn tensors(description: &Description) -> Vec<(String, Vec<usize>)> {
    let Description { hidden, attention, names, .. } = description;
    let mut all = vec![(names.tokens.to_owned(), vec![description.vocabulary, description.token_width.unwrap_or(*hidden)])];
    if description.positions == Positions::Learned {
        all.push((names.positions.to_owned(), vec![description.max_positions + description.position_offset, *hidden]));
    }
    if description.token_types > 0 {
        all.push((names.token_types.to_owned(), vec![description.token_types, *hidden]));
    }
    for affine in projections(description).into_iter().flat_map(|(inward, outward)| [inward, outward]) {
        all.extend(affine.tensors(""));
    }
    let norm = |all: &mut Vec<(String, Vec<usize>)>, name: String, width: usize| {
        all.push((format!("{name}.weight"), vec![width]));
        if description.norm == Norm::Layer {
            all.push((format!("{name}.bias"), vec![width]));
        }
    };
    if description.embedding_norm {
        norm(&mut all, names.embedding_norm.to_owned(), *hidden);
    }
    for i in 0..description.layers {
        let block = block_name(description, i);
        for name in block_norms(description) {
            norm(&mut all, format!("{block}{name}"), *hidden);
        }
        if attention.head_norm {
            norm(&mut all, format!("{block}{}", names.query_norm), attention.head_dim);
            norm(&mut all, format!("{block}{}", names.key_norm), attention.head_dim);
        }
        for affine in Affines::of(description).all() {
            all.extend(affine.tensors(&block));
        }
    }
    if description.final_norm {
        norm(&mut all, names.final_norm.to_owned(), *hidden);
    }
    all
}
