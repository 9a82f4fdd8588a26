//! Lowering of `[[readout]]`: one layer, or several that are choices of their own.

use toml::Spanned;

use super::either::Layers;
use super::ids::DEFAULT_READOUT;
use super::lower::Lowering;
use super::problem::Problem;
use super::{Axis, Layer, Pooling, Readout, wire};

/// All readouts; one, if there is no entry.
pub fn readouts(entries: Option<Vec<Spanned<wire::Readout>>>, lowering: &mut Lowering<'_>) -> Vec<Readout> {
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        return vec![Readout::new(DEFAULT_READOUT, Layer::At(-1), Pooling::Own)];
    }
    entries.into_iter().flat_map(|entry| readout(entry.into_inner(), lowering)).collect()
}

fn readout(entry: wire::Readout, lowering: &mut Lowering<'_>) -> Vec<Readout> {
    if let (Some(_), Some(layers)) = (&entry.layer, &entry.layers) {
        let problem = Problem::new(layers.span(), "this readout has both `layer` and `layers`");
        lowering.report(problem.help("keep `layer` for one of them, or `layers` for several"));
    }
    let one = Readout {
        id: entry.id.into_inner(),
        layer: entry.layer.map_or(Layer::At(-1), Spanned::into_inner),
        pool: entry.pool,
        span: entry.span,
        norm: entry.norm,
        dim: entry.dim,
        normalize: entry.normalize,
    };
    match entry.layers.map(Spanned::into_inner) {
        None => vec![one],
        Some(Layers::All) => {
            lowering.expand(Axis::Readout, &one.id, &[]);
            vec![Readout { layer: Layer::Every, ..one }]
        }
        Some(Layers::Some(layers)) => {
            for (i, layer) in layers.iter().enumerate() {
                if layers[..i].iter().any(|earlier| earlier.get_ref() == layer.get_ref()) {
                    let problem = Problem::new(layer.span(), format!("layer {} is there twice", layer.get_ref()));
                    lowering.report(problem.help("list each layer once"));
                }
            }
            let several: Vec<Readout> = layers.iter().map(|layer| one.at(*layer.get_ref())).collect();
            let ids: Vec<String> = several.iter().map(|readout| readout.id.clone()).collect();
            lowering.expand(Axis::Readout, &one.id, &ids);
            several
        }
    }
}
