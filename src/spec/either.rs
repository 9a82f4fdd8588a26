//! Values that a spec may write in two ways.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::{Layer, wire};

/// One text or several.
pub enum OneOrMany {
    One(String),
    Many(Vec<Spanned<String>>),
}

impl OneOrMany {
    /// All of them, each with its place.
    pub fn all(texts: Spanned<Self>) -> Vec<Spanned<String>> {
        let span = texts.span();
        match texts.into_inner() {
            Self::One(text) => vec![Spanned::new(span, text)],
            Self::Many(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;
        impl<'de> Visitor<'de> for TextOrList {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(text) = texts.next_element()? {
                    many.push(text);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(TextOrList)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One or several.",
            "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 }
            ]
        })
    }
}

/// Several layers, or all of them.
pub enum Layers {
    All,
    Some(Vec<Spanned<Layer>>),
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrSome;
        impl<'de> Visitor<'de> for AllOrSome {
            type Value = Layers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\" or a list of layers")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Layers, E> {
                if word == Layer::EVERY { Ok(Layers::All) } else { Err(E::custom("the only word is `all`")) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut layers: A) -> Result<Layers, A::Error> {
                let mut some = Vec::new();
                while let Some(layer) = layers.next_element()? {
                    some.push(layer);
                }
                Ok(Layers::Some(some))
            }
        }
        deserializer.deserialize_any(AllOrSome)
    }
}

impl JsonSchema for Layers {
    fn schema_name() -> Cow<'static, str> {
        "Layers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A list of layers, or `\"all\"`.",
            "oneOf": [
                { "type": "string", "enum": [Layer::EVERY] },
                { "type": "array", "items": generator.subschema_for::<Layer>(), "minItems": 1 }
            ]
        })
    }
}

/// A slice of the spec, or another split.
pub enum Companion {
    Slice(String),
    Split(OtherSplit),
}

/// Another split, cut as the scored slice is, but for its limits.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtherSplit {
    /// A dataset's name; the scored slice's own when absent.
    #[schemars(length(min = 1))]
    pub dataset: Option<String>,
    /// One of its splits.
    #[schemars(length(min = 1))]
    pub split: String,
}

impl<'de> Deserialize<'de> for Companion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SliceOrSplit;
        impl<'de> Visitor<'de> for SliceOrSplit {
            type Value = Companion;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a slice or { split = \"...\" }")
            }

            fn visit_str<E>(self, id: &str) -> Result<Companion, E> {
                Ok(Companion::Slice(id.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Companion, A::Error> {
                OtherSplit::deserialize(MapAccessDeserializer::new(map)).map(Companion::Split)
            }
        }
        deserializer.deserialize_any(SliceOrSplit)
    }
}

impl JsonSchema for Companion {
    fn schema_name() -> Cow<'static, str> {
        "Companion".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The id of a slice, or another split: `{ split = \"train\" }`.",
            "oneOf": [
                { "type": "string", "minLength": 1 },
                generator.subschema_for::<OtherSplit>()
            ]
        })
    }
}

/// Templates in place, or a file of them.
pub enum Views {
    Inline(Vec<Spanned<View>>),
    File(ViewFile),
}

/// A template, or a table with what is read of it.
pub enum View {
    Template(String),
    Table(Box<wire::View>),
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = View;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template or a table with `use` or `template`")
            }

            fn visit_str<E>(self, template: &str) -> Result<View, E> {
                Ok(View::Template(template.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<View, A::Error> {
                wire::View::deserialize(MapAccessDeserializer::new(map)).map(|table| View::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

impl JsonSchema for View {
    fn schema_name() -> Cow<'static, str> {
        "ViewEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A template, or a table with what is read of it.",
            "oneOf": [{ "type": "string" }, generator.subschema_for::<wire::View>()]
        })
    }
}

/// A file with one template a line.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewFile {
    /// Its path, relative to the spec's folder.
    #[schemars(with = "String", length(min = 1))]
    pub file: Spanned<String>,
}

impl<'de> Deserialize<'de> for Views {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InlineOrFile;
        impl<'de> Visitor<'de> for InlineOrFile {
            type Value = Views;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of templates or { file = \"...\" }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut templates: A) -> Result<Views, A::Error> {
                let mut inline = Vec::new();
                while let Some(template) = templates.next_element()? {
                    inline.push(template);
                }
                Ok(Views::Inline(inline))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Views, A::Error> {
                ViewFile::deserialize(MapAccessDeserializer::new(map)).map(Views::File)
            }
        }
        deserializer.deserialize_any(InlineOrFile)
    }
}

impl JsonSchema for Views {
    fn schema_name() -> Cow<'static, str> {
        "Views".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Templates in place, or a file of them.",
            "oneOf": [
                { "type": "array", "items": generator.subschema_for::<View>(), "minItems": 1 },
                generator.subschema_for::<ViewFile>()
            ]
        })
    }
}
