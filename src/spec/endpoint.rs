//! What a spec says about an embedding server beside its address.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an OpenAI-style embedding server (`/v1/embeddings`) is asked for, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The model's name as the server knows it.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What is served, in words of your own: a commit, a checksum, a date. A server does not show its weights: change this
    /// whenever they change, and vectors kept from before are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub revision: Option<String>,
    /// Width that the server is asked to shorten its vectors to, where it can. With it, a plan needs no server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub dimensions: Option<usize>,
    /// Name of the environment variable that holds the key. The key itself belongs in no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub api_key_env: Option<String>,
    /// Most characters of one rendered text; longer ones are cut as the prompt says. The tokens are known to the server
    /// alone: whether it cuts more cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 1000000))]
    pub max_chars: Option<usize>,
    /// Texts in one request.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 2048))]
    pub batch: usize,
    /// Requests under way at once.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: usize,
    /// Seconds that the server may stay silent over one request.
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout: u64,
}

impl Endpoint {
    /// A server's model of this name, asked in the usual way.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            revision: None,
            dimensions: None,
            api_key_env: None,
            max_chars: None,
            batch: batch(),
            concurrency: concurrency(),
            timeout: timeout(),
        }
    }
}

const fn batch() -> usize {
    32
}

const fn concurrency() -> usize {
    4
}

const fn timeout() -> u64 {
    60
}
