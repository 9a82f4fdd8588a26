//! Why an embedding server gave no vectors.

use std::time::Duration;

/// What was asked of whom, what came back, and what to do. No variant holds the key.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("{url} asks for a key, and the environment variable `{variable}`, which `api_key_env` names, is not set")]
    NoKey { url: String, variable: String },
    #[error(
        "the environment variable `{variable}`, which `api_key_env` names, holds a line break or another character that no key has"
    )]
    BadKey { variable: String },
    #[error(
        "{url} cannot be reached (tried {tries} times); start the server or correct `source`. A plan needs no server where \
         `endpoint.dimensions` says how wide its vectors are"
    )]
    Unreachable { url: String, tries: u32, source: Box<ureq::Error> },
    #[error("{url} answers HTTP status {status}{}: {answer}", way_out(*status, *wait))]
    Status { url: String, status: u16, wait: Option<Duration>, answer: String },
    #[error("{url} answers with more than {limit} bytes where {texts} vectors were asked for; is it an embedding server?")]
    TooMuch { url: String, limit: u64, texts: usize },
    #[error("{url} does not answer as `/v1/embeddings` does: {answer}")]
    Answer { url: String, answer: String, source: WrongAnswer },
}

/// What is wrong with an answer of status 200.
#[derive(Debug, thiserror::Error)]
pub enum WrongAnswer {
    #[error("the JSON is broken or of another shape")]
    Json(#[from] serde_json::Error),
    #[error("it has {found} vectors for {wanted} texts")]
    Count { found: usize, wanted: usize },
    #[error("its vectors are numbered otherwise than 0 to {last}: {found} comes twice or is beyond")]
    Index { found: u64, last: usize },
    #[error(
        "its vectors have {found} numbers where {wanted} are expected: another model is served than before, or the server \
         shortens no vectors (`endpoint.dimensions`)"
    )]
    Width { found: usize, wanted: usize },
    #[error("vector {index} is empty")]
    Empty { index: usize },
    #[error("vector {index} has a number that is not finite")]
    NotFinite { index: usize },
    #[error("vector {index} is text, but not base64 of 32-bit floats")]
    Base64 { index: usize },
}

impl EndpointError {
    /// Whether the texts may be the reason, so that fewer of them, or others, may pass.
    pub(super) const fn is_about_texts(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 400 | 413 | 422 | 500),
            Self::Answer { source, .. } => matches!(source, WrongAnswer::NotFinite { .. }),
            Self::NoKey { .. } | Self::BadKey { .. } | Self::Unreachable { .. } | Self::TooMuch { .. } => false,
        }
    }
}

fn way_out(status: u16, wait: Option<Duration>) -> String {
    let help = match status {
        300..=399 => " (redirects are not followed: give the address it leads to)",
        401 | 403 => " (give a key: `endpoint.api_key_env` names the environment variable that holds it)",
        404 => " (check `source` and `endpoint.name`)",
        _ => "",
    };
    match wait {
        Some(wait) => format!("{help} (it asks to wait {} s)", wait.as_secs()),
        None => help.to_owned(),
    }
}
