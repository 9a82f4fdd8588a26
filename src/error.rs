//! One error over the stages' own.

use crate::apply::ApplyError;
use crate::cache::CacheError;
use crate::dataset::DatasetError;
use crate::embed::EmbedError;
use crate::model::ModelError;
use crate::plan::PlanError;
use crate::report::ReportError;
use crate::results::ResultsError;
use crate::spec::Problems;

/// Anything that can stop a command. Which stage it came from decides how it is shown, not what it says.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Spec(#[from] Problems),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Results(#[from] ResultsError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}
