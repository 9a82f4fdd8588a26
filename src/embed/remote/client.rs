//! One request to an embedding server, tried again where that may help.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use serde_json::json;
use ureq::Agent;

use super::answer;
use super::error::EndpointError;
use crate::embeddings::Embeddings;
use crate::http::{self, Failed};
use crate::spec::Endpoint;

/// Bytes that an answer may have beside its vectors.
const ENVELOPE: u64 = 1 << 20;

/// Bytes of one number of a vector, written out with all its digits; and numbers of a vector while its width is unknown.
const NUMBER: u64 = 40;
const WIDEST: u64 = 1 << 16;

/// How often a server is asked again that says it is broken: many say so of a text that is too long.
const TRIES_OF_BROKEN: u32 = 2;

/// A server, and how it is asked.
pub(super) struct Client {
    agent: Agent,
    /// The address of `/embeddings`.
    url: String,
    endpoint: Endpoint,
}

impl Client {
    pub fn new(base: &str, endpoint: &Endpoint) -> Self {
        let silence = Duration::from_secs(endpoint.timeout);
        Self { agent: http::client(base, silence), url: format!("{base}/embeddings"), endpoint: endpoint.clone() }
    }

    /// The vectors of some texts, in their order; without `width`, as wide as they come. `pause` waits between `tries`, and
    /// says whether to go on.
    pub fn embed(
        &self,
        texts: &[String],
        width: Option<usize>,
        tries: u32,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Embeddings, EndpointError> {
        let key = self.key()?;
        let mut body = json!({ "model": self.endpoint.name, "input": texts, "encoding_format": "float" });
        if let Some(dimensions) = self.endpoint.dimensions {
            body["dimensions"] = json!(dimensions);
        }
        let body = body.to_string();
        let seed = texts.first().map_or("", String::as_str);
        let bytes = http::persist(tries, seed, pause, |done| self.ask(&body, key.as_deref(), texts.len(), width, done))?;
        answer::read(&bytes, texts.len(), width).map_err(|source| EndpointError::Answer {
            url: self.url.clone(),
            answer: excerpt(&bytes, key.as_deref()),
            source,
        })
    }

    fn key(&self) -> Result<Option<String>, EndpointError> {
        let Some(variable) = &self.endpoint.api_key_env else { return Ok(None) };
        let key = std::env::var(variable).map(|key| key.trim().to_owned()).unwrap_or_default();
        if key.is_empty() {
            return Err(EndpointError::NoKey { url: self.url.clone(), variable: variable.clone() });
        }
        if key.chars().all(|c| c.is_ascii_graphic()) {
            Ok(Some(key))
        } else {
            Err(EndpointError::BadKey { variable: variable.clone() })
        }
    }

    /// The answer to one request.
    fn ask(
        &self,
        body: &str,
        key: Option<&str>,
        texts: usize,
        width: Option<usize>,
        done: u32,
    ) -> Result<Vec<u8>, Failed<EndpointError>> {
        let unreachable = |source| {
            let (url, source) = (self.url.clone(), Box::new(source));
            Failed::Passing(EndpointError::Unreachable { url, tries: done, source }, None)
        };
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = request.send(body).map_err(unreachable)?;
        let status = response.status().as_u16();
        let wait = http::retry_after(response.headers(), SystemTime::now());
        let numbers = width.map_or(WIDEST, |width| width as u64);
        let limit = ENVELOPE.saturating_add((texts as u64).saturating_mul(numbers).saturating_mul(NUMBER));
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(limit + 1).read_to_end(&mut bytes);
        if !(200..300).contains(&status) {
            let answer = excerpt(&bytes, key);
            let error = EndpointError::Status { url: self.url.clone(), status, wait, answer };
            let last = status == 500 && done >= TRIES_OF_BROKEN;
            return Err(if http::is_passing(status) && !last { Failed::Passing(error, wait) } else { Failed::Final(error) });
        }
        read.map_err(|source| unreachable(ureq::Error::Io(source)))?;
        if bytes.len() as u64 > limit {
            return Err(Failed::Final(EndpointError::TooMuch { url: self.url.clone(), limit, texts }));
        }
        Ok(bytes)
    }
}

/// What a server said, without the key: some repeat it.
fn excerpt(bytes: &[u8], key: Option<&str>) -> String {
    let said = String::from_utf8_lossy(bytes);
    let said = key.map_or_else(|| said.to_string(), |key| said.replace(key, "[key]"));
    http::excerpt(said.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_server_repeats_is_not_told() {
        assert_eq!(excerpt(b"wrong key hunter2, ask for another", Some("hunter2")), "wrong key [key], ask for another");
        assert_eq!(excerpt(b"no key", None), "no key");
    }
}
