//! Which hidden state is read: by its number, or by its depth in models of any size.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hidden state of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// As transformers counts them: 0 is the embeddings, `-1` is after the final norm.
    At(i32),
    /// A share of the model's blocks. Range: 0.0, the embeddings, to 1.0, after the final norm.
    Depth(f64),
    /// Each of them, as choices of their own: a plan makes one readout of every state.
    Every,
}

impl Layer {
    /// The word for all layers.
    pub const EVERY: &'static str = "all";

    /// The state, counted from 0, in a model with so many blocks; None where it is not there, or not one.
    ///
    /// A depth is multiplied by the number of blocks in f64 and rounded to the nearest state, halves up: 0.85 of 32 blocks
    /// is 27.2, so state 27; 0.5 of 13 is 6.5, so state 7.
    pub fn of(self, blocks: usize) -> Option<usize> {
        let state = match self {
            Self::At(layer) if layer < 0 => (blocks + 1).checked_sub(usize::try_from(layer.unsigned_abs()).ok()?)?,
            Self::At(layer) => usize::try_from(layer).ok()?,
            Self::Depth(share) => {
                let nearest = (share * number(blocks)).round();
                (0..=blocks).find(|&state| number(state) >= nearest)?
            }
            Self::Every => return None,
        };
        (state <= blocks).then_some(state)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no model has 2^53 blocks")]
const fn number(count: usize) -> f64 {
    count as f64
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(layer) => layer.fmt(f),
            // With a decimal point even where it is a whole number: 1 is another layer than 1.0.
            Self::Depth(share) => write!(f, "{share:?}"),
            Self::Every => f.write_str(Self::EVERY),
        }
    }
}

/// A text that names no layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no layer: write a number as transformers counts (-1 is after the final norm), or a depth from 0.0 to 1.0")]
pub struct UnknownLayer(String);

impl FromStr for Layer {
    type Err = UnknownLayer;

    fn from_str(text: &str) -> Result<Self, UnknownLayer> {
        let found = if text.contains('.') { text.parse().ok().and_then(Self::depth) } else { text.parse().ok().map(Self::At) };
        found.ok_or_else(|| UnknownLayer(text.to_owned()))
    }
}

impl Layer {
    fn depth(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self::Depth(share))
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::At(layer) => serializer.serialize_i32(layer),
            Self::Depth(share) => serializer.serialize_f64(share),
            Self::Every => serializer.serialize_str(Self::EVERY),
        }
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrShare;
        impl Visitor<'_> for NumberOrShare {
            type Value = Layer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a layer's number or a depth from 0.0 to 1.0")
            }

            fn visit_i64<E: serde::de::Error>(self, layer: i64) -> Result<Layer, E> {
                let number = i32::try_from(layer).map_err(|_| E::custom("no model has so many layers"))?;
                Ok(Layer::At(number))
            }

            fn visit_u64<E: serde::de::Error>(self, layer: u64) -> Result<Layer, E> {
                self.visit_i64(i64::try_from(layer).map_err(|_| E::custom("no model has so many layers"))?)
            }

            fn visit_f64<E: serde::de::Error>(self, share: f64) -> Result<Layer, E> {
                Layer::depth(share).ok_or_else(|| E::custom("a depth is from 0.0 to 1.0"))
            }
        }
        deserializer.deserialize_any(NumberOrShare)
    }
}

impl JsonSchema for Layer {
    fn schema_name() -> Cow<'static, str> {
        "Layer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A hidden state: a whole number as transformers counts, or a share of the model's depth, from 0.0 to 1.0.",
            "anyOf": [
                { "type": "integer", "minimum": -1000, "maximum": 1000 },
                { "type": "number", "minimum": 0, "maximum": 1 }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_either_end_and_depths_go_to_the_nearest_state() {
        let of = |layer: Layer, blocks| layer.of(blocks);
        assert_eq!([0, 27, 32, -1, -2, -33].map(|layer| of(Layer::At(layer), 32)), [0, 27, 32, 32, 31, 0].map(Some));
        assert_eq!([33, -34, i32::MIN].map(|layer| of(Layer::At(layer), 32)), [None; 3]);
        assert_eq!([0.0, 0.85, 0.5, 1.0].map(|share| of(Layer::Depth(share), 32)), [0, 27, 16, 32].map(Some));
        // 0.85 of 6 is 5.1; 0.5 of 13 is 6.5, which goes up.
        assert_eq!((of(Layer::Depth(0.85), 6), of(Layer::Depth(0.5), 13)), (Some(5), Some(7)));
        assert_eq!(of(Layer::Every, 3), None);
    }

    #[test]
    fn a_whole_number_is_another_layer_than_the_same_with_a_point() {
        for (text, layer) in
            [("1", Layer::At(1)), ("1.0", Layer::Depth(1.0)), ("-2", Layer::At(-2)), ("0.85", Layer::Depth(0.85))]
        {
            assert_eq!(text.parse(), Ok(layer));
            assert_eq!(layer.to_string(), text);
            let json = serde_json::to_string(&layer).unwrap();
            assert_eq!((json.as_str(), serde_json::from_str::<Layer>(&json).unwrap()), (text, layer));
        }
        for wrong in ["", "1.5", "-0.5", "last", "nan", "0.8.5"] {
            assert!(wrong.parse::<Layer>().is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Layer>("1.5").is_err());
    }
}
