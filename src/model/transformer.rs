//! The forward pass: packed rows through the blocks, reading states out on the way.

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use rayon::prelude::*;

use super::attention::{Past, Projected, Scene, attend};
use super::description::{Description, Placement, Positions};
use super::device::{Backend, dtype, stream};
use super::error::ModelError;
use super::kernels;
use super::layers::{Affine, Affines, Linear, NormLayer, Stored, block_name, projections};
use super::packed::{Packed, Queries, Segment};
use super::pooling::Tap;
use super::readout::{Beginning, Ending, Reader};
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
    /// What embeddings of tokens are multiplied by.
    scale: Option<f64>,
    /// Between a token table of another width and the blocks.
    project_in: Option<Linear>,
    project_out: Option<Linear>,
    positions: Option<Tensor>,
    token_type: Option<Tensor>,
    embedding_norm: Option<NormLayer>,
    rotary: Option<Rotary>,
    /// The rotary positions of blocks with a window, where they are others.
    window_rotary: Option<Rotary>,
    blocks: Vec<Block>,
    final_norm: Option<NormLayer>,
}

struct Block {
    attention_norm: NormLayer,
    query: Linear,
    key: Linear,
    value: Linear,
    query_norm: Option<NormLayer>,
    key_norm: Option<NormLayer>,
    output: Linear,
    attention_end_norm: Option<NormLayer>,
    feed_forward_norm: NormLayer,
    feed_forward_end_norm: Option<NormLayer>,
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

/// What a pass is over, and how far up it goes.
struct Asked<'a> {
    segments: &'a [Segment<'a>],
    rows: &'a Packed,
    past: Option<&'a Shared>,
    /// Tokens of the longest text, with what it continues and what continues it.
    reach: usize,
    /// The highest layer that is read.
    top: usize,
}

/// One pass in progress: what stays the same from block to block.
struct Pass<'a> {
    rows: &'a Packed,
    angles: Option<Angles>,
    /// Those of blocks with a window, where they are others.
    window_angles: Option<Angles>,
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
        let positions = match description.positions {
            Positions::Learned => Some(weights.load(names.positions, dtype, device)?),
            Positions::Rotary { .. } => None,
        };
        let (rotary, window_rotary) = rotaries(description, stream).map_err(ModelError::forward("rotary angles"))?;
        let (inward, outward) = projections(description).unzip();
        let project =
            |affine: Option<Affine>| affine.map(|affine| affine.load(&mut Stored::new(weights), "", dtype, device)).transpose();
        let token_type = (description.token_types > 0)
            .then(|| {
                let table = weights.load(names.token_types, dtype, device)?;
                table.narrow(0, 0, 1).map_err(ModelError::forward("token types"))
            })
            .transpose()?;
        let block = |i: usize| Block::load(weights, description, dtype, device, i);
        Ok(Self {
            tokens: weights.load(names.tokens, dtype, device)?,
            scale: description
                .embedding_scale
                .map(|scale| rounded(scale, dtype))
                .transpose()
                .map_err(ModelError::forward("scale"))?,
            project_in: project(inward)?,
            project_out: project(outward)?,
            positions,
            token_type,
            embedding_norm: norm(description.embedding_norm, names.embedding_norm)?,
            rotary,
            window_rotary,
            blocks: (0..description.layers).into_par_iter().map(block).collect::<Result<_, _>>()?,
            final_norm: norm(description.final_norm, names.final_norm)?,
            description: description.clone(),
            device: device.clone(),
            stream,
        })
    }

    /// Computes what `row` and others that begin with its first `length` tokens have in common there: all of them long, or all
    /// of them short. Only a causal model can share a beginning.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn share(&self, row: &[u32], length: usize, taps: &[Tap]) -> Result<Shared, ModelError> {
        let segment = [Segment::whole(&row[..length])];
        let rows = Packed::new(&segment);
        let read_here: Vec<bool> = taps.iter().map(|tap| !tap.reads_last()).collect();
        let mut reader = Reader::new(taps, &read_here, self.ending());
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let top = taps.iter().map(|tap| tap.layer).max().unwrap_or(0);
        let pass = Asked { segments: &segment, rows: &rows, past: None, reach: row.len(), top };
        self.pass(&pass, &mut reader, Some(&mut blocks)).map_err(ModelError::forward("common beginning"))?;
        Ok(Shared { length, blocks, taps: reader.beginnings() })
    }

    /// Reads every tap out of one pass over `segments`, whose texts are all long or all short. With a shared beginning, all of
    /// them continue it.
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
        let read_here: Vec<bool> = taps.iter().map(|tap| shared.is_none() || !tap.reads_first()).collect();
        let mut reader = Reader::new(taps, &read_here, self.ending());
        if let Some(top) = reader.top() {
            let reach = shared.map_or(0, Shared::tokens) + packed.longest();
            let pass = Asked { segments, rows: &packed, past: shared, reach, top };
            self.pass(&pass, &mut reader, None).map_err(ModelError::forward("batch"))?;
        }
        Ok(reader.embeddings(&packed, shared.map(|shared| (shared.length, &shared.taps[..]))))
    }

    fn ending(&self) -> Ending<'_> {
        Ending { description: &self.description, norm: self.final_norm.as_ref(), project: self.project_out.as_ref() }
    }

    fn pass(&self, asked: &Asked<'_>, reader: &mut Reader<'_>, mut keep: Option<&mut Vec<Past>>) -> CandleResult<()> {
        let Asked { segments, rows, past, reach, top } = *asked;
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.ids).copied().collect();
        let places = rows.positions(past.map_or(0, Shared::tokens));
        let mut hidden = self.embed(&ids, &places)?;
        reader.read(0, &hidden, Queries::All, rows)?;
        let angles = |rotary: Option<&Rotary>| rotary.map(|rotary| rotary.at(&places, reach, &self.device)).transpose();
        let (angles, window_angles) = (angles(self.rotary.as_ref())?, angles(self.window_rotary.as_ref())?);
        let pass = Pass { rows, angles, window_angles, past };
        for (i, block) in self.blocks.iter().enumerate().take(top) {
            let asked = if i + 1 == top { reader.asked(top) } else { Some(Queries::All) };
            let Some(output) = self.block(block, i, &hidden, &pass, asked, keep.as_deref_mut())? else { break };
            hidden = output;
            reader.read(i + 1, &hidden, asked.unwrap_or(Queries::All), rows)?;
        }
        Ok(())
    }

    fn embed(&self, ids: &[u32], places: &[usize]) -> CandleResult<Tensor> {
        let tokens = Tensor::new(ids, &self.device)?;
        let mut hidden = self.tokens.index_select(&tokens, 0)?.to_dtype(self.stream)?;
        if let Some(scale) = self.scale {
            hidden = (hidden * scale)?;
        }
        if let Some(project) = &self.project_in {
            hidden = project.forward(&hidden)?;
        }
        if let Some(row) = &self.token_type {
            hidden = hidden.broadcast_add(&row.to_dtype(self.stream)?)?;
        }
        if let Some(table) = &self.positions {
            let rows = table_rows(&self.description, ids, places);
            hidden = (hidden + table.index_select(&self.indices(&rows)?, 0)?.to_dtype(self.stream)?)?;
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
        let window = self.description.window(i);
        let angles = pass.window_angles.as_ref().filter(|_| window.is_some()).or(pass.angles.as_ref());
        let input = match placement {
            Placement::Before | Placement::Around | Placement::Parallel => block.attention_norm.forward(hidden)?,
            Placement::After => hidden.clone(),
        };
        let keys = normed(block.key_norm.as_ref(), block.key.forward(&input)?)?;
        let keys = turn(angles, keys, attention.kv_heads)?;
        let values = block.value.forward(&input)?;
        if let Some(kept) = keep {
            kept.push(Past::new(attention, &keys, &values)?);
        }
        let Some(asked) = asked else { return Ok(None) };

        let selected = pass.rows.select(asked).map(|at| self.indices(&at)).transpose()?;
        let pick = |x: &Tensor| selected.as_ref().map_or_else(|| Ok(x.clone()), |at| x.index_select(at, 0));
        let queries = normed(block.query_norm.as_ref(), block.query.forward(&pick(&input)?)?)?;
        let queries = match (angles, &selected) {
            (Some(angles), Some(at)) => angles.select(at)?.turn(queries, attention.heads)?,
            (angles, _) => turn(angles, queries, attention.heads)?,
        };
        let past = pass.past.map(|shared| &shared.blocks[i]);
        let projected = Projected { queries, keys, values };
        let scene = Scene { shape: attention, window, packed: pass.rows, asked };
        let mixed = block.output.forward(&attend(&scene, &projected, past)?)?;
        block.finish(&self.description, mixed, &pick(hidden)?).map(Some)
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
        let mut stored = Stored::new(weights);
        let mut linear = |affine: Affine| affine.load(&mut stored, &name, dtype, device);
        let norm = |part: &str| NormLayer::load(weights, &format!("{name}{part}"), description, device);
        let names = description.names;
        let norm_if = |wanted: bool, part: &str| wanted.then(|| norm(part)).transpose();
        let around = description.placement == Placement::Around;
        let by_head = description.attention.head_norm;
        Ok(Self {
            attention_norm: norm(names.attention_norm)?,
            query: linear(affines.query)?,
            key: linear(affines.key)?,
            value: linear(affines.value)?,
            query_norm: norm_if(by_head, names.query_norm)?,
            key_norm: norm_if(by_head, names.key_norm)?,
            output: linear(affines.output)?,
            attention_end_norm: norm_if(around, names.attention_end_norm)?,
            feed_forward_norm: norm(names.feed_forward_norm)?,
            feed_forward_end_norm: norm_if(around, names.feed_forward_end_norm)?,
            gate: affines.gate.map(&mut linear).transpose()?,
            up: linear(affines.up)?,
            down: linear(affines.down)?,
        })
    }

    /// A block's output from what attention gives and the block's input, of the same positions.
    fn finish(&self, description: &Description, mixed: Tensor, hidden: &Tensor) -> CandleResult<Tensor> {
        let feed = |x: &Tensor| self.feed_forward(description, x);
        match description.placement {
            Placement::Before | Placement::Around => {
                let hidden = sum(normed(self.attention_end_norm.as_ref(), mixed)?, hidden)?;
                let fed = feed(&self.feed_forward_norm.forward(&hidden)?)?;
                sum(normed(self.feed_forward_end_norm.as_ref(), fed)?, &hidden)
            }
            Placement::After => {
                let hidden = self.attention_norm.forward(&sum(mixed, hidden)?)?;
                self.feed_forward_norm.forward(&sum(feed(&hidden)?, &hidden)?)
            }
            Placement::Parallel => sum(sum(feed(&self.feed_forward_norm.forward(hidden)?)?, &mixed)?, hidden),
        }
    }

    fn feed_forward(&self, description: &Description, x: &Tensor) -> CandleResult<Tensor> {
        let gate = self.gate.as_ref().map(|gate| gate.forward(x)).transpose()?;
        let wide = description.feed_forward.activation.apply(gate.as_ref(), self.up.forward(x)?)?;
        self.down.forward(&wide)
    }
}

fn normed(norm: Option<&NormLayer>, x: Tensor) -> CandleResult<Tensor> {
    match norm {
        Some(norm) => norm.forward(&x),
        None => Ok(x),
    }
}

/// The rotary positions of all blocks, and those of blocks with a window where they are others.
fn rotaries(description: &Description, stream: DType) -> CandleResult<(Option<Rotary>, Option<Rotary>)> {
    let Positions::Rotary { theta, scaling, dims } = &description.positions else { return Ok((None, None)) };
    let head_dim = description.attention.head_dim;
    let rotary = Rotary::new(*theta, scaling.as_ref(), dims.unwrap_or(head_dim), stream)?;
    let other = description.window.as_ref().and_then(|window| window.theta);
    let other = other.map(|theta| Rotary::new(theta, None, head_dim, stream)).transpose()?;
    Ok((Some(rotary), other))
}

/// Where the position of each token stands in its table.
fn table_rows(description: &Description, ids: &[u32], places: &[usize]) -> Vec<usize> {
    let offset = description.position_offset;
    let Some(padding) = description.padding else { return places.iter().map(|place| place + offset).collect() };
    let mut skipped = 0;
    (ids.iter().zip(places))
        .map(|(id, place)| {
            // Texts of such models are never divided: each begins at 0.
            skipped = if *place == 0 { 0 } else { skipped };
            if *id == padding {
                skipped += 1;
                return offset - 1;
            }
            place + offset - skipped
        })
        .collect()
}

/// A factor as transformers has it: in the dtype of the weights.
fn rounded(factor: f64, dtype: DType) -> CandleResult<f64> {
    Tensor::new(factor, &Device::Cpu)?.to_dtype(dtype)?.to_dtype(DType::F64)?.to_scalar()
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
