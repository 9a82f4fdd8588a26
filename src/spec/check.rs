//! Compares the tree of a TOML file with a JSON Schema, collects every difference with its place, and prunes what differs.
//!
//! It knows what the schema of the spec uses: `$ref`, `oneOf`, `anyOf`, `type`, `const`, `enum`, `properties`, `required`,
//! `additionalProperties`, `items`, and the bounds of sizes and numbers. Patterns are for editors: `lower` explains better.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::Problem;
use super::suggest::{did_you_mean, suggest};

/// What the comparison found.
pub struct Checked {
    pub problems: Vec<Problem>,
    /// Where the tables begin that lost a key to pruning: what they lack may be what was misspelt.
    pub pruned: BTreeSet<usize>,
}

/// Compares `table` with `schema`. What is left of `table` has the schema's shape, but for keys missing at its top.
pub fn check(table: &mut DeTable<'_>, schema: &Value) -> Checked {
    let mut walk = Walk { root: schema, found: Checked { problems: Vec::new(), pruned: BTreeSet::new() } };
    walk.table(table, 0..0, schema, &Place::Top);
    walk.found
}

struct Walk<'s> {
    root: &'s Value,
    found: Checked,
}

/// What a value is called in a message.
enum Place<'a> {
    Top,
    /// The value of a key of the top table.
    Section(&'a str),
    /// An entry of an array of tables, or of an array.
    Entry {
        array: &'a str,
        section: bool,
    },
    /// The value of a key further down.
    Key(&'a str),
}

impl Place<'_> {
    fn name(&self) -> String {
        match self {
            Self::Top => "the spec".to_owned(),
            Self::Section(key) | Self::Key(key) => format!("`{key}`"),
            Self::Entry { array, section: true } => format!("`[[{array}]]`"),
            Self::Entry { array, section: false } => format!("an entry of `{array}`"),
        }
    }

    fn key<'k>(&self, key: &'k str) -> Place<'k> {
        if matches!(self, Self::Top) { Place::Section(key) } else { Place::Key(key) }
    }

    fn entry(&self) -> Place<'_> {
        match self {
            Self::Section(array) => Place::Entry { array, section: true },
            Self::Key(array) | Self::Entry { array, .. } => Place::Entry { array, section: false },
            Self::Top => Place::Top,
        }
    }
}

impl<'s> Walk<'s> {
    /// Whether what is left of `value` fits `schema`.
    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, schema: &'s Value, place: &Place<'_>) -> bool {
        let span = value.span();
        let choices = self.choices(schema);
        let fitting: Vec<&'s Value> = choices.iter().copied().filter(|choice| has_type(choice, value.get_ref())).collect();
        let Some(&first) = fitting.first() else {
            self.wrong_type(value, schema, &choices, place);
            return false;
        };
        match value.get_mut() {
            DeValue::Table(table) => self.table(table, span, first, place),
            DeValue::Array(array) => self.array(array, span, first, place),
            DeValue::String(text) => self.string(text, span, &fitting, place),
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                self.number(number.map(|number| number.to_string()), span, first, place)
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().filter(|number: &f64| number.is_finite());
                self.number(number.map(|number| number.to_string()), span, first, place)
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) => true,
        }
    }

    /// The schemas that `schema` stands for, without references and alternatives.
    fn choices(&self, schema: &'s Value) -> Vec<&'s Value> {
        if let Some(pointer) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            return self.root.pointer(pointer).map(|target| self.choices(target)).unwrap_or_default();
        }
        let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        alternatives.map_or_else(|| vec![schema], |choices| choices.iter().flat_map(|choice| self.choices(choice)).collect())
    }

    fn table(&mut self, table: &mut DeTable<'_>, span: Range<usize>, schema: &'s Value, place: &Place<'_>) -> bool {
        let properties = &schema["properties"];
        let known = || properties.as_object().into_iter().flat_map(|known| known.keys().map(String::as_str));
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut missing: Vec<&str> = required.iter().copied().filter(|key| !table.contains_key(*key)).collect();
        let mut dropped = BTreeSet::new();
        let size = table.len() as u64;
        for (key, value) in table.iter_mut() {
            let name: &str = key.get_ref();
            let inner = properties.get(name).or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()));
            if let Some(inner) = inner {
                if !self.value(value, inner, &place.key(name)) {
                    dropped.insert(name.to_owned());
                }
            } else {
                self.unknown_key(name, key.span(), known(), place);
                // A misspelt key is one mistake, not an unknown key and a missing one.
                missing.retain(|wanted| suggest(name, known()).as_deref() != Some(wanted));
                dropped.insert(name.to_owned());
            }
        }
        for key in &missing {
            self.missing_key(key, properties, span.clone(), place);
        }
        if size < schema["minProperties"].as_u64().unwrap_or(0) {
            self.report(
                span.clone(),
                format!("{} is empty", place.name()),
                Some(format!("name at least one of {}", super::suggest::one_of(known()))),
            );
            return false;
        }
        if !dropped.is_empty() {
            self.found.pruned.insert(span.start);
            for key in &dropped {
                table.remove(key.as_str());
            }
        }
        required.iter().all(|key| table.contains_key(*key))
    }

    fn array(&mut self, array: &mut DeArray<'_>, span: Range<usize>, schema: &'s Value, place: &Place<'_>) -> bool {
        if (array.len() as u64) < schema["minItems"].as_u64().unwrap_or(0) {
            self.report(span, format!("{} is empty", place.name()), about(schema, place));
            return false;
        }
        let mut kept = DeArray::new();
        for mut item in std::mem::replace(array, DeArray::new()) {
            if self.value(&mut item, &schema["items"], &place.entry()) {
                kept.push(item);
            }
        }
        *array = kept;
        true
    }

    fn string(&mut self, text: &str, span: Range<usize>, choices: &[&'s Value], place: &Place<'_>) -> bool {
        let words: Vec<&str> = choices.iter().flat_map(|choice| words(choice)).collect();
        if !words.is_empty() && !words.contains(&text) {
            let help = did_you_mean(text, words.iter().copied());
            self.report(span, format!("{} cannot be `{text}`", place.name()), Some(help));
            return false;
        }
        let shortest = choices.iter().filter_map(|choice| choice["minLength"].as_u64()).max().unwrap_or(0);
        if (text.chars().count() as u64) < shortest {
            self.report(span, format!("{} is an empty string", place.name()), None);
            return false;
        }
        true
    }

    /// `number` in decimal; `None` when the format has no room for it.
    fn number(&mut self, number: Option<String>, span: Range<usize>, schema: &'s Value, place: &Place<'_>) -> bool {
        let Some(number) = number else {
            self.report(span, format!("{} is out of range", place.name()), about(schema, place));
            return false;
        };
        let value: Option<f64> = number.parse().ok();
        let bound = |word: &str| schema[word].as_f64();
        let low = bound("minimum").filter(|low| value.is_none_or(|value| value < *low));
        let high = bound("maximum").filter(|high| value.is_none_or(|value| value > *high));
        let wanted = match (low, high) {
            (Some(low), _) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (None, None) => return true,
        };
        self.report(span, format!("{} is {number}, and should be {wanted}", place.name()), None);
        false
    }

    fn report(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.found.problems.push(Problem::new(span, message).maybe_help(help));
    }

    fn unknown_key<'k>(
        &mut self,
        key: &str,
        span: Range<usize>,
        known: impl Iterator<Item = &'k str> + Clone,
        place: &Place<'_>,
    ) {
        let help = if !matches!(place, Place::Top) && suggest(key, known.clone()).is_none() && self.is_top_key(key) {
            format!("`{key}` belongs at the top of the file, before the first table")
        } else {
            did_you_mean(key, known)
        };
        let message = match place {
            Place::Top => format!("unknown key `{key}`"),
            _ => format!("unknown key `{key}` in {}", place.name()),
        };
        self.report(span, message, Some(help));
    }

    fn is_top_key(&self, key: &str) -> bool {
        self.root["properties"].get(key).is_some_and(|schema| !matches!(schema["type"].as_str(), Some("array" | "object")))
    }

    fn missing_key(&mut self, key: &str, properties: &'s Value, span: Range<usize>, place: &Place<'_>) {
        let section = matches!(place, Place::Top) && properties[key]["type"] == "array";
        let wanted = if section { format!("`[[{key}]]`") } else { format!("`{key}`") };
        let help = about(&properties[key], &Place::Key(key));
        self.report(span, format!("{} has no {wanted}", place.name()), help);
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, schema: &'s Value, choices: &[&'s Value], place: &Place<'_>) {
        let mut wanted: Vec<&str> = Vec::new();
        for choice in choices {
            let name = choice["type"].as_str().map_or("a value", article);
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        let found = article(value.get_ref().type_str());
        let help = match (place, value.get_ref()) {
            (Place::Section(key), DeValue::Table(_)) if wanted == ["an array"] => Some(format!("write `[[{key}]]`")),
            (Place::Section(key), DeValue::Array(_)) if wanted == ["a table"] => Some(format!("write `[{key}]`")),
            _ => about(schema, place),
        };
        self.report(value.span(), format!("{} is {found}, and should be {}", place.name(), wanted.join(" or ")), help);
    }
}

/// Whether `schema`, one without alternatives, is for values of this type.
fn has_type(schema: &Value, value: &DeValue<'_>) -> bool {
    match schema["type"].as_str() {
        Some("object") => value.is_table(),
        Some("number") => value.is_integer() || value.is_float(),
        Some("boolean") => value.is_bool(),
        Some(name) => value.type_str() == name,
        None => true,
    }
}

/// The words a string schema allows; empty when it allows any.
fn words(schema: &Value) -> impl Iterator<Item = &str> {
    schema["const"].as_str().into_iter().chain(schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str))
}

/// The first line of a schema's description, behind the key it is about.
fn about(schema: &Value, place: &Place<'_>) -> Option<String> {
    let (Place::Section(key) | Place::Key(key)) = place else { return None };
    Some(format!("`{key}`: {}", schema["description"].as_str()?.lines().next()?))
}

/// A type as TOML calls it, with its article. Takes the names of JSON Schema too.
fn article(name: &str) -> &'static str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "float" => "a float",
        "boolean" => "a boolean",
        "datetime" => "a date or time",
        "array" => "an array",
        _ => "a table",
    }
}
