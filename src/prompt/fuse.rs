//! How the vectors of a prompt's views become one.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the vectors of several views become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fuse {
    /// The mean of the raw vectors, as `MetaEOL` does it: long ones count for more.
    #[default]
    Mean,
    /// The mean of the vectors, each first scaled to unit length.
    MeanNormalized,
    /// The raw vectors one behind the other.
    Concat,
    /// Two texts are as similar as their views are on average: the mean of the views' cosines.
    MeanSimilarity,
}

impl Fuse {
    /// Every way, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Mean, Self::MeanNormalized, Self::Concat, Self::MeanSimilarity];

    /// As written in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::MeanNormalized => "mean-normalized",
            Self::Concat => "concat",
            Self::MeanSimilarity => "mean-similarity",
        }
    }

    /// Whether it is what a prompt does that does not say.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Fuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fuse {
    type Err = UnknownFuse;

    fn from_str(text: &str) -> Result<Self, UnknownFuse> {
        Self::ALL.into_iter().find(|way| way.name() == text).ok_or_else(|| UnknownFuse(text.to_owned()))
    }
}

/// A word that names no way to fuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to fuse views: write `mean`, `mean-normalized`, `concat` or `mean-similarity`")]
pub struct UnknownFuse(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_spec() {
        for way in Fuse::ALL {
            assert_eq!(serde_json::to_value(way).unwrap(), way.name());
            assert_eq!(way.name().parse(), Ok(way));
        }
        assert!("sum".parse::<Fuse>().is_err());
    }
}
