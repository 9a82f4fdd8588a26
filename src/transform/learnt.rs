//! What vectors teach a transform, kept for other transforms of the same texts.

use super::{Fitted, Length, Moments, Ordered, Principal, TransformError};
use crate::spec::TransformRule;

/// What was learnt of vectors, as far as a transform needed it.
#[derive(Clone, Debug)]
pub enum Learnt {
    Mean(Moments),
    /// With the standard deviation of each coordinate that varies.
    Spread(Moments, Vec<Option<f64>>),
    Principal(Principal),
}

impl Learnt {
    /// What a transform needs to know of vectors.
    ///
    /// # Errors
    /// Vectors that cannot be read. The inner errors are vectors that teach nothing.
    pub fn of<V: Ordered>(rule: TransformRule, vectors: &V, length: Length) -> Result<Result<Self, TransformError>, V::Error> {
        Ok(match rule {
            TransformRule::Center => Moments::of(vectors, length)?.map(Self::Mean),
            TransformRule::Standardize => match Moments::of(vectors, length)? {
                Ok(moments) => {
                    let spreads = moments.spreads(vectors)?;
                    Ok(Self::Spread(moments, spreads))
                }
                Err(error) => Err(error),
            },
            TransformRule::DropTop { .. } | TransformRule::Whiten { .. } => {
                Principal::of(vectors, length)?.map(Self::Principal)
            }
        })
    }

    /// The transform by this rule.
    ///
    /// # Errors
    /// Vectors that do not allow it, and [`TransformError::NotLearnt`] where it needs more than was learnt of them.
    pub fn fitted(&self, rule: TransformRule) -> Result<Fitted, TransformError> {
        match (rule, self) {
            (TransformRule::Center, Self::Mean(moments) | Self::Spread(moments, _)) => Ok(Fitted::center(moments.clone())),
            (TransformRule::Center, Self::Principal(principal)) => Ok(Fitted::center(principal.moments.clone())),
            (TransformRule::Standardize, Self::Spread(moments, spreads)) => Ok(Fitted::standardize(moments.clone(), spreads)),
            (TransformRule::DropTop { drop }, Self::Principal(principal)) => Ok(Fitted::drop_top(principal, drop)),
            (TransformRule::Whiten { dims, shrinkage }, Self::Principal(principal)) => {
                Fitted::whiten(principal, dims, shrinkage)
            }
            _ => Err(TransformError::NotLearnt),
        }
    }
}

impl Fitted {
    /// A transform fitted on vectors.
    ///
    /// # Errors
    /// Vectors that cannot be read. The inner errors are vectors that do not allow it.
    pub fn on<V: Ordered>(rule: TransformRule, vectors: &V, length: Length) -> Result<Result<Self, TransformError>, V::Error> {
        Ok(Learnt::of(rule, vectors, length)?.and_then(|learnt| learnt.fitted(rule)))
    }
}
