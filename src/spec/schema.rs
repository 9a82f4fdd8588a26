//! The JSON Schema of the spec format, and the parts of it that no type says by itself.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::wire::File;

/// JSON Schema (draft 2020-12) of the spec format.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(unwrapped));
    settings.into_generator().into_root_schema_for::<File>().to_value()
}

/// TOML has no null: an optional key is left out.
fn without_null(schema: &mut Schema) {
    let null = Value::from("null");
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| *name != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    choices.retain(|choice| choice["type"] != null);
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            schema.insert(key, value);
        }
    }
}

/// Doc comments are broken into lines for their source file; an editor breaks them for its window.
fn unwrapped(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
}

/// A name: a word of letters, digits, `-`, `_` and `.`.
pub fn id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^[\p{Alphabetic}\p{N}_][\p{Alphabetic}\p{N}._-]*$" })
}

/// Where a model is.
pub fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^(path|gguf|hf|https?|builtin):.+$" })
}

/// Where a forward pass runs.
pub fn device(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^(auto|cpu|metal|cuda:[0-9]+(,[0-9]+)*)$" })
}

/// The names of the built-in prompts.
pub fn catalogue(_: &mut SchemaGenerator) -> Schema {
    let choices: Vec<_> = crate::prompt::catalogue::ENTRIES
        .iter()
        .map(|entry| serde_json::json!({ "type": "string", "const": entry.name, "description": entry.about }))
        .collect();
    json_schema!({ "oneOf": choices })
}

/// New names by old ones.
pub fn rename(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": "string", "minLength": 1 } })
}

/// Words by slot.
pub fn fill(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
}

/// Phrasings by label.
pub fn phrases(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "type": "array",
            "items": { "type": "string", "minLength": 1 },
            "minItems": 1
        }
    })
}
