//! Calibrations of label scores: their words, their parameters, and how a spec writes them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use super::CalibrationKind;
use super::lower::Lowering;
use super::problem::Problem;

/// Correction of label scores; each is a choice on an axis of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Calibration {
    /// Cosine of the vectors as they are.
    #[default]
    None,
    /// Texts minus the slice's mean text vector, labels minus the mean label vector; then cosine.
    Center,
    /// Minus the mean score of texts that say nothing.
    ContentFree,
    /// Minus the label's mean score over the slice.
    LabelMean,
    /// Minus the label's mean score, by its standard deviation over the slice.
    ZScore,
    /// Twice the cosine, minus the mean of the text's and of the label's `k` largest.
    Csls { k: u32 },
    /// Minus the label's soft maximum over the slice; the larger `beta`, the closer to its maximum.
    InvertedSoftmax { beta: u32 },
}

impl Calibration {
    /// That of `MUSE`, whose authors made CSLS.
    const K: u32 = 10;
    /// That of `MUSE`.
    const BETA: u32 = 30;

    /// The kind without its parameter.
    pub const fn kind(self) -> CalibrationKind {
        match self {
            Self::None => CalibrationKind::None,
            Self::Center => CalibrationKind::Center,
            Self::ContentFree => CalibrationKind::ContentFree,
            Self::LabelMean => CalibrationKind::LabelMean,
            Self::ZScore => CalibrationKind::ZScore,
            Self::Csls { .. } => CalibrationKind::Csls,
            Self::InvertedSoftmax { .. } => CalibrationKind::InvertedSoftmax,
        }
    }

    /// What it is called on its axis: the kind, and the parameter where it is not the usual one.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Csls { k } if k != Self::K => format!("csls-{k}").into(),
            Self::InvertedSoftmax { beta } if beta != Self::BETA => format!("inverted-softmax-{beta}").into(),
            _ => self.kind().name().into(),
        }
    }

    /// The calibration of this name; its parameter is not told by it where it is the usual one.
    pub fn called(name: &str) -> Option<Self> {
        let kinds = CalibrationKind::ALL.iter().copied();
        let with = |kind: CalibrationKind| {
            let number = name.strip_prefix(kind.name())?.strip_prefix('-');
            Some((kind, number.map(str::parse::<u32>).transpose().ok()?))
        };
        let fits = |(kind, number): (CalibrationKind, Option<u32>)| {
            let calibration = Self::of(kind, number, number);
            (calibration.name() == name).then_some(calibration)
        };
        kinds.filter_map(with).find_map(fits)
    }

    /// Whether it takes a label's scores over the slice as a sign of how much the label attracts, which is only so where
    /// labels are about equally frequent.
    pub const fn assumes_balance(self) -> bool {
        match self {
            Self::None | Self::ContentFree => false,
            Self::Center | Self::LabelMean | Self::ZScore | Self::Csls { .. } | Self::InvertedSoftmax { .. } => true,
        }
    }

    fn of(kind: CalibrationKind, k: Option<u32>, beta: Option<u32>) -> Self {
        match kind {
            CalibrationKind::None => Self::None,
            CalibrationKind::Center => Self::Center,
            CalibrationKind::ContentFree => Self::ContentFree,
            CalibrationKind::LabelMean => Self::LabelMean,
            CalibrationKind::ZScore => Self::ZScore,
            CalibrationKind::Csls => Self::Csls { k: k.unwrap_or(Self::K) },
            CalibrationKind::InvertedSoftmax => Self::InvertedSoftmax { beta: beta.unwrap_or(Self::BETA) },
        }
    }

    /// The id that an entry of the file's tree has on the axis; None where that cannot be told.
    pub(super) fn id(entry: &Spanned<DeValue<'_>>) -> Option<Spanned<String>> {
        let value = entry.get_ref();
        let kind = value.as_str().or_else(|| value.get("kind")?.get_ref().as_str())?;
        let count = |key: &str| -> Option<Option<u32>> {
            let Some(found) = value.as_table().and_then(|table| table.get(key)) else { return Some(None) };
            found.get_ref().as_integer()?.as_str().parse().ok().map(Some)
        };
        let calibration = Self::of(kind.parse().ok()?, count("k")?, count("beta")?);
        Some(Spanned::new(entry.span(), calibration.to_string()))
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// One calibration as a spec writes it: a word, or a table with a parameter.
pub enum Entry {
    Word(CalibrationKind),
    Table(Table),
}

/// A calibration with a parameter: `{ kind = "csls", k = 5 }`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CalibrationTable")]
pub struct Table {
    /// The calibration.
    pub kind: CalibrationKind,
    /// Nearest neighbours on either side, 10 when absent; at most as many as there are. Only for `csls`.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub k: Option<Spanned<u32>>,
    /// Sharpness of the softmax over the slice's texts, 30 when absent. Only for `inverted-softmax`.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub beta: Option<Spanned<u32>>,
}

impl Entry {
    /// The calibration; a parameter that means nothing to it is reported.
    pub fn lower(self, lowering: &mut Lowering<'_>) -> Calibration {
        let Table { kind, k, beta } = match self {
            Self::Word(kind) => return Calibration::of(kind, None, None),
            Self::Table(table) => table,
        };
        let wrong = [
            ("k", k.as_ref().filter(|_| kind != CalibrationKind::Csls), CalibrationKind::Csls),
            ("beta", beta.as_ref().filter(|_| kind != CalibrationKind::InvertedSoftmax), CalibrationKind::InvertedSoftmax),
        ];
        for (key, value, meant) in wrong {
            if let Some(value) = value {
                let problem = Problem::new(value.span(), format!("`{key}` means nothing to `{kind}`"));
                lowering.report(problem.help(format!("remove `{key}`: it is for `{meant}`")));
            }
        }
        Calibration::of(kind, k.map(Spanned::into_inner), beta.map(Spanned::into_inner))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrTable;
        impl<'de> Visitor<'de> for WordOrTable {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a calibration or { kind = \"...\", ... }")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Entry, E> {
                word.parse().map(Entry::Word).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Entry::Table)
            }
        }
        deserializer.deserialize_any(WordOrTable)
    }
}

impl JsonSchema for Entry {
    fn schema_name() -> Cow<'static, str> {
        "Calibration".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A correction of label scores: a word, or a table with its parameter.",
            "oneOf": [generator.subschema_for::<CalibrationKind>(), generator.subschema_for::<Table>()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_parameter_where_it_is_not_the_usual_one() {
        for (calibration, name) in [
            (Calibration::None, "none"),
            (Calibration::ContentFree, "content-free"),
            (Calibration::Csls { k: 10 }, "csls"),
            (Calibration::Csls { k: 5 }, "csls-5"),
            (Calibration::InvertedSoftmax { beta: 30 }, "inverted-softmax"),
            (Calibration::InvertedSoftmax { beta: 4 }, "inverted-softmax-4"),
        ] {
            assert_eq!((calibration.to_string().as_str(), Calibration::called(name)), (name, Some(calibration)));
        }
        for wrong in ["", "csls-", "csls-x", "csls-10", "none-3", "center-1", "label"] {
            assert_eq!(Calibration::called(wrong), None, "{wrong}");
        }
    }
}
