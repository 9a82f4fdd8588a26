//! What a `config.json` says about rotary positions: `rope_parameters`, or `rope_scaling` beside keys at the top level.

use serde_json::Value;

use super::Config;
use crate::model::description::{Longer, Positions, Scaling};
use crate::model::error::ModelError;

/// Where an architecture keeps what is not in the table, and what holds where nothing is said.
pub(super) struct Defaults {
    pub theta_key: &'static str,
    pub theta: f64,
    pub part_key: &'static str,
    /// Which part of a head is turned.
    pub part: f64,
}

/// Those of most architectures.
pub(super) const USUAL: Defaults =
    Defaults { theta_key: "rope_theta", theta: 10_000.0, part_key: "partial_rotary_factor", part: 1.0 };

/// Rotary positions.
pub(super) struct Rope {
    pub theta: f64,
    pub scaling: Option<Scaling>,
    pub dims: Option<usize>,
}

impl Rope {
    pub fn positions(self) -> Positions {
        Positions::Rotary { theta: self.theta, scaling: self.scaling, dims: self.dims }
    }
}

impl Config {
    /// Rotary positions of heads that are `head_dim` wide.
    pub(super) fn rope(&self, defaults: &Defaults, head_dim: usize) -> Result<Rope, ModelError> {
        let (key, table) = self.rope_table();
        self.rope_of(key, table, defaults, head_dim)
    }

    /// The table about rotary positions and its key; the older one counts where both are there.
    pub(super) fn rope_table(&self) -> (&'static str, Option<&Value>) {
        match self.at("rope_scaling") {
            Some(table) => ("rope_scaling", Some(table)),
            None => ("rope_parameters", self.at("rope_parameters")),
        }
    }

    /// Reads one table. `key` is what messages call it.
    pub(super) fn rope_of(
        &self,
        key: &'static str,
        table: Option<&Value>,
        defaults: &Defaults,
        head_dim: usize,
    ) -> Result<Rope, ModelError> {
        if table.is_some_and(|table| !table.is_object()) {
            return Err(self.wrong(key, table, "a table"));
        }
        let table = Table { config: self, key, values: table };
        let theta = table.number("rope_theta", self.at(defaults.theta_key))?.unwrap_or(defaults.theta);
        let part = table.number("partial_rotary_factor", self.at(defaults.part_key))?.unwrap_or(defaults.part);
        let dims = self.turned(head_dim, part)?;
        let scaling = table.scaling(dims.unwrap_or(head_dim) / 2)?;
        Ok(Rope { theta, scaling, dims })
    }

    /// How many values of a head are turned; `None` for all of them.
    fn turned(&self, head_dim: usize, part: f64) -> Result<Option<usize>, ModelError> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "cut as Python's int() does"
        )]
        let dims = (head_dim as f64 * part) as usize;
        if dims == 0 || dims > head_dim {
            return Err(self.wrong("partial_rotary_factor", Some(&Value::from(part)), "a share of a head from 0 to 1"));
        }
        self.divide("head_dim", dims, "a size whose rotated part is an even number", 2)?;
        Ok((dims < head_dim).then_some(dims))
    }
}

/// A table about rotary positions, which may be missing.
struct Table<'a> {
    config: &'a Config,
    key: &'static str,
    values: Option<&'a Value>,
}

impl Table<'_> {
    fn at(&self, key: &str) -> Option<&Value> {
        self.values?.get(key).filter(|value| !value.is_null())
    }

    /// A positive number, here or at the top level.
    fn number(&self, key: &str, outside: Option<&Value>) -> Result<Option<f64>, ModelError> {
        self.config.positive(key, self.at(key).or(outside))
    }

    fn needed(&self, key: &str) -> Result<f64, ModelError> {
        self.number(key, None)?.ok_or_else(|| self.config.wrong(&format!("{}.{key}", self.key), None, "a positive number"))
    }

    /// Tokens that the model was first trained on.
    fn original(&self) -> Result<f64, ModelError> {
        let key = "original_max_position_embeddings";
        match self.number(key, self.config.at(key))? {
            Some(original) => Ok(original),
            None => self.most(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    fn most(&self) -> Result<f64, ModelError> {
        Ok(self.config.size("max_position_embeddings")? as f64)
    }

    /// How `pairs` angles are scaled.
    fn scaling(&self, pairs: usize) -> Result<Option<Scaling>, ModelError> {
        let Some(values) = self.values.and_then(Value::as_object) else { return Ok(None) };
        let Some(kind) = values.get("rope_type").or_else(|| values.get("type")) else {
            // A table that names no kind may hold nothing but what is not about scaling.
            let plain = values.keys().all(|key| key == "rope_theta" || key == "partial_rotary_factor");
            return if plain { Ok(None) } else { Err(self.unsupported()) };
        };
        let long_rope = self.config.at("model_type").is_some_and(|model| model == "phi3");
        match kind.as_str() {
            // The base of dynamic scaling grows with texts longer than `max_position_embeddings`, which no row is.
            Some("default" | "dynamic") => Ok(None),
            Some("linear") => Ok(Some(Scaling::Linear { factor: self.needed("factor")? })),
            Some("llama3") => self.llama3().map(Some),
            Some("longrope" | "su") => self.long_rope(pairs).map(Some),
            // Phi-3's first configurations call theirs so.
            Some("yarn") if long_rope => self.long_rope(pairs).map(Some),
            Some("yarn") => self.yarn().map(Some),
            _ => Err(self.unsupported()),
        }
    }

    fn llama3(&self) -> Result<Scaling, ModelError> {
        let (low, high) = (self.needed("low_freq_factor")?, self.needed("high_freq_factor")?);
        if low >= high {
            return Err(self.config.wrong("high_freq_factor", self.at("high_freq_factor"), "a number above `low_freq_factor`"));
        }
        Ok(Scaling::Llama3 { factor: self.needed("factor")?, low, high, original: self.original()? })
    }

    fn yarn(&self) -> Result<Scaling, ModelError> {
        let original = self.original()?;
        let factor = match self.number("factor", None)? {
            Some(factor) => factor,
            None => self.most()? / original,
        };
        let weight = |scale: f64, by: f64| if scale <= 1.0 { 1.0 } else { 0.1 * by * scale.ln() + 1.0 };
        let parts = (self.number("mscale", None)?, self.number("mscale_all_dim", None)?);
        let attention = match (self.number("attention_factor", None)?, parts) {
            (Some(attention), _) => attention,
            (None, (Some(some), Some(all))) => weight(factor, some) / weight(factor, all),
            (None, _) => weight(factor, 1.0),
        };
        let truncate = match self.at("truncate") {
            None => true,
            Some(value) => value.as_bool().ok_or_else(|| self.config.wrong("truncate", Some(value), "true or false"))?,
        };
        let fast = self.number("beta_fast", None)?.unwrap_or(32.0);
        let slow = self.number("beta_slow", None)?.unwrap_or(1.0);
        Ok(Scaling::Yarn { factor, fast, slow, original, attention, truncate })
    }

    /// Factors for rows as long as those of the first training, and those for longer ones.
    fn long_rope(&self, pairs: usize) -> Result<Scaling, ModelError> {
        let original = self.original()?;
        let factor = match self.number("factor", None)? {
            Some(factor) => factor,
            None => self.most()? / original,
        };
        let attention = match self.number("attention_factor", None)? {
            Some(attention) => attention,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / original.ln()).sqrt(),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count of tokens")]
        let than = original as usize;
        let longer = if self.config.size("max_position_embeddings")? > than {
            Some(Longer { than, factors: self.factors("long_factor", pairs)? })
        } else {
            None
        };
        Ok(Scaling::Each { factors: self.factors("short_factor", pairs)?, attention, longer })
    }

    /// One positive number for each of `pairs`.
    fn factors(&self, key: &str, pairs: usize) -> Result<Vec<f64>, ModelError> {
        let list = self.at(key);
        let numbers = |list: &Value| list.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
        list.and_then(numbers)
            .filter(|list| list.len() == pairs && list.iter().all(|factor| factor.is_finite() && *factor > 0.0))
            .ok_or_else(|| self.config.wrong(key, list, "a list of one positive number for each rotated pair of a head"))
    }

    fn unsupported(&self) -> ModelError {
        let reason = "rotary positions can be scaled by linear, dynamic, yarn, llama3 and longrope";
        self.config.unsupported(self.key, reason)
    }
}
