//! The forward pass: packed rows through the blocks, reading states out on the way.

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use rayon::prelude::*;

use super::attention::{Past, Projected, attend};
use super::description::{Description, Placement, Positions};
use super::device::{Backend, dtype, stream};
use super::error::ModelError;
use super::kernels;
use super::layers::{Affines, Linear, NormLayer, block_name};
use super::packed::{Packed, Queries, Segment};
use super::pooling::{Pool, Tap};
use super::readout::{Beginning, Reader};
use super::rotary::{Angles, Rotary};
use super::slices::{in_place, slice_of};
use super::weights::Weights;
use crate::embeddings::Embeddings;
use crate::spec;

/// A transformer with its weights on a device.
pub struct Transformer {
    description: Description,
    device: Device,
    /// Dtype of hidden states.
    stream: DType,
    tokens: Tensor,
    positions: Option<Tensor>,
    token_type: Option<Tensor>,
    embedding_norm: Option<NormLayer>,
    rotary: Option<Rotary>,
    blocks: Vec<Block>,
    final_norm: Option<NormLayer>,
}

struct Block {
    attention_norm: NormLayer,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_forward_norm: NormLayer,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
}

/// What the rows of several passes share: the keys and values of their common beginning, and what taps read there.
pub struct Shared {
    length: usize,
    blocks: Vec<Past>,
    taps: Vec<Beginning>,
}

impl Shared {
    /// Tokens of the common beginning.
    pub const fn tokens(&self) -> usize {
        self.length
    }
}

/// One pass in progress: what stays the same from block to block.
struct Pass<'a> {
    rows: &'a Packed,
    angles: Option<Angles>,
    past: Option<&'a Shared>,
}

impl Transformer {
    /// Loads weights onto a device.
    ///
    /// # Errors
    /// Tensors that cannot be read, and a device whose memory is full.
    pub fn load(
        weights: &Weights,
        description: &Description,
        precision: spec::DType,
        backend: &Backend,
    ) -> Result<Self, ModelError> {
        let device = backend.device();
        let dtype = dtype(precision);
        let names = description.names;
        let norm = |wanted: bool, name: &str| wanted.then(|| NormLayer::load(weights, name, description, device)).transpose();
        let stream = stream(dtype, device);
        let (positions, rotary) = match description.positions {
            Positions::Learned => (Some(weights.load(names.positions, dtype, device)?), None),
            Positions::Rotary { theta } => {
                let rotary = Rotary::new(theta, description.attention.head_dim, stream);
                (None, Some(rotary.map_err(ModelError::forward("rotary angles"))?))
            }
        };
        let token_type = (description.token_types > 0)
            .then(|| {
                let table = weights.load(names.token_types, dtype, device)?;
                table.narrow(0, 0, 1).map_err(ModelError::forward("token types"))
            })
            .transpose()?;
        let block = |i: usize| Block::load(weights, description, dtype, device, i);
        Ok(Self {
            tokens: weights.load(names.tokens, dtype, device)?,
            positions,
            token_type,
            embedding_norm: norm(description.embedding_norm, names.embedding_norm)?,
            rotary,
            blocks: (0..description.layers).into_par_iter().map(block).collect::<Result<_, _>>()?,
            final_norm: norm(description.final_norm, names.final_norm)?,
            description: description.clone(),
            device: device.clone(),
            stream,
        })
    }

    /// Computes what rows that begin with `ids` have in common there. Only a causal model can share a beginning.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn share(&self, ids: &[u32], taps: &[Tap]) -> Result<Shared, ModelError> {
        let segment = [Segment::whole(ids)];
        let rows = Packed::new(&segment);
        let read_here: Vec<bool> = taps.iter().map(|tap| tap.pool != Pool::Last).collect();
        let mut reader = Reader::new(taps, &read_here, self.final_norm.as_ref(), self.description.layers);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let top = taps.iter().map(|tap| tap.layer).max().unwrap_or(0);
        self.pass(&segment, &rows, None, top, &mut reader, Some(&mut blocks))
            .map_err(ModelError::forward("common beginning"))?;
        Ok(Shared { length: ids.len(), blocks, taps: reader.beginnings(self.description.hidden) })
    }

    /// Reads every tap out of one pass over `segments`. With a shared beginning, all of them continue it.
    ///
    /// Shape: one matrix per tap, `[texts, hidden]`, f32, with a row for every segment at which a text ends.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn forward(
        &self,
        segments: &[Segment<'_>],
        shared: Option<&Shared>,
        taps: &[Tap],
    ) -> Result<Vec<Embeddings>, ModelError> {
        let packed = Packed::new(segments);
        let read_here: Vec<bool> = taps.iter().map(|tap| shared.is_none() || tap.pool != Pool::Cls).collect();
        let mut reader = Reader::new(taps, &read_here, self.final_norm.as_ref(), self.description.layers);
        if let Some(top) = reader.top() {
            self.pass(segments, &packed, shared, top, &mut reader, None).map_err(ModelError::forward("batch"))?;
        }
        Ok(reader.embeddings(&packed, self.description.hidden, shared.map(|shared| (shared.length, &shared.taps[..]))))
    }

    fn pass(
        &self,
        segments: &[Segment<'_>],
        packed: &Packed,
        past: Option<&Shared>,
        top: usize,
        reader: &mut Reader<'_>,
        mut keep: Option<&mut Vec<Past>>,
    ) -> CandleResult<()> {
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.ids).copied().collect();
        let tokens = ids.len();
        let ids = Tensor::from_vec(ids, tokens, &self.device)?;
        let places = packed.positions(past.map_or(0, Shared::tokens));
        let mut hidden = self.embed(&ids, &places)?;
        reader.read(0, &hidden, Queries::All, packed)?;
        let angles = self.rotary.as_ref().map(|rotary| rotary.at(&places, &self.device)).transpose()?;
        let pass = Pass { rows: packed, angles, past };
        for (i, block) in self.blocks.iter().enumerate().take(top) {
            let asked = if i + 1 == top { reader.asked(top) } else { Some(Queries::All) };
            let Some(output) = self.block(block, i, &hidden, &pass, asked, keep.as_deref_mut())? else { break };
            hidden = output;
            reader.read(i + 1, &hidden, asked.unwrap_or(Queries::All), packed)?;
        }
        Ok(())
    }

    fn embed(&self, ids: &Tensor, places: &[usize]) -> CandleResult<Tensor> {
        let mut hidden = self.tokens.index_select(ids, 0)?.to_dtype(self.stream)?;
        if let Some(row) = &self.token_type {
            hidden = hidden.broadcast_add(&row.to_dtype(self.stream)?)?;
        }
        if let Some(table) = &self.positions {
            hidden = (hidden + table.index_select(&self.indices(places)?, 0)?.to_dtype(self.stream)?)?;
        }
        match &self.embedding_norm {
            Some(norm) => norm.forward(&hidden),
            None => Ok(hidden),
        }
    }

    /// One block's output at the positions asked for; `None` when only its keys and values are wanted.
    fn block(
        &self,
        block: &Block,
        i: usize,
        hidden: &Tensor,
        pass: &Pass<'_>,
        asked: Option<Queries>,
        keep: Option<&mut Vec<Past>>,
    ) -> CandleResult<Option<Tensor>> {
        let Description { attention, placement, .. } = &self.description;
        let input = match placement {
            Placement::Before => block.attention_norm.forward(hidden)?,
            Placement::After => hidden.clone(),
        };
        let keys = turn(pass.angles.as_ref(), block.key.forward(&input)?, attention.kv_heads)?;
        let values = block.value.forward(&input)?;
        if let Some(kept) = keep {
            kept.push(Past::new(attention, &keys, &values)?);
        }
        let Some(asked) = asked else { return Ok(None) };

        let selected = pass.rows.select(asked).map(|at| self.indices(&at)).transpose()?;
        let pick = |x: &Tensor| selected.as_ref().map_or_else(|| Ok(x.clone()), |at| x.index_select(at, 0));
        let queries = block.query.forward(&pick(&input)?)?;
        let queries = match (&pass.angles, &selected) {
            (Some(angles), Some(at)) => angles.select(at)?.turn(queries, attention.heads)?,
            (angles, _) => turn(angles.as_ref(), queries, attention.heads)?,
        };
        let past = pass.past.map(|shared| &shared.blocks[i]);
        let projected = Projected { queries, keys, values };
        let mixed = attend(attention, pass.rows, asked, &projected, past)?;
        let hidden = sum(block.output.forward(&mixed)?, &pick(hidden)?)?;
        block.feed_forward(&self.description, &hidden).map(Some)
    }

    fn indices(&self, at: &[usize]) -> CandleResult<Tensor> {
        let at: Vec<u32> = at.iter().map(|&i| u32::try_from(i).unwrap_or(u32::MAX)).collect();
        let count = at.len();
        Tensor::from_vec(at, count, &self.device)
    }
}

impl Block {
    fn load(weights: &Weights, description: &Description, dtype: DType, device: &Device, i: usize) -> Result<Self, ModelError> {
        let name = block_name(description, i);
        let affines = Affines::of(description);
        let linear = |affine: super::layers::Affine| affine.load(weights, &name, dtype, device);
        let norm = |part: &str| NormLayer::load(weights, &format!("{name}{part}"), description, device);
        Ok(Self {
            attention_norm: norm(description.names.attention_norm)?,
            query: linear(affines.query)?,
            key: linear(affines.key)?,
            value: linear(affines.value)?,
            output: linear(affines.output)?,
            feed_forward_norm: norm(description.names.feed_forward_norm)?,
            gate: affines.gate.map(linear).transpose()?,
            up: linear(affines.up)?,
            down: linear(affines.down)?,
        })
    }

    /// Everything after attention was added to the residual stream.
    fn feed_forward(&self, description: &Description, hidden: &Tensor) -> CandleResult<Tensor> {
        let (residual, input) = match description.placement {
            Placement::Before => (hidden.clone(), self.feed_forward_norm.forward(hidden)?),
            Placement::After => {
                let normed = self.attention_norm.forward(hidden)?;
                (normed.clone(), normed)
            }
        };
        let gate = self.gate.as_ref().map(|gate| gate.forward(&input)).transpose()?;
        let wide = description.feed_forward.activation.apply(gate.as_ref(), self.up.forward(&input)?)?;
        let output = sum(self.down.forward(&wide)?, &residual)?;
        match description.placement {
            Placement::Before => Ok(output),
            Placement::After => self.feed_forward_norm.forward(&output),
        }
    }
}

fn turn(angles: Option<&Angles>, x: Tensor, heads: usize) -> CandleResult<Tensor> {
    match angles {
        Some(angles) => angles.turn(x, heads),
        None => Ok(x),
    }
}

/// `x + y`, in the place of `x` where that is on the CPU.
fn sum(x: Tensor, y: &Tensor) -> CandleResult<Tensor> {
    if x.device().is_cpu() { in_place(x, |x| slice_of(y, |y| kernels::add(x, y))) } else { x + y }
}
